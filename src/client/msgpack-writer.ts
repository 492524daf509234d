/**
 * Writes msgpack into one buffer that is used again and again. Like the server's writer, but with nothing that a
 * browser does not have, and only what requests need.
 * @module
 */

const startBytes = 16 * 1024;
/** A buffer that grew beyond this is let go. */
const keepBytesMax = 1024 * 1024;
/** Up to here a loop is faster than the encoder. */
const asciiLoopCharsMax = 40;
const uint32 = 2 ** 32;

const encoder = new TextEncoder();

/** Format: https://github.com/msgpack/msgpack/blob/master/spec.md */
export class MsgpackWriter {
  #bytes = new Uint8Array(startBytes);
  #numbers = new DataView(this.#bytes.buffer);
  /** Bytes written. */
  #length = 0;

  /** Encodes one value; the bytes are valid until the next call. */
  encode(value: unknown): Uint8Array<ArrayBuffer> {
    this.#length = 0;
    if (this.#bytes.length > keepBytesMax) this.#grow(startBytes);
    this.#value(value);
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(bytes: number): void {
    const before = this.#bytes;
    this.#bytes = new Uint8Array(bytes);
    this.#numbers = new DataView(this.#bytes.buffer);
    this.#bytes.set(before.subarray(0, this.#length));
  }

  /** Makes room for `count` bytes behind a type byte and returns where they go. */
  #take(type: number, count: number): number {
    const start = this.#length;
    const end = start + 1 + count;
    if (end > this.#bytes.length) this.#grow(Math.max(end, this.#bytes.length * 2));
    this.#bytes[start] = type;
    this.#length = end;
    return start + 1;
  }

  /** A type byte and its number of 8, 16 or 32 bits; `type8` 0 = there is no 8-bit form. */
  #sized(type8: number, type16: number, size: number): void {
    if (size < 0x100 && type8 > 0) this.#numbers.setUint8(this.#take(type8, 1), size);
    else if (size < 0x10000) this.#numbers.setUint16(this.#take(type16, 2), size);
    else this.#numbers.setUint32(this.#take(type16 + 1, 4), size);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      const start = this.#take(0xcb, 8);
      this.#numbers.setFloat64(start, value);
    } else if (value < 0x80) this.#take(value, 0);
    else if (value < uint32) this.#sized(0xcc, 0xcd, value);
    else {
      const start = this.#take(0xcf, 8);
      this.#numbers.setUint32(start, Math.floor(value / uint32));
      this.#numbers.setUint32(start + 4, value % uint32);
    }
  }

  #string(value: string): void {
    if (value.length <= asciiLoopCharsMax && this.#ascii(value)) return;
    const encoded = encoder.encode(value);
    this.#sized(0xd9, 0xda, encoded.length);
    this.#raw(encoded);
  }

  #ascii(value: string): boolean {
    const before = this.#length;
    const chars = value.length;
    if (chars < 32) this.#take(0xa0 | chars, 0);
    else this.#sized(0xd9, 0xda, chars);
    if (this.#length + chars > this.#bytes.length) this.#grow(this.#bytes.length * 2);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < chars; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = before;
        return false;
      }
      bytes[at++] = code;
    }
    this.#length = at;
    return true;
  }

  #raw(value: Uint8Array): void {
    const start = this.#length;
    if (start + value.length > this.#bytes.length) this.#grow((start + value.length) * 2);
    this.#bytes.set(value, start);
    this.#length += value.length;
  }

  /** Strings, numbers, booleans, bytes, arrays and maps; undefined fields are left out. */
  #value(value: unknown): void {
    if (typeof value === "string") this.#string(value);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "boolean") this.#take(value ? 0xc3 : 0xc2, 0);
    else if (value instanceof Uint8Array) {
      this.#sized(0xc4, 0xc5, value.length);
      this.#raw(value);
    } else if (Array.isArray(value)) {
      this.#container(0x90, 0xdc, value.length);
      for (const item of value as readonly unknown[]) this.#value(item);
    } else this.#map(value as Readonly<Record<string, unknown>>);
  }

  #container(fix: number, type16: number, count: number): void {
    if (count < 16) this.#take(fix | count, 0);
    else this.#sized(0, type16, count);
  }

  #map(map: Readonly<Record<string, unknown>>): void {
    let fields = 0;
    for (const name in map) if (map[name] !== undefined) fields++;
    this.#container(0x80, 0xde, fields);
    for (const name in map) {
      if (map[name] === undefined) continue;
      this.#string(name);
      this.#value(map[name]);
    }
  }
}
