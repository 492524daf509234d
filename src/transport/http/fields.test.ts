import { expect, test } from "bun:test";
import { asIntegers, fieldBoolean, fieldInteger, parseFields } from "./fields.ts";

const failing = (code: string, fields: object): unknown => expect.objectContaining({ code, fields });

test("only maps with known fields pass", () => {
  expect(parseFields({ a: 1 }, ["a", "b"])).toEqual({ a: 1 });
  expect(() => parseFields({ c: 1 }, ["a", "b"])).toThrow(failing("unknown_field", { field: "c" }));
  for (const raw of [null, [], "x", 1, new Uint8Array(1)]) {
    expect(() => parseFields(raw, ["a"])).toThrow(failing("invalid_parameter", { parameter: "body" }));
  }
});

test("integers and booleans are what they are; null is no default", () => {
  const bounds = { min: 1, max: 5 };
  expect(fieldInteger({ a: 5 }, "a", bounds, 1)).toBe(5);
  expect(fieldInteger({}, "a", bounds, 3)).toBe(3);
  for (const a of [0, 6, 1.5, "1", null, true, 1n]) {
    expect(() => fieldInteger({ a }, "a", bounds, 1)).toThrow(failing("invalid_parameter", { parameter: "a" }));
  }
  expect(fieldBoolean({}, "a", true)).toBe(true);
  expect(fieldBoolean({ a: false }, "a", true)).toBe(false);
  for (const a of [null, 0, "true"]) {
    expect(() => fieldBoolean({ a }, "a", false)).toThrow(failing("invalid_parameter", { parameter: "a" }));
  }
});

test("lists of integers have at least one and at most so many", () => {
  const bounds = { min: 1, max: 9 };
  expect(asIntegers("a", [1, 9], bounds, 2)).toEqual([1, 9]);
  for (const raw of [[], [1, 2, 3], [0], ["1"], 1, null]) {
    expect(() => asIntegers("a", raw, bounds, 2)).toThrow(failing("invalid_parameter", { parameter: "a" }));
  }
});
