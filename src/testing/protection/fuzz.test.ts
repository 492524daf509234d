/**
 * A short fuzz run; `bun scripts/fuzz.ts` is the long one.
 * @module
 */
import { expect, test } from "bun:test";
import { runFuzz } from "./fuzz/run.ts";

test("20,000 spoilt frames leave the server as it was", async () => {
  const { figures } = await runFuzz({ seed: 1, frames: 20_000 });
  expect(figures.failure?.message).toBeUndefined();
  expect(figures.sent).toBeGreaterThanOrEqual(20_000);
  expect(figures.canaryRounds).toBeGreaterThan(0);
}, 300_000);
