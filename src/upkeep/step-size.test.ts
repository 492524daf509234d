/**
 * How much goes into one step.
 * @module
 */
import { expect, test } from "bun:test";
import { StepSize } from "./step-size.ts";

test("a step is as large as its time allows, grows slowly, and has bounds", async () => {
  let [nowMs, stepMs] = [0, 100];
  const size = new StepSize({ min: 10, max: 200, stepMs: () => stepMs, elapsedMs: () => nowMs });
  const take = (count: number, tookMs: number): Promise<string> =>
    size.measure(count, () => {
      nowMs += tookMs;
      return Promise.resolve("done");
    });
  expect(size.size).toBe(10);
  expect(await take(10, 10)).toBe("done");
  expect(size.size).toBe(20);
  await take(20, 10);
  expect(size.size).toBe(40);
  await take(40, 80);
  expect(size.size).toBe(50);
  // A small one tells nothing.
  await take(9, 1000);
  expect(size.size).toBe(50);
  stepMs = 1;
  expect(size.size).toBe(10);
  stepMs = 10_000;
  await take(150, 150);
  expect(size.size).toBe(200);
});
