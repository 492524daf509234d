import { describe, expect, test } from "bun:test";
import { ifRangeHolds, noneMatchHits, parseRange, type RangeChoice } from "./range.ts";

const part = (start: number, end: number): RangeChoice => ({ kind: "part", start, end });

describe("parseRange", () => {
  test.each([
    ["bytes=0-0", 10, part(0, 1)],
    ["bytes=2-5", 10, part(2, 6)],
    ["bytes=2-", 10, part(2, 10)],
    ["bytes=9-9999999999999999999", 10, part(9, 10)],
    ["bytes=-3", 10, part(7, 10)],
    ["bytes=-99", 10, part(0, 10)],
    ["Bytes = 1 - 2", 10, part(1, 3)],
  ] as const)("%p of %p bytes is a part", (header, length, choice) => {
    expect(parseRange(header, length)).toEqual(choice);
  });

  test.each([
    ["bytes=10-", 10],
    ["bytes=10-20", 10],
    ["bytes=-0", 10],
    ["bytes=0-", 0],
    ["bytes=0-0", 0],
  ] as const)("%p of %p bytes lies outside", (header, length) => {
    expect(parseRange(header, length)).toEqual({ kind: "unsatisfiable" });
  });

  test.each([null, "", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=0-1", "bytes 0-1"])(
    "%p means the whole body",
    (header) => {
      expect(parseRange(header, 10)).toEqual({ kind: "whole" });
    },
  );

  test("a suffix of an empty body is the whole body", () => {
    expect(parseRange("bytes=-5", 0)).toEqual({ kind: "whole" });
  });
});

test("If-None-Match compares weakly and knows lists and *", () => {
  expect(noneMatchHits(null, '"a"')).toBe(false);
  expect(noneMatchHits('"b"', '"a"')).toBe(false);
  for (const header of ['"a"', 'W/"a"', '"b", "a"', "*"]) expect(noneMatchHits(header, '"a"')).toBe(true);
});

test("If-Range compares strongly", () => {
  expect(ifRangeHolds(null, '"a"')).toBe(true);
  expect(ifRangeHolds('"a"', '"a"')).toBe(true);
  for (const header of ['"b"', 'W/"a"', "Wed, 21 Oct 2015 07:28:00 GMT"])
    expect(ifRangeHolds(header, '"a"')).toBe(false);
});
