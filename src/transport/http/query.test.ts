import { describe, expect, test } from "bun:test";
import { parseInteger, parseQuery, percentDecode, queryBoolean, queryInteger } from "./query.ts";

const base = "http://localhost/v1/x";
const failing = (code: string, parameter?: string): unknown =>
  expect.objectContaining({ code, ...(parameter === undefined ? {} : { fields: { parameter } }) });

describe("parseQuery", () => {
  test("decodes once, keeps plus signs, takes empty values and empty pairs", () => {
    const query = parseQuery(`${base}?a=%252F&b=2026-01-01T00:00:00+02:00&&c#d=1`, ["a", "b", "c"]);
    expect([...query]).toEqual([
      ["a", "%2F"],
      ["b", "2026-01-01T00:00:00+02:00"],
      ["c", ""],
    ]);
    expect(parseQuery(base, []).size).toBe(0);
    expect(parseQuery(`${base}?`, []).size).toBe(0);
  });

  test("refuses unknown and repeated parameters", () => {
    expect(() => parseQuery(`${base}?b=1`, ["a"])).toThrow(failing("unknown_parameter", "b"));
    expect(() => parseQuery(`${base}?a=1&%61=2`, ["a"])).toThrow(failing("invalid_parameter", "a"));
  });

  test.each(["%", "%zz", "%FF", "%C0%AF", "%ED%A0%80"])("%p is no percent-encoded UTF-8", (raw) => {
    expect(() => percentDecode(raw)).toThrow(failing("malformed_request"));
    expect(() => parseQuery(`${base}?a=${raw}`, ["a"])).toThrow(failing("malformed_request"));
  });
});

describe("values", () => {
  test("integers are decimal digits in bounds", () => {
    expect(parseInteger("n", "10", { min: 1, max: 10 })).toBe(10);
    for (const raw of ["0", "11", "", "-1", "+1", "1.0", "1e1", "0x1", " 1", "99999999999999999999"]) {
      expect(() => parseInteger("n", raw, { min: 1, max: 10 })).toThrow(failing("invalid_parameter", "n"));
    }
    expect(queryInteger(new Map(), "n", { min: 1, max: 10 }, 7)).toBe(7);
  });

  test("booleans are true, false, 1 and 0", () => {
    const read = (raw: string): boolean => queryBoolean(new Map([["b", raw]]), "b");
    expect([read("true"), read("1"), read("false"), read("0"), queryBoolean(new Map(), "b")]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    for (const raw of ["", "yes", "TRUE"]) expect(() => read(raw)).toThrow(failing("invalid_parameter", "b"));
  });
});
