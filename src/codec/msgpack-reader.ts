/**
 * A bounded msgpack decoder for what strangers send: nothing is allocated on the word of a length or a count that the
 * bytes behind it do not back. A decoder of our own because it measures faster than a bounds scan in front of
 * msgpackr, which on top reads 0xC1 and record extensions without a complaint.
 * @module
 */
import { isUtf8 } from "node:buffer";
import { StreamError } from "../core/errors.ts";

/** Containers inside containers. The deepest frame of the contract has 4. */
export const msgpackDepthMax = 16;
/** Arrays and maps in one value: some hundred bytes of memory each for a single byte on the wire. */
export const msgpackContainersMax = 262_144;
/** Items, keys and values in all containers of one value: at least eight bytes of memory each. */
export const msgpackItemsMax = 4_194_304;

/** Short ASCII strings (keys, subjects) repeat from frame to frame; remembering them saves making them again. */
const rememberedCharsMax = 48;
const rememberedSlots = 1024;

const noBytes: Buffer = Buffer.alloc(0);

const refuse = (what: string): never => {
  throw new StreamError("malformed_body", `The msgpack value ${what}.`);
};

/** Sets a field so that `__proto__` is a field like any other. */
const setField = (map: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  } else map[key] = value;
};

/** Reads one value at a time; may be reused, not re-entered. */
export class MsgpackReader {
  private bytes = noBytes;
  private at = 0;
  private end = 0;
  private containers = 0;
  private items = 0;
  private readonly remembered: string[] = new Array<string>(rememberedSlots).fill("");

  /**
   * Decodes exactly one value. Byte strings are views of `bytes`.
   * @throws StreamError `malformed_body`
   */
  decode(bytes: Uint8Array): unknown {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.end = bytes.length;
    this.containers = 0;
    this.items = 0;
    try {
      const value = this.value(0);
      if (this.at !== this.end) refuse("has bytes behind it");
      return value;
    } finally {
      // A reader lives long; the frame it read must not.
      this.bytes = noBytes;
    }
  }

  /** Steps over `count` bytes and returns where they begin. */
  private take(count: number): number {
    const start = this.at;
    if (count > this.end - start) refuse("is cut off");
    this.at = start + count;
    return start;
  }

  private uint8(): number {
    return this.bytes[this.take(1)] ?? 0;
  }

  private uint16(): number {
    const start = this.take(2);
    return this.bytes.readUInt16BE(start);
  }

  private uint32(): number {
    const start = this.take(4);
    return this.bytes.readUInt32BE(start);
  }

  /** Exact as a number up to 2^53-1, a bigint above. */
  private uint64(): number | bigint {
    const start = this.take(8);
    const high = this.bytes.readUInt32BE(start);
    return high < 0x200000
      ? high * 0x100000000 + this.bytes.readUInt32BE(start + 4)
      : this.bytes.readBigUInt64BE(start);
  }

  private int64(): number | bigint {
    const start = this.take(8);
    const high = this.bytes.readInt32BE(start);
    if (high < 0x200000 && high >= -0x200000) {
      const value = high * 0x100000000 + this.bytes.readUInt32BE(start + 4);
      if (Number.isSafeInteger(value)) return value;
    }
    return this.bytes.readBigInt64BE(start);
  }

  private value(depth: number): unknown {
    const type = this.uint8();
    if (type < 0x80) return type;
    if (type < 0x90) return this.map(type & 0x0f, depth);
    if (type < 0xa0) return this.array(type & 0x0f, depth);
    if (type < 0xc0) return this.string(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    return this.typed(type, depth);
  }

  private typed(type: number, depth: number): unknown {
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.binary(this.uint8());
      case 0xc5:
        return this.binary(this.uint16());
      case 0xc6:
        return this.binary(this.uint32());
      case 0xca:
        return this.bytes.readFloatBE(this.take(4));
      case 0xcb:
        return this.bytes.readDoubleBE(this.take(8));
      case 0xcc:
        return this.uint8();
      case 0xcd:
        return this.uint16();
      case 0xce:
        return this.uint32();
      case 0xcf:
        return this.uint64();
      case 0xd0:
        return this.bytes.readInt8(this.take(1));
      case 0xd1:
        return this.bytes.readInt16BE(this.take(2));
      case 0xd2:
        return this.bytes.readInt32BE(this.take(4));
      case 0xd3:
        return this.int64();
      case 0xd9:
        return this.string(this.uint8());
      case 0xda:
        return this.string(this.uint16());
      case 0xdb:
        return this.string(this.uint32());
      case 0xdc:
        return this.array(this.uint16(), depth);
      case 0xdd:
        return this.array(this.uint32(), depth);
      case 0xde:
        return this.map(this.uint16(), depth);
      case 0xdf:
        return this.map(this.uint32(), depth);
      default:
        return refuse(type === 0xc1 ? "has the unused type 0xC1" : "has an extension type");
    }
  }

  private binary(length: number): Uint8Array {
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  private string(length: number): string {
    const start = this.take(length);
    if (length > rememberedCharsMax) return this.text(start, length);
    const bytes = this.bytes;
    let hash = length;
    for (let i = start; i < start + length; i++) {
      const byte = bytes[i] ?? 0;
      if (byte > 0x7f) return this.text(start, length);
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const slot = (hash ^ (hash >>> 15)) & (rememberedSlots - 1);
    const known = this.remembered[slot] ?? "";
    if (known.length === length && this.same(known, start, length)) return known;
    const text = bytes.toString("latin1", start, start + length);
    this.remembered[slot] = text;
    return text;
  }

  private same(known: string, start: number, length: number): boolean {
    for (let i = 0; i < length; i++) if (known.charCodeAt(i) !== this.bytes[start + i]) return false;
    return true;
  }

  private text(start: number, length: number): string {
    const bytes = this.bytes.subarray(start, start + length);
    if (!isUtf8(bytes)) refuse("has a string that is not UTF-8");
    // Not a TextDecoder: that would drop a leading BOM.
    return bytes.toString("utf8");
  }

  /** Counts a container and its items before anything is made for them. */
  private enter(items: number, depth: number): void {
    if (depth >= msgpackDepthMax) refuse(`is nested deeper than ${msgpackDepthMax}`);
    if (items > this.end - this.at) refuse("is cut off");
    if (++this.containers > msgpackContainersMax) refuse(`has more than ${msgpackContainersMax} maps and arrays`);
    this.items += items;
    if (this.items > msgpackItemsMax) refuse(`has more than ${msgpackItemsMax} items`);
  }

  private array(count: number, depth: number): unknown[] {
    this.enter(count, depth);
    const array: unknown[] = [];
    for (let i = 0; i < count; i++) array.push(this.value(depth + 1));
    return array;
  }

  private map(count: number, depth: number): Record<string, unknown> {
    this.enter(count * 2, depth);
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.key();
      setField(map, key, this.value(depth + 1));
    }
    return map;
  }

  private key(): string {
    const type = this.uint8();
    if (type >= 0xa0 && type < 0xc0) return this.string(type & 0x1f);
    if (type === 0xd9) return this.string(this.uint8());
    if (type === 0xda) return this.string(this.uint16());
    if (type === 0xdb) return this.string(this.uint32());
    return refuse("has a map key that is not a string");
  }
}
