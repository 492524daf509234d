import { expect, test } from "bun:test";
import { detailsText, figureText, spreadText, tableText } from "./report.ts";
import type { RowResult } from "./run.ts";

const rate = {
  id: "r",
  title: "rate",
  unit: "/s",
  target: { atLeast: 60_000 },
  ratio: { wanted: 1, floor: 0.6 },
} as const;
const wait = { id: "w", title: "wait", unit: "ms", target: { atMost: 2 } } as const;
const readings = (...values: number[]) => values.map((value) => ({ value }));

test("figures are as exact as they are worth", () => {
  expect([figureText(66_241.7, "/s"), figureText(1499.5, "B"), figureText(149.6, "MB")]).toEqual([
    ...["66,242/s", "1,500 B", "150 MB"],
  ]);
  expect([0.449, 12.34, 345.6, -3.21].map((ms) => figureText(ms, "ms"))).toEqual([
    ...["0.45 ms", "12.3 ms", "346 ms", "-3.21 ms"],
  ]);
});

test("the spread is told when there are rounds to spread over", () => {
  const spread = { median: 2, min: 1, max: 3 };
  expect(spreadText(spread, "x", 3)).toBe("2.00 x (1.00 x – 3.00 x)");
  expect(spreadText(spread, "x", 1)).toBe("2.00 x");
  expect(spreadText(undefined, "x", 3)).toBe("not measured");
});

test("the table judges target and ratio", () => {
  const rows: RowResult[] = [
    { row: rate, ours: readings(50_000, 70_000), peerName: "Redis", peers: readings(100_000, 70_000) },
    { row: wait, ours: readings(3, 4), peerName: undefined, peers: [undefined, undefined] },
    { row: wait, ours: [undefined, undefined], peerName: undefined, peers: [undefined, undefined] },
  ];
  expect(tableText(rows, 2).split("\n")).toEqual([
    "| case | figure | target | peer, same run | ratio |",
    "| --- | --- | --- | --- | --- |",
    "| rate | 60,000/s (50,000/s – 70,000/s) | ≥ 60,000/s ✓ | Redis 85,000/s (70,000/s – 100,000/s) | " +
      "0.75 x (0.50 x – 1.00 x), want 1.0, at least 0.6 ~ |",
    "| wait | 3.50 ms (3.00 ms – 4.00 ms) | ≤ 2.00 ms ✗ |  |  |",
    "| wait | not measured | ≤ 2.00 ms |  |  |",
  ]);
});

test("without any peer there are no columns for it", () => {
  const table = tableText([{ row: wait, ours: readings(1), peerName: undefined, peers: [undefined] }], 1);
  expect(table.split("\n")).toEqual([
    ...["| case | figure | target |", "| --- | --- | --- |", "| wait | 1.00 ms | ≤ 2.00 ms ✓ |"],
  ]);
});

test("details are medians over the rounds that have them", () => {
  const details = [{ value: 1, details: { p99_ms: 3, uploads: 4 } }, undefined, { value: 2, details: { p99_ms: 4.5 } }];
  expect(detailsText(details)).toBe("p99 ms 3.75, uploads 4");
});
