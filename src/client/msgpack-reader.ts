/**
 * Reads one msgpack value from a server that is trusted to mean well, but not to be free of faults: whatever is cut
 * off, goes on behind the value, or is of an unknown type is a `protocol_error`.
 * @module
 */
import { protocolError } from "./errors.ts";
import { utf8 } from "./wire.ts";

/** Keys and subjects come again and again; finding them in a table is cheaper than decoding them. */
const rememberedBytesMax = 48;
const rememberedSlots = 1024;

/** May be reused, not re-entered. */
export class MsgpackReader {
  #bytes = new Uint8Array(0);
  #numbers = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #remembered: string[] = [];

  /**
   * Byte strings in the value are views of `frame`.
   * @throws MtsError `protocol_error`
   */
  decode(frame: ArrayBuffer): unknown {
    this.#bytes = new Uint8Array(frame);
    this.#numbers = new DataView(frame);
    this.#at = 0;
    const value = this.#value();
    if (this.#at !== this.#bytes.length) throw protocolError("more than one value");
    return value;
  }

  #take(count: number): number {
    const start = this.#at;
    this.#at = start + count;
    if (this.#at > this.#bytes.length) throw protocolError("less than one value");
    return start;
  }

  /** @param bytes 1, 2, 4 or 8; numbers of the contract end at 2^53-1 */
  #uint(bytes: number): number {
    const start = this.#take(bytes);
    const numbers = this.#numbers;
    if (bytes === 1) return numbers.getUint8(start);
    if (bytes === 2) return numbers.getUint16(start);
    if (bytes === 4) return numbers.getUint32(start);
    return numbers.getUint32(start) * 2 ** 32 + numbers.getUint32(start + 4);
  }

  #int(bytes: number): number {
    const value = this.#uint(bytes);
    const range = 2 ** (bytes * 8);
    return value * 2 < range ? value : value - range;
  }

  #value(): unknown {
    const type = this.#uint(1);
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 0x0f);
    if (type < 0xa0) return this.#array(type & 0x0f);
    if (type < 0xc0) return this.#string(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    // The types of a family follow each other, each with a number of twice as many bytes.
    const place = type & 3;
    const size = 1 << place;
    const half = size >> 1;
    if (type === 0xc0) return null;
    if (type === 0xc2 || type === 0xc3) return place === 3;
    if (type >= 0xde) return this.#map(this.#uint(half));
    if (type >= 0xdc) return this.#array(this.#uint(size * 2));
    if (type >= 0xd9) return this.#string(this.#uint(half));
    if (type === 0xcb) return this.#numbers.getFloat64(this.#take(8));
    if (type >= 0xd0 && type < 0xd4) return this.#int(size);
    if (type >= 0xcc && type < 0xd0) return this.#uint(size);
    if (type >= 0xc4 && type < 0xc7) return this.#binary(this.#uint(size));
    throw protocolError(`type ${type}`);
  }

  #binary(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, this.#at);
  }

  #array(count: number): unknown[] {
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(this.#value());
    return items;
  }

  #map(count: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = String(this.#value());
      const value = this.#value();
      // A header may have this name; assigning it would set the prototype instead.
      if (key === "__proto__") Object.defineProperty(map, key, { value, enumerable: true });
      else map[key] = value;
    }
    return map;
  }

  #string(length: number): string {
    const start = this.#take(length);
    if (length > rememberedBytesMax) return utf8(this.#bytes.subarray(start, this.#at));
    let hash = length;
    for (let i = start; i < this.#at; i++) hash = (hash * 31 + (this.#bytes[i] ?? 0)) | 0;
    const slot = hash & (rememberedSlots - 1);
    const known = this.#remembered[slot];
    if (known?.length === length && this.#isAt(known, start)) return known;
    return (this.#remembered[slot] = utf8(this.#bytes.subarray(start, this.#at)));
  }

  /** Whether an all-ASCII text stands here; one that is not ASCII differs from its bytes. */
  #isAt(text: string, start: number): boolean {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.#bytes[start + i]) return false;
    return true;
  }
}
