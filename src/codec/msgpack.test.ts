/**
 * Round trips against msgpackr in both directions, and what strangers may send.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { Packr, Unpackr } from "msgpackr";
import { StreamError } from "../core/errors.ts";
import { decodeMsgpack, encodeMsgpack } from "./msgpack.ts";
import { msgpackContainersMax, msgpackDepthMax } from "./msgpack-reader.ts";

const packr = new Packr({ useRecords: false });
// Its types do not know "auto": a number where that is exact, else a bigint.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "auto" as "number" });

/** Mulberry32: small, seeded, good enough to find a wrong branch. */
const seeded = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

const alphabets = ["abcdefghijklmnop.-_", "äöüßéñ", "漢字かな", "😀🎉", '\u0000\n"\\', "\ufeff"].map((text) =>
  Array.from(text),
);

class Values {
  constructor(private readonly random: () => number) {}

  below(n: number): number {
    return Math.floor(this.random() * n);
  }

  string(): string {
    const alphabet = alphabets[this.below(alphabets.length)] ?? [];
    const text = Array.from({ length: this.below(60) }, () => alphabet[this.below(alphabet.length)] ?? "").join("");
    // Around the bounds of the 8, 16 and 32 bit lengths.
    return this.below(40) === 0 ? text.repeat([5, 300, 3000][this.below(3)] ?? 1) : text;
  }

  integer(): number {
    const edge = 2 ** this.below(54);
    const value = Math.min(edge + this.below(3) - 1, Number.MAX_SAFE_INTEGER);
    return this.below(2) === 0 || value === 0 ? value : -value;
  }

  bytes(): Buffer {
    return Buffer.from(Array.from({ length: this.below(400) }, () => this.below(256)));
  }

  any(depth: number): unknown {
    const kind = this.below(depth > 4 ? 7 : 10);
    if (kind < 2) return this.string();
    if (kind < 4) return this.integer();
    if (kind === 4) return this.bytes();
    if (kind === 5) return [null, true, false][this.below(3)];
    if (kind === 6) return this.random() * 10 ** this.below(30) + 0.5;
    const size = this.below(20) === 0 ? 16 + this.below(300) : this.below(6);
    if (kind === 7) return Array.from({ length: size }, () => this.any(depth + 1));
    return Object.fromEntries(
      Array.from({ length: size }, (_, i) => [`${this.string().slice(0, 40)}${i}`, this.any(depth + 1)]),
    );
  }
}

const refused = (bytes: Uint8Array | readonly number[]): string => {
  try {
    decodeMsgpack(Uint8Array.from(bytes));
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
  return "accepted";
};

describe("round trips", () => {
  test("any value comes back, and msgpackr reads and writes the same", () => {
    const values = new Values(seeded(20_261_121));
    for (let round = 0; round < 200; round++) {
      const value = values.any(0);
      const encoded = encodeMsgpack(value);
      // Not `toEqual`, which takes seconds over large values.
      expect(Bun.deepEquals(decodeMsgpack(encoded), value, true)).toBe(true);
      expect(Bun.deepEquals(unpackr.unpack(encoded), value, true)).toBe(true);
      expect(Bun.deepEquals(decodeMsgpack(packr.pack(value)), value, true)).toBe(true);
    }
  });

  test("a timestamp is an integer of 64 bits, not a float", () => {
    const encoded = encodeMsgpack(1_732_190_000_123);
    expect(encoded[0]).toBe(0xcf);
    expect(encoded.length).toBe(9);
    expect(decodeMsgpack(encoded)).toBe(1_732_190_000_123);
  });

  test.each([
    [0, [0]],
    [-0, [0]],
    [127, [0x7f]],
    [128, [0xcc, 0x80]],
    [256, [0xcd, 1, 0]],
    [65_536, [0xce, 0, 1, 0, 0]],
    [2 ** 32, [0xcf, 0, 0, 0, 1, 0, 0, 0, 0]],
    [-1, [0xff]],
    [-33, [0xd0, 0xdf]],
    [-129, [0xd1, 0xff, 0x7f]],
    [-32_769, [0xd2, 0xff, 0xff, 0x7f, 0xff]],
    [-(2 ** 31) - 1, [0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]],
  ])("%p takes the fewest bytes", (value, bytes) => {
    expect([...encodeMsgpack(value)]).toEqual(bytes);
  });

  test("integers are numbers up to 2^53-1 and bigints above", () => {
    for (const value of [2 ** 53 - 1, -(2 ** 53 - 1)]) expect(decodeMsgpack(encodeMsgpack(value))).toBe(value);
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n, -(2n ** 63n), -(2n ** 53n), -(2n ** 53n) - 1n]) {
      expect(decodeMsgpack(encodeMsgpack(value))).toBe(value);
    }
    expect(() => encodeMsgpack(2n ** 64n)).toThrow(RangeError);
  });

  test("undefined fields are left out, bytes are bin, a BOM stays", () => {
    expect(decodeMsgpack(encodeMsgpack({ a: undefined, b: 1 }))).toEqual({ b: 1 });
    expect(encodeMsgpack(new Uint8Array([7]))).toEqual(new Uint8Array([0xc4, 1, 7]));
    expect(decodeMsgpack(encodeMsgpack("\ufeffx".repeat(40)))).toBe("\ufeffx".repeat(40));
  });

  test("an answer is not changed by the one after it", () => {
    const first = encodeMsgpack("first");
    encodeMsgpack("other");
    expect(decodeMsgpack(first)).toBe("first");
  });

  test("strings of equal length and similar text are told apart", () => {
    const texts = Array.from({ length: 5000 }, (_, i) => `subject-${String(i).padStart(5, "0")}`);
    // Twice: the second time from memory.
    expect(decodeMsgpack(encodeMsgpack([texts, texts]))).toEqual([texts, texts]);
  });
});

