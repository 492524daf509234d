import { expect, test } from "bun:test";
import { meets, ratiosTo, spreadOf } from "./statistics.ts";

test("a spread is the middle and both ends, in any order of the rounds", () => {
  expect(spreadOf([3, 100, 1])).toEqual({ median: 3, min: 1, max: 100 });
  expect(spreadOf([4, 2])).toEqual({ median: 3, min: 2, max: 4 });
  expect(spreadOf([-10, 9, 7])).toEqual({ median: 7, min: -10, max: 9 });
  expect(spreadOf([5])).toEqual({ median: 5, min: 5, max: 5 });
  expect(spreadOf([])).toBeUndefined();
});

test("targets bound from below or above and include the bound", () => {
  expect([59, 60, 61].map((value) => meets(value, { atLeast: 60 }))).toEqual([false, true, true]);
  expect([59, 60, 61].map((value) => meets(value, { atMost: 60 }))).toEqual([true, true, false]);
});

test("ratios compare the same round and are above 1 when we are better", () => {
  expect(ratiosTo([10, 30], [20, 20], { atLeast: 1 })).toEqual([0.5, 1.5]);
  expect(ratiosTo([10, 30], [20, 15], { atMost: 1 })).toEqual([2, 0.5]);
  expect(ratiosTo([10, NaN, 30], [20, 20], { atLeast: 1 })).toEqual([0.5]);
});
