import { expect, test } from "bun:test";
import { Look } from "./look.ts";

test("is shared, remembered for a while, and forgotten when it is old", async () => {
  let [nowMs, looks] = [0, 0];
  const look = new Look(
    async () => ++looks,
    () => nowMs,
  );
  expect(look.seen).toBeUndefined();
  await Promise.all([look.refresh(), look.refresh()]);
  expect([looks, look.seen]).toEqual([1, 1]);
  nowMs = 4999;
  await look.refresh();
  expect(looks).toBe(1);
  nowMs = 5000;
  await look.refresh();
  expect([looks, look.seen]).toEqual([2, 2]);
  nowMs += 120_001;
  expect(look.seen).toBeUndefined();
});

test("one that takes long is good for longer", async () => {
  let [nowMs, looks] = [0, 0];
  const look = new Look(
    async () => {
      nowMs += 1000;
      return ++looks;
    },
    () => nowMs,
  );
  await look.refresh();
  nowMs += 19_999;
  await look.refresh();
  expect(looks).toBe(1);
  nowMs += 1;
  await look.refresh();
  expect(looks).toBe(2);
});

test("one that fails leaves what was seen before, and is tried again", async () => {
  let [nowMs, fails] = [0, false];
  const look = new Look(
    async () => {
      if (fails) throw new Error("nobody there");
      return nowMs;
    },
    () => nowMs,
  );
  await look.refresh();
  [nowMs, fails] = [6000, true];
  await look.refresh();
  expect(look.seen).toBe(0);
  fails = false;
  await look.refresh();
  expect(look.seen).toBe(6000);
});

test("nobody waits for one that hangs", async () => {
  const look = new Look(() => new Promise<number>(() => undefined));
  await look.refresh();
  expect(look.seen).toBeUndefined();
});
