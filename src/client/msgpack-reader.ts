/**
 * Reads one msgpack value from a server that is trusted to mean well, but not to be free of faults: whatever is cut
 * off, goes on behind the value, or is of an unknown type is a `protocol_error`.
 * @module
 */
import { protocolError } from "./errors.ts";
import { utf8 } from "./wire.ts";

/**
 * Makes a function that decodes a frame; byte strings in the value are views of it. (Functions over shared variables
 * and not a class: the SDK has a size to keep, and this is its hottest code.)
 * Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 * @throws MtsError `protocol_error`
 */
export const msgpackReader = (): ((frame: ArrayBuffer) => unknown) => {
  // Keys and subjects come again and again; finding them in a table is cheaper than decoding them.
  const rememberedBytesMax = 48;
  const rememberedSlots = 1024;
  let bytes = new Uint8Array(0);
  let numbers = new DataView(bytes.buffer);
  let at = 0;
  const remembered: string[] = [];

  const take = (count: number): number => {
    const start = at;
    at += count;
    if (at > bytes.length) throw protocolError("less than one value");
    return start;
  };

  const binary = (length: number): Uint8Array => bytes.subarray(take(length), at);

  /** @param size 1, 2, 4 or 8 bytes; numbers of the contract end at 2^53-1 */
  const uint = (size: number): number => {
    const start = take(size);
    if (size === 1) return numbers.getUint8(start);
    if (size === 2) return numbers.getUint16(start);
    const high = numbers.getUint32(start);
    return size === 4 ? high : high * 2 ** 32 + numbers.getUint32(start + 4);
  };

  const int = (size: number): number => {
    const unsigned = uint(size);
    const range = 2 ** (size * 8);
    return unsigned * 2 < range ? unsigned : unsigned - range;
  };

  const array = (count: number): unknown[] => {
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(value());
    return items;
  };

  const map = (count: number): Record<string, unknown> => {
    const fields: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const name = value() as string;
      const field = value();
      // A header may have this name; assigning it would set the prototype instead.
      if (name === "__proto__") Object.defineProperty(fields, name, { value: field, enumerable: true });
      else fields[name] = field;
    }
    return fields;
  };

  /** Whether an all-ASCII text stands here; one that is not ASCII differs from its bytes. */
  const isAt = (text: string, start: number): boolean => {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
    return true;
  };

  const string = (length: number): string => {
    if (length > rememberedBytesMax) return utf8(binary(length));
    const start = take(length);
    let hash = length;
    for (let i = start; i < at; i++) hash = (hash * 31 + (bytes[i] ?? 0)) | 0;
    const slot = hash & (rememberedSlots - 1);
    const known = remembered[slot];
    if (known?.length === length && isAt(known, start)) return known;
    return (remembered[slot] = utf8(bytes.subarray(start, at)));
  };

  const value = (): unknown => {
    const type = uint(1);
    if (type < 0x80) return type;
    if (type < 0x90) return map(type & 0x0f);
    if (type < 0xa0) return array(type & 0x0f);
    if (type < 0xc0) return string(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    // The types of a family follow each other, each with a number of twice as many bytes.
    const place = type & 3;
    const size = 1 << place;
    const half = size >> 1;
    if (type === 0xc0) return null;
    if (type === 0xc2 || type === 0xc3) return place === 3;
    if (type >= 0xde) return map(uint(half));
    if (type >= 0xdc) return array(uint(size * 2));
    if (type >= 0xd9) return string(uint(half));
    if (type === 0xcb) return numbers.getFloat64(take(8));
    if (type >= 0xd0 && type < 0xd4) return int(size);
    if (type >= 0xcc && type < 0xd0) return uint(size);
    if (type >= 0xc4 && type < 0xc7) return binary(uint(size));
    throw protocolError(`type ${type}`);
  };

  return (frame) => {
    bytes = new Uint8Array(frame);
    numbers = new DataView(bytes.buffer);
    at = 0;
    const whole = value();
    if (at !== bytes.length) throw protocolError("more than one value");
    return whole;
  };
};
