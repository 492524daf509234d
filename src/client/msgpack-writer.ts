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

/** Format: https://github.com/msgpack/msgpack/blob/master/spec.md */
export class MsgpackWriter {
  #bytes = new Uint8Array(startBytes);
  #numbers = new DataView(this.#bytes.buffer);
  /** Bytes written. */
  #length = 0;

  /** Encodes one value. */
  encode(value: unknown): Uint8Array<ArrayBuffer> {
    this.#length = 0;
    if (this.#bytes.length > keepBytesMax) this.#grow(startBytes);
    this.#value(value);
    // A WebSocket may look at them later.
    return this.#bytes.slice(0, this.#length);
  }

  #grow(bytes: number): void {
    const before = this.#bytes;
    this.#bytes = new Uint8Array(bytes);
    this.#numbers = new DataView(this.#bytes.buffer);
    this.#bytes.set(before.subarray(0, this.#length));
  }

  /** Makes room for `count` bytes and returns where they go. */
  #skip(count: number): number {
    const start = this.#length;
    const end = start + count;
    if (end > this.#bytes.length) this.#grow(end * 2);
    this.#length = end;
    return start;
  }

  /** The same behind a type byte. */
  #take(type: number, count: number): number {
    const start = this.#skip(count + 1);
    this.#bytes[start] = type;
    return start + 1;
  }

  /** A type byte and a number of 32 bits: the shorter forms save a few bytes, and none of the time. */
  #sized(type: number, size: number): void {
    this.#numbers.setUint32(this.#take(type, 4), size);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      const start = this.#take(0xcb, 8);
      this.#numbers.setFloat64(start, value);
    } else if (value < 0x80) this.#take(value, 0);
    else if (value < uint32) this.#sized(0xce, value);
    else {
      this.#sized(0xcf, Math.floor(value / uint32));
      this.#numbers.setUint32(this.#skip(4), value % uint32);
    }
  }

  #string(value: string): void {
    if (value.length < 32 && this.#ascii(value)) return;
    const encoded = encoder.encode(value);
    this.#sized(0xdb, encoded.length);
    this.#raw(encoded);
  }

  /** Short names fill a frame; a loop is faster than the encoder for them. */
  #ascii(value: string): boolean {
    const before = this.#length;
    const chars = value.length;
    let at = this.#take(0xa0 | chars, chars);
    const bytes = this.#bytes;
    for (let i = 0; i < chars; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = before;
        return false;
      }
      bytes[at++] = code;
    }
    return true;
  }

  #raw(value: Uint8Array): void {
    const start = this.#skip(value.length);
    this.#bytes.set(value, start);
  }

  /** Strings, numbers, booleans, bytes, arrays and maps; undefined fields are left out. */
  #value(value: unknown): void {
    if (typeof value === "string") this.#string(value);
    else if (typeof value === "number") this.#number(value);
    else if (typeof value === "boolean") this.#take(value ? 0xc3 : 0xc2, 0);
    else if (value instanceof Uint8Array) {
      this.#sized(0xc6, value.length);
      this.#raw(value);
    } else if (Array.isArray(value)) {
      this.#container(0x90, 0xdd, value.length);
      for (const item of value as readonly unknown[]) this.#value(item);
    } else this.#map(value as Readonly<Record<string, unknown>>);
  }

  #container(fix: number, type: number, count: number): void {
    if (count < 16) this.#take(fix | count, 0);
    else this.#sized(type, count);
  }

  #map(map: Readonly<Record<string, unknown>>): void {
    let fields = 0;
    for (const name in map) if (map[name] !== undefined) fields++;
    this.#container(0x80, 0xdf, fields);
    for (const name in map) {
      if (map[name] === undefined) continue;
      this.#string(name);
      this.#value(map[name]);
    }
  }
}
