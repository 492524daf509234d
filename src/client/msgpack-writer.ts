/**
 * Writes msgpack into one buffer that is used again and again. Like the server's writer, but with nothing that a
 * browser does not have, and only what requests need.
 * @module
 */

const startBytes = 16 * 1024;
/** A buffer that grew beyond this is let go. */
const keepBytesMax = 1024 * 1024;
const uint32 = 2 ** 32;

const encoder = new TextEncoder();

/**
 * Makes a function that encodes strings, numbers, booleans, bytes, arrays and maps; undefined fields are left out.
 * Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export const msgpackWriter = (): ((value: unknown) => Uint8Array<ArrayBuffer>) => {
  let bytes = new Uint8Array(startBytes);
  let numbers = new DataView(bytes.buffer);
  let length = 0;

  const resize = (size: number): void => {
    const before = bytes.subarray(0, length);
    bytes = new Uint8Array(size);
    numbers = new DataView(bytes.buffer);
    bytes.set(before);
  };

  /** Makes room for `count` bytes and returns where they go. */
  const skip = (count: number): number => {
    const start = length;
    const end = start + count;
    if (end > bytes.length) resize(end * 2);
    length = end;
    return start;
  };

  /** The same behind a type byte. */
  const take = (type: number, count: number): number => {
    const start = skip(count + 1);
    bytes[start] = type;
    return start + 1;
  };

  /** A type byte and a number of 32 bits: the shorter forms save a few bytes, and none of the time. */
  const sized = (type: number, size: number): void => {
    // Not as one expression: `take` may put another buffer in place.
    const start = take(type, 4);
    numbers.setUint32(start, size);
  };

  const raw = (value: Uint8Array): void => {
    const start = skip(value.length);
    bytes.set(value, start);
  };

  const number = (value: number): void => {
    if (!Number.isSafeInteger(value) || value < 0) {
      const start = take(0xcb, 8);
      numbers.setFloat64(start, value);
    } else if (value < 0x80) take(value, 0);
    else if (value < uint32) sized(0xce, value);
    else {
      sized(0xcf, Math.floor(value / uint32));
      const start = skip(4);
      numbers.setUint32(start, value % uint32);
    }
  };

  /** Short names fill a frame; a loop is faster than the encoder for them. */
  const ascii = (value: string): boolean => {
    const before = length;
    const chars = value.length;
    let at = take(0xa0 | chars, chars);
    for (let i = 0; i < chars; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        length = before;
        return false;
      }
      bytes[at++] = code;
    }
    return true;
  };

  const string = (value: string): void => {
    if (value.length < 32 && ascii(value)) return;
    const encoded = encoder.encode(value);
    sized(0xdb, encoded.length);
    raw(encoded);
  };

  const container = (fix: number, type: number, count: number): void => {
    if (count < 16) take(fix | count, 0);
    else sized(type, count);
  };

  const map = (fields: Readonly<Record<string, unknown>>): void => {
    let count = 0;
    for (const name in fields) if (fields[name] !== undefined) count++;
    container(0x80, 0xdf, count);
    for (const name in fields) {
      if (fields[name] === undefined) continue;
      string(name);
      any(fields[name]);
    }
  };

  const any = (value: unknown): void => {
    if (typeof value === "string") string(value);
    else if (typeof value === "number") number(value);
    else if (typeof value === "boolean") take(value ? 0xc3 : 0xc2, 0);
    else if (value instanceof Uint8Array) {
      sized(0xc6, value.length);
      raw(value);
    } else if (Array.isArray(value)) {
      container(0x90, 0xdd, value.length);
      value.forEach(any);
    } else map(value as Readonly<Record<string, unknown>>);
  };

  return (value) => {
    length = 0;
    if (bytes.length > keepBytesMax) resize(startBytes);
    any(value);
    // A copy: a WebSocket may look at it later.
    return bytes.slice(0, length);
  };
};
