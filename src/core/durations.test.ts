import { describe, expect, test } from "bun:test";
import { Durations } from "./durations.ts";

describe.each([1, 2] as const)("bounds in steps of 2^%d", (step) => {
  test("are inclusive", () => {
    const { boundsMs } = new Durations(step);
    for (const [index, bound] of boundsMs.entries()) {
      const durations = new Durations(step);
      durations.add(bound);
      expect(durations.counts.indexOf(1)).toBe(index);
      durations.add(bound * 1.000_001);
      expect(durations.counts[index + 1]).toBe(1);
    }
  });

  test("begin with 62.5 µs, end with 16.384 s and are exact in seconds", () => {
    const { boundsMs } = new Durations(step);
    expect([boundsMs[0], boundsMs.at(-1)]).toEqual([0.0625, 16_384]);
    for (const bound of boundsMs) expect(String(bound / 1000).length).toBeLessThanOrEqual(9);
  });

  test("hold nothing and the very long", () => {
    const durations = new Durations(step);
    for (const ms of [0, 0.001, 16_384.001, 86_400_000, Number.MAX_SAFE_INTEGER]) durations.add(ms);
    expect(durations.counts[0]).toBe(2);
    expect(durations.counts.at(-1)).toBe(3);
    expect(durations.count).toBe(5);
  });
});
