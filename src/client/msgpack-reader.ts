/**
 * Reads one msgpack value from a server that is trusted to mean well, but not to be free of faults: whatever is cut
 * off, goes on behind the value, or is of an unknown type is a `protocol_error`.
 * @module
 */
import { protocolError } from "./errors.ts";

/** Keys and subjects come again and again; finding them in a table is cheaper than decoding them. */
const rememberedBytesMax = 48;
const rememberedSlots = 1024;
const uint32 = 2 ** 32;

// A BOM is part of a text here.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** May be reused, not re-entered. */
export class MsgpackReader {
  #bytes = new Uint8Array(0);
  #numbers = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #remembered = new Array<string>(rememberedSlots).fill("");

  /**
   * Byte strings in the value are views of `frame`.
   * @throws MtsError `protocol_error`
   */
  decode(frame: ArrayBuffer): unknown {
    this.#bytes = new Uint8Array(frame);
    this.#numbers = new DataView(frame);
    this.#at = 0;
    let value: unknown;
    try {
      value = this.#value();
    } catch (error) {
      // DataView's own bounds check.
      if (error instanceof RangeError) throw protocolError("a frame that is cut off");
      throw error;
    }
    if (this.#at !== this.#bytes.length) throw protocolError("a frame with more than one value");
    return value;
  }

  #take(count: number): number {
    const start = this.#at;
    this.#at = start + count;
    if (this.#at > this.#bytes.length) throw protocolError("a frame that is cut off");
    return start;
  }

  #uint(bytes: 1 | 2 | 4): number {
    const start = this.#take(bytes);
    if (bytes === 1) return this.#numbers.getUint8(start);
    return bytes === 2 ? this.#numbers.getUint16(start) : this.#numbers.getUint32(start);
  }

  #int64(high: number): number {
    // Sequences and times end at 2^53-1.
    return high * uint32 + this.#uint(4);
  }

  #value(): unknown {
    const type = this.#uint(1);
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 0x0f);
    if (type < 0xa0) return this.#array(type & 0x0f);
    if (type < 0xc0) return this.#string(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    return this.#typed(type);
  }

  #typed(type: number): unknown {
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#uint(1));
      case 0xc5:
        return this.#binary(this.#uint(2));
      case 0xc6:
        return this.#binary(this.#uint(4));
      case 0xcb:
        return this.#numbers.getFloat64(this.#take(8));
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return this.#int64(this.#uint(4));
      case 0xd0:
        return this.#numbers.getInt8(this.#take(1));
      case 0xd1:
        return this.#numbers.getInt16(this.#take(2));
      case 0xd2:
        return this.#numbers.getInt32(this.#take(4));
      case 0xd3:
        return this.#int64(this.#numbers.getInt32(this.#take(4)));
      case 0xd9:
        return this.#string(this.#uint(1));
      case 0xda:
        return this.#string(this.#uint(2));
      case 0xdb:
        return this.#string(this.#uint(4));
      case 0xdc:
        return this.#array(this.#uint(2));
      case 0xdd:
        return this.#array(this.#uint(4));
      case 0xde:
        return this.#map(this.#uint(2));
      case 0xdf:
        return this.#map(this.#uint(4));
      default:
        throw protocolError("a msgpack type that is not in the contract");
    }
  }

  #binary(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #array(count: number): unknown[] {
    const items: unknown[] = [];
    for (let i = 0; i < count; i++) items.push(this.#value());
    return items;
  }

  #map(count: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#value();
      if (typeof key !== "string") throw protocolError("a map with a key that is no string");
      const value = this.#value();
      // A header may have this name; assigning it would set the prototype instead.
      if (key === "__proto__") {
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      } else map[key] = value;
    }
    return map;
  }

  #string(length: number): string {
    const start = this.#take(length);
    const end = start + length;
    if (length > rememberedBytesMax) return decoder.decode(this.#bytes.subarray(start, end));
    if (length === 0) return "";
    const slot = this.#slot(start, length);
    const known = this.#remembered[slot] ?? "";
    if (known.length === length && this.#isAt(known, start)) return known;
    const text = decoder.decode(this.#bytes.subarray(start, end));
    this.#remembered[slot] = text;
    return text;
  }

  #slot(start: number, length: number): number {
    let hash = length;
    for (let i = start; i < start + length; i++) hash = (hash * 31 + (this.#bytes[i] ?? 0)) | 0;
    return hash & (rememberedSlots - 1);
  }

  /** Whether an all-ASCII text stands here; one that is not ASCII differs from its bytes. */
  #isAt(text: string, start: number): boolean {
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.#bytes[start + i]) return false;
    return true;
  }
}