describe("hostile input", () => {
  test.each([
    ["nothing", []],
    ["bytes behind the value", [0xc0, 0xc0]],
    ["the unused type", [0xc1]],
    ["a string that is cut off", [0xa5, 0x61]],
    ["bin that claims 4 GiB", [0xc6, 0xff, 0xff, 0xff, 0xff]],
    ["a string that claims 4 GiB", [0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]],
    ["an array that claims 4 billion items", [0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0]],
    ["a map that claims 4 billion pairs", [0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0, 0xc0]],
    ["a map whose pairs are cut off", [0x82, 0xa1, 0x61, 0x01]],
    ["a fixext", [0xd4, 0x01, 0x00]],
    ["a timestamp extension", [0xd6, 0xff, 0, 0, 0, 0]],
    ["a record definition of msgpackr", [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01]],
    ["an ext of 4 GiB", [0xc9, 0xff, 0xff, 0xff, 0xff, 0x01]],
    ["a key that is a number", [0x81, 0x01, 0x01]],
    ["a key that is bin", [0x81, 0xc4, 0x01, 0x61, 0x01]],
    ["text with an overlong form", [0xa2, 0xc0, 0x80]],
    ["text with a surrogate", [0xa3, 0xed, 0xa0, 0x80]],
    ["text that ends inside a character", [0xa1, 0xc3]],
  ])("%s is refused", (_, bytes) => {
    expect(refused(bytes)).toBe("malformed_body");
  });

  test("nesting is bounded, however deep it claims to be", () => {
    const nested = (depth: number): number[] => [...new Array<number>(depth).fill(0x91), 0xc0];
    expect(refused(nested(msgpackDepthMax))).toBe("accepted");
    expect(refused(nested(msgpackDepthMax + 1))).toBe("malformed_body");
    expect(refused(new Uint8Array(1_000_000).fill(0x91))).toBe("malformed_body");
  });

  test("many empty containers are refused before they fill the memory", () => {
    const count = msgpackContainersMax + 1;
    const bytes = new Uint8Array(5 + count).fill(0x80);
    bytes.set([0xdd, count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255]);
    expect(refused(bytes)).toBe("malformed_body");
  });

  test("every prefix of a frame is refused", () => {
    const frame = encodeMsgpack({ op: "publish", id: 2 ** 40, list: [1, "zwei", new Uint8Array(3), -5.5], ä: null });
    for (let length = 0; length < frame.length; length++)
      expect(refused(frame.subarray(0, length))).toBe("malformed_body");
  });

  test("noise never does anything but decode or be refused", () => {
    const random = seeded(7);
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 256));
      expect(["accepted", "malformed_body"]).toContain(refused(bytes));
    }
  });

  test("__proto__ is a field like any other", () => {
    const map = decodeMsgpack(encodeMsgpack(JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}')));
    expect(Object.keys(map as object)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
    expect((map as Record<string, unknown>)["admin"]).toBeUndefined();
  });
});
