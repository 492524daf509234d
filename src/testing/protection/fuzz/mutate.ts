/**
 * How real requests are spoilt: as values (types swapped, fields gone, added or huge, containers in containers, counts
 * that lie) and as bytes (bits flipped, cut off, spliced, lengths overwritten).
 * @module
 */
import type { SeededRandom } from "../../faults/random.ts";
import { LyingList, LyingMap, RawBytes } from "./pack.ts";

/** Bytes by chance. */
export const randomBytes = (random: SeededRandom, length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = random.integer(0, 255);
  return bytes;
};

/** Heads of msgpack values with room for a length behind them, and what is never valid. */
const tags = [
  0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
];

/** Spoils bytes; `other` is what may be spliced in. */
export const mutateBytes = (random: SeededRandom, bytes: Buffer, other: Buffer): Buffer => {
  let mutated: Buffer = Buffer.from(bytes);
  for (let times = random.integer(1, 3); times > 0; times--) mutated = mutateOnce(random, mutated, other);
  return mutated;
};

const mutateOnce = (random: SeededRandom, bytes: Buffer, other: Buffer): Buffer => {
  const at = random.integer(0, Math.max(0, bytes.length - 1));
  switch (random.integer(0, 8)) {
    case 0:
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7));
      return bytes;
    case 1:
      if (bytes.length > 0) bytes[at] = random.integer(0, 255);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes, randomBytes(random, random.integer(1, 8))]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), randomBytes(random, random.integer(1, 8)), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.integer(0, other.length))]);
    case 6: {
      // A head that claims up to four thousand million of whatever follows.
      const head = Buffer.from([
        tags[random.integer(0, tags.length - 1)] ?? 0,
        0xff,
        0xff,
        0xff,
        random.integer(0, 255),
      ]);
      head.copy(bytes, at, 0, random.integer(1, 5));
      return bytes;
    }
    case 7: {
      const end = Math.min(bytes.length, at + random.integer(1, 64));
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
    }
    default: {
      const end = Math.min(bytes.length, at + random.integer(1, 16));
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    }
  }
};

const strings = [
  "",
  "\0",
  "a".repeat(300),
  "é\u0301\u0301",
  "\ud800",
  "\u202e",
  "fuzz..a",
  ".",
  "*",
  ">",
  "fuzz.>.a",
  "$SYS.a",
  "$SYS.>",
  "__proto__",
  "constructor",
  "../../etc/passwd",
  "%2e%2e%2f",
  "1e400",
  "-1",
  "10000000000000000000000d",
  "9999-99-99T99:99:99Z",
  "0001-01-01T00:00:00+23:59",
];
const numbers = [
  0,
  -0,
  -1,
  1,
  0.5,
  -0.5,
  1e308,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53),
  65_536,
];

const nested = (random: SeededRandom): unknown => {
  let value: unknown = 1;
  for (let depth = random.integer(1, 40); depth > 0; depth--)
    value = random.integer(0, 1) === 0 ? [value] : { a: value };
  return value;
};

/** Any value, most often one that is nearly right. `binary` allows what only msgpack can say. */
const strange = (random: SeededRandom, binary: boolean): unknown => {
  const kind = random.integer(0, binary ? 12 : 8);
  switch (kind) {
    case 0:
      return strings[random.integer(0, strings.length - 1)];
    case 1:
      return numbers[random.integer(0, numbers.length - 1)];
    case 2:
      return random.integer(-1000, 100_000);
    case 3:
      return random.integer(0, 1) === 0;
    case 4:
      return null;
    case 5:
      return nested(random);
    case 6:
      return Array.from({ length: random.integer(0, 30) }, () => random.integer(0, 600));
    case 7:
      return Object.fromEntries(Array.from({ length: random.integer(0, 20) }, (_, n) => [`k${n}`, `${n}`]));
    case 8:
      return "x".repeat(random.integer(0, 8) === 0 ? 70_000 : random.integer(0, 300));
    case 9:
      return new LyingList([1, 2, 3], random.integer(0, 1) === 0 ? 0xffff_ffff : random.integer(0, 20));
    case 10:
      return new RawBytes(randomBytes(random, random.integer(1, 12)));
    case 11:
      return [-(2n ** 63n), 2n ** 64n - 1n, 2n ** 53n][random.integer(0, 2)];
    default:
      return randomBytes(random, random.integer(0, 300));
  }
};

const fieldNames = [
  "op",
  "id",
  "subject",
  "data",
  "data_base64",
  "headers",
  "sid",
  "from",
  "__proto__",
  "constructor",
  "x",
];

/** Spoils a value: one or two places in it, at any depth. */
export const mutateValue = (random: SeededRandom, value: unknown, binary: boolean): unknown => {
  let mutated = value;
  for (let times = random.integer(1, 2); times > 0; times--) mutated = mutateInside(random, mutated, binary);
  return mutated;
};

const mutateInside = (random: SeededRandom, value: unknown, binary: boolean): unknown => {
  if (Array.isArray(value) && value.length > 0 && random.integer(0, 3) > 0) {
    const items = [...(value as unknown[])];
    const at = random.integer(0, items.length - 1);
    if (random.integer(0, 3) === 0) items.splice(at, random.integer(0, 1), items[0]);
    else items[at] = mutateInside(random, items[at], binary);
    return items;
  }
  if (!isMap(value)) return strange(random, binary);
  const entries = Object.entries(value);
  const at = random.integer(0, Math.max(0, entries.length - 1));
  const [key, item] = entries[at] ?? ["x", 1];
  switch (random.integer(0, 9)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries.push([fieldNames[random.integer(0, fieldNames.length - 1)] ?? "x", strange(random, binary)]);
      break;
    case 2:
      entries[at] = [`${key}${random.integer(0, 9)}`, item];
      break;
    case 3:
      if (binary) return new LyingMap(value, entries.length + random.integer(-1, 3));
      entries[at] = [key, strange(random, binary)];
      break;
    case 4:
    case 5:
      entries[at] = [key, mutateInside(random, item, binary)];
      break;
    default:
      entries[at] = [key, strange(random, binary)];
  }
  return Object.fromEntries(entries);
};

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
