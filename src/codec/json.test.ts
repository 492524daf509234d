/**
 * JSON from strangers.
 * @module
 */
import { expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { parseJson } from "./json.ts";
import { msgpackContainersMax } from "./msgpack-reader.ts";

const code = (text: string): string => {
  try {
    parseJson(text);
    return "accepted";
  } catch (error) {
    return error instanceof StreamError ? error.code : String(error);
  }
};

test("one JSON text, no more and no less", () => {
  expect(parseJson('{"__proto__": 1}')).toEqual(JSON.parse('{"__proto__": 1}'));
  for (const text of ["", "{", "{} {}", "undefined", "{'a': 1}", "[1,]", "NaN"])
    expect(code(text)).toBe("malformed_body");
});

test("a text that would turn into far more memory than it is long is refused", () => {
  expect(code(`[${"{},".repeat(2 * msgpackContainersMax)}{}]`)).toBe("malformed_body");
  expect(code("[".repeat(5_000_000))).toBe("malformed_body");
});

test("braces inside strings count for nothing", () => {
  const data = '{[\\"'.repeat(msgpackContainersMax);
  expect(parseJson(`{"data": "${data}"}`)).toEqual({ data: '{["'.repeat(msgpackContainersMax) });
});
