/**
 * Writes msgpack into one buffer that is used again and again. Like the server's writer, but with nothing that a
 * browser does not have, and only what requests need.
 * @module
 */

const keepBytesMax = 1024 * 1024;
const startBytes = 16 * 1024;
/** Up to here a loop is faster than the encoder. */
const asciiLoopCharsMax = 40;
/** Up to here room for the longest encoding is made in advance; longer texts are encoded on their own. */
const inPlaceCharsMax = 64 * 1024;
const uint32 = 2 ** 32;

const encoder = new TextEncoder();

/** Format: https://github.com/msgpack/msgpack/blob/master/spec.md */
export class MsgpackWriter {
  #bytes = new Uint8Array(startBytes);
  #numbers = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Starts over. */
  reset(): void {
    this.#length = 0;
    if (this.#bytes.length > keepBytesMax) this.#adopt(new Uint8Array(startBytes));
  }

  /** Bytes written since `reset`. */
  get length(): number {
    return this.#length;
  }

  /** What was written, valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  #adopt(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#numbers = new DataView(bytes.buffer);
  }

  /** Makes room for `count` bytes and returns where they go. */
  #take(count: number): number {
    const start = this.#length;
    this.#length = start + count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, start));
      this.#adopt(grown);
    }
    return start;
  }

  #byte(value: number): void {
    const start = this.#take(1);
    this.#bytes[start] = value;
  }

  #sized(type8: number, size: number): void {
    if (size < 0x100) {
      this.#byte(type8);
      this.#byte(size);
    } else if (size < 0x10000) {
      const start = this.#take(3);
      this.#bytes[start] = type8 + 1;
      this.#numbers.setUint16(start + 1, size);
    } else {
      const start = this.#take(5);
      this.#bytes[start] = type8 + 2;
      this.#numbers.setUint32(start + 1, size);
    }
  }

  mapHead(count: number): void {
    this.#containerHead(count, 0x80, 0xde);
  }

  arrayHead(count: number): void {
    this.#containerHead(count, 0x90, 0xdc);
  }

  #containerHead(count: number, fix: number, type16: number): void {
    if (count < 16) this.#byte(fix | count);
    // Containers have no 8-bit form; the 16-bit one holds every list that a request may carry.
    else if (count < 0x10000) {
      const start = this.#take(3);
      this.#bytes[start] = type16;
      this.#numbers.setUint16(start + 1, count);
    } else throw new RangeError("more items than a request may have");
  }

  number(value: number): void {
    if (Number.isSafeInteger(value) && value >= 0) {
      if (value < 0x80) this.#byte(value);
      else if (value < uint32) this.#sized(0xcc, value);
      else {
        const start = this.#take(9);
        this.#bytes[start] = 0xcf;
        this.#numbers.setUint32(start + 1, Math.floor(value / uint32));
        this.#numbers.setUint32(start + 5, value % uint32);
      }
    } else {
      // Negative integers of any size as int64: `-1` is the only one that a request knows.
      const start = this.#take(9);
      const whole = Number.isSafeInteger(value);
      this.#bytes[start] = whole ? 0xd3 : 0xcb;
      if (whole) this.#numbers.setBigInt64(start + 1, BigInt(value));
      else this.#numbers.setFloat64(start + 1, value);
    }
  }

  /** UTF-8 text; the caller saw to it that it is well-formed. */
  string(value: string): void {
    const chars = value.length;
    if (chars <= asciiLoopCharsMax && this.#ascii(value, chars)) return;
    if (chars > inPlaceCharsMax) {
      const encoded = encoder.encode(value);
      this.#sized(0xd9, encoded.length);
      this.#raw(encoded);
      return;
    }
    const start = this.#take(5 + chars * 3);
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(start + 5, this.#length));
    this.#bytes[start] = 0xdb;
    this.#numbers.setUint32(start + 1, written);
    this.#length = start + 5 + written;
  }

  #ascii(value: string, chars: number): boolean {
    const before = this.#length;
    let at = this.#take(chars + 2);
    const bytes = this.#bytes;
    if (chars < 32) bytes[at++] = 0xa0 | chars;
    else {
      bytes[at++] = 0xd9;
      bytes[at++] = chars;
    }
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

  binary(value: Uint8Array): void {
    this.#sized(0xc4, value.length);
    this.#raw(value);
  }

  #raw(value: Uint8Array): void {
    const start = this.#take(value.length);
    this.#bytes.set(value, start);
  }

  /** A request made of strings, numbers, booleans, bytes, arrays and maps; undefined fields are left out. */
  value(value: unknown): void {
    if (typeof value === "string") this.string(value);
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "boolean") this.#byte(value ? 0xc3 : 0xc2);
    else if (value instanceof Uint8Array) this.binary(value);
    else if (Array.isArray(value)) {
      this.arrayHead(value.length);
      for (const item of value as readonly unknown[]) this.value(item);
    } else if (typeof value === "object" && value !== null) {
      const fields = Object.entries(value).filter(([, item]) => item !== undefined);
      this.mapHead(fields.length);
      for (const [name, item] of fields) {
        this.string(name);
        this.value(item);
      }
    } else this.#byte(0xc0);
  }
}
