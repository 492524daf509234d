import { describe, expect, test } from "bun:test";
import { MsgpackWriter } from "../../src/codec/msgpack-writer.ts";
import { ScanError, Scanner, word } from "./scan.ts";

const scannerOf = (value: unknown): Scanner => {
  const writer = new MsgpackWriter();
  writer.value(value);
  const bytes = Buffer.from(writer.copy());
  const scanner = new Scanner();
  scanner.over(bytes, 0, bytes.length);
  return scanner;
};

describe("integers", () => {
  test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER])("%d", (n) => {
    expect(scannerOf(n).integer()).toBe(n);
  });
  test.each([-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1])("%d", (n) => {
    expect(scannerOf(n).integer()).toBe(n);
  });
});

test("strings and bytes of every length form", () => {
  for (const length of [0, 31, 32, 255, 256, 65_535, 65_536]) {
    expect(scannerOf("x".repeat(length)).text()).toBe("x".repeat(length));
    const scanner = scannerOf(new Uint8Array(length));
    expect(scanner.bytes()).toBe(length);
    expect(scanner.done).toBe(true);
  }
});

test("known words have their number, others 0", () => {
  for (const [text, number] of Object.entries(word)) expect(scannerOf(text).word()).toBe(number);
  for (const text of ["", "idx", "publishee", "a word that is much longer than any"]) {
    expect(scannerOf(text).word()).toBe(0);
  }
});

test("every kind of value is skipped whole", () => {
  const everything = {
    nothing: null,
    flags: [true, false],
    numbers: [0, -1, -200, 300, 70_000, 2 ** 40, -(2 ** 40), 1.5],
    text: ["", "short", "long".repeat(100), "longer".repeat(20_000)],
    bytes: [new Uint8Array(3), new Uint8Array(300), new Uint8Array(70_000)],
    many: Array.from({ length: 70_000 }, (_, i) => i),
    map: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, [{ deep: [[[i]]] }]])),
  };
  const scanner = scannerOf([everything, 7]);
  expect(scanner.arrayHead()).toBe(2);
  scanner.skip();
  expect(scanner.integer()).toBe(7);
  expect(scanner.done).toBe(true);
});

test("a frame that ends inside a value is an error, never a guess", () => {
  const writer = new MsgpackWriter();
  writer.value({ id: 70_000, text: "hello", list: [1, 2.5, { a: new Uint8Array(300) }] });
  const whole = Buffer.from(writer.copy());
  for (let length = 0; length < whole.length; length++) {
    const scanner = new Scanner();
    scanner.over(whole, 0, length);
    expect(() => scanner.skip()).toThrow(ScanError);
  }
});

test("another type than expected is an error", () => {
  expect(() => scannerOf("text").integer()).toThrow(ScanError);
  expect(() => scannerOf(1).text()).toThrow(ScanError);
  expect(() => scannerOf([]).mapHead()).toThrow(ScanError);
  expect(() => scannerOf({}).arrayHead()).toThrow(ScanError);
});
