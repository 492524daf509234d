import { expect, test } from "bun:test";
import { Durations } from "../core/durations.ts";
import { Exposition, inSeconds } from "./exposition.ts";

test("families with one number, with labels, with none", async () => {
  const page = new Exposition();
  const known: { seen?: number } = {};
  page.counter("a_total", "First line.\nA \\ too.", () => 3);
  page.gauge("b", "With labels.", () => [
    [{ name: 'a "b" \\ c\nd' }, 0.5],
    [{ name: "e", other: "f" }, Number.POSITIVE_INFINITY],
  ]);
  page.gauge("c", "Not known yet.", () => known.seen);
  const head = [
    "# HELP a_total First line.\\nA \\\\ too.",
    "# TYPE a_total counter",
    "a_total 3",
    "",
    "# HELP b With labels.",
    "# TYPE b gauge",
    'b{name="a \\"b\\" \\\\ c\\nd"} 0.5',
    'b{name="e",other="f"} +Inf',
    "",
    "# HELP c Not known yet.",
    "# TYPE c gauge",
    "",
  ].join("\n");
  expect(await page.text()).toBe(head);
  known.seen = -1;
  expect(await page.text()).toBe(`${head}c -1\n`);
});

test("a histogram counts everything up to its bounds", async () => {
  const page = new Exposition();
  const durations = new Durations(2);
  for (const ms of [0.01, 0.2, 0.2, 5, 20_000]) durations.add(ms);
  page.histogram("d_seconds", "Durations.", () => [[{ of: "x" }, inSeconds(durations)]]);
  const lines = (await page.text()).split("\n");
  expect(lines.slice(2, 6)).toEqual([
    'd_seconds_bucket{of="x",le="0.0000625"} 1',
    'd_seconds_bucket{of="x",le="0.00025"} 3',
    'd_seconds_bucket{of="x",le="0.001"} 3',
    'd_seconds_bucket{of="x",le="0.004"} 3',
  ]);
  expect(lines.slice(-5)).toEqual([
    'd_seconds_bucket{of="x",le="16.384"} 4',
    'd_seconds_bucket{of="x",le="+Inf"} 5',
    'd_seconds_sum{of="x"} 20.00541',
    'd_seconds_count{of="x"} 5',
    "",
  ]);
});

test("a name is one family's", () => {
  const page = new Exposition();
  page.counter("a_total", "The first.", () => 1);
  expect(() => page.gauge("a_total", "The second.", () => 2)).toThrow("a_total");
});
