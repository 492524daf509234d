import { expect, test } from "bun:test";
import { noViolations } from "./delivery-check.ts";
import { parseOptions } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import { isGood, latencyText, progressLine, summaryJson, summaryText } from "./report.ts";

const parsed = parseOptions([]);
if (parsed.kind !== "run") throw new Error("the defaults are accepted");
const { options } = parsed;

const good: Outcome = {
  cpu_us: { generator: 1_000_000, server: 2_000_000 },
  publish: {
    ...{ messages: 1_000_000, bytes: 1e9, seconds: 10, per_second: 100_000, mb_per_second: 100 },
    latency_us: { p50: 500, p90: 900, p99: 1500, p99_9: 20_000, max: 2_000_000, mean: 600 },
  },
  errors: {},
  verified: 1_000_000,
  violations: noViolations(),
  foreign: 0,
  broken_connections: 0,
  interrupted: false,
};

test("what is good and what is not", () => {
  expect(isGood(good)).toBe(true);
  expect(isGood({ ...good, errors: { overloaded: 3 } })).toBe(true);
  expect(isGood({ ...good, violations: { ...noViolations(), lost: 1 } })).toBe(false);
  expect(isGood({ ...good, broken_connections: 1 })).toBe(false);
  const nothing: Outcome = { ...good, publish: { ...good.publish!, messages: 0 } };
  expect(isGood(nothing)).toBe(false);
  expect(isGood({ ...nothing, interrupted: true })).toBe(true);
});

test("the summary has the numbers that matter", () => {
  const text = summaryText(options, "http://127.0.0.1:1", good);
  expect(text).toContain("100,000 messages/s  100.0 MB/s");
  expect(text).toContain("p50 500 µs  p90 900 µs  p99 1.50 ms  p99.9 20.0 ms  max 2.00 s");
  expect(text).toContain("server 2.00 µs a message (0.20 cores), generator 1.00 µs a message (0.10 cores)");
  expect(text).toEndWith("\nok\n");
  const bad = summaryText(options, "", { ...good, violations: { ...noViolations(), sequence_gaps: 2 } });
  expect(bad).toContain("sequence gaps 2");
  expect(bad).toEndWith("\nNOT OK\n");
});

test("the same for programs", () => {
  const json: unknown = JSON.parse(summaryJson(options, "http://127.0.0.1:1", good));
  expect(json).toMatchObject({ ...good, ok: true, url: "http://127.0.0.1:1", options: { window: 1000 } });
});

test("latencies and progress read well", () => {
  expect([7, 999, 1000, 12_345, 999_999, 1_500_000].map(latencyText)).toEqual([
    ...["7 µs", "999 µs", "1.00 ms", "12.3 ms", "1000.0 ms", "1.50 s"],
  ]);
  const last = { stage: "measuring", acked: 1000, delivered: 0, errors: 0 } as const;
  const line = progressLine({ ...last, acked: 2000, delivered: 500, errors: 3 }, last, 12.34, 0.5);
  expect(line).toBe("  12.3 s  measuring   publish 2,000/s  deliver 1,000/s  errors 3");
});
