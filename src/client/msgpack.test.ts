/**
 * The SDK's own codec against the server's.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { decodeMsgpack, encodeMsgpack } from "../codec/msgpack.ts";
import { MtsError } from "./errors.ts";
import { msgpackReader } from "./msgpack-reader.ts";
import { msgpackWriter } from "./msgpack-writer.ts";

const long = "ü".repeat(70_000);
const values: readonly unknown[] = [
  ...[0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER, 1.5, -0.25],
  ...[
    "",
    "a",
    "a".repeat(31),
    "a".repeat(32),
    "a".repeat(41),
    "a".repeat(300),
    "é",
    "\ufeffbom",
    "😀".repeat(20),
    long,
  ],
  ...[true, false, [], [1, ["x"]], Array.from({ length: 20 }, (_, i) => i), {}, { a: { b: "c" } }],
  ...[new Uint8Array(0), new Uint8Array(300).fill(7), new Uint8Array(70_000).fill(9)],
  // Longer than any buffer was before: it grows at every kind of value.
  Array.from({ length: 30_000 }, (_, i) => (i % 3 === 0 ? 100_000 + i : i % 3 === 1 ? 2 ** 40 + i : `text ${i}`)),
  Array.from({ length: 3000 }, (_, i) => ({ a: new Uint8Array(i % 50), long: "x".repeat(i % 99) })),
  Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key${i}`, i])),
];

const ownBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

describe("msgpack", () => {
  test("what is written here is read by the server", () => {
    const encode = msgpackWriter();
    for (const value of values) expect(decodeMsgpack(new Uint8Array(encode(value)))).toEqual(value);
  });

  test("what the server writes is read here", () => {
    const decode = msgpackReader();
    const fromServer = [...values, null, -1, -32, -33, -128, -129, -32_769, -(2 ** 40)];
    for (const value of fromServer) expect(decode(ownBuffer(encodeMsgpack(value)))).toEqual(value);
  });

  test("undefined fields are left out", () => {
    expect(decodeMsgpack(msgpackWriter()({ a: undefined, b: 1 }))).toEqual({ b: 1 });
  });

  test("a field called __proto__ is a field", () => {
    const map = JSON.parse('{"__proto__":"x","a":"b"}') as object;
    const read = msgpackReader()(ownBuffer(encodeMsgpack(map))) as object;
    expect(Object.entries(read)).toEqual([
      ["__proto__", "x"],
      ["a", "b"],
    ]);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });

  test("what is cut off, too long or unknown is a protocol error", () => {
    const whole = encodeMsgpack({ text: long, list: [1, 2, 3], big: 2 ** 40 });
    const decode = msgpackReader();
    for (const bytes of [whole.subarray(0, 5), whole.subarray(0, -1), new Uint8Array([1, 1]), new Uint8Array([0xc1])]) {
      expect(() => decode(ownBuffer(bytes))).toThrow(MtsError);
    }
    expect(decode(ownBuffer(whole))).toEqual({ text: long, list: [1, 2, 3], big: 2 ** 40 });
  });
});
