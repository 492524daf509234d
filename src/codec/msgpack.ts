/**
 * msgpack for the whole server: `encodeMsgpack` writes integers as integers, `decodeMsgpack` reads what strangers send.
 * @module
 */
import { MsgpackReader } from "./msgpack-reader.ts";
import { MsgpackWriter } from "./msgpack-writer.ts";

const writer = new MsgpackWriter();
const reader = new MsgpackReader();

/**
 * Encodes null, booleans, numbers, bigints, strings, bytes (as bin), arrays and plain objects (own fields; undefined
 * ones are left out). Integers up to 2^53-1 and every bigint of 64 bits are integers on the wire, never floats.
 * @throws TypeError for functions and symbols, RangeError for a bigint above 64 bits
 */
export const encodeMsgpack = (value: unknown): Uint8Array<ArrayBuffer> => {
  writer.reset();
  writer.value(value);
  return writer.copy();
};

/**
 * Decodes exactly one value. Byte strings are views of `bytes`, integers above 2^53-1 bigints, `__proto__` an own
 * field of its map.
 * @throws StreamError `malformed_body` for bytes that are cut off, go on behind the value, nest deeper than 16, claim
 *   more than they hold, or use 0xC1, extension types, keys that are no strings or text that is not UTF-8
 */
export const decodeMsgpack = (bytes: Uint8Array): unknown => reader.decode(bytes);
