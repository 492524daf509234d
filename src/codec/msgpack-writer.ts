/**
 * A growing buffer that msgpack is written into. Integers stay integers at any size (msgpackr writes those above 32
 * bits as floats, which typed clients refuse). One writer may be kept and reused: `reset`, write, `view` or `copy`.
 * @module
 */

const asciiLoopCharsMax = 48;
const uint32 = 2 ** 32;

/** Writes msgpack values one after the other. Format: https://github.com/msgpack/msgpack/blob/master/spec.md */
export class MsgpackWriter {
  /** Bytes written since `reset`. */
  length = 0;
  private bytes: Buffer<ArrayBuffer>;
  private numbers: DataView;

  /** @param keepBytesMax a buffer that grew beyond this is let go at the next `reset` */
  constructor(private readonly keepBytesMax = 1024 * 1024) {
    this.bytes = Buffer.allocUnsafeSlow(64 * 1024);
    this.numbers = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** Starts over. */
  reset(): void {
    this.length = 0;
    if (this.bytes.length > this.keepBytesMax) this.adopt(Buffer.allocUnsafeSlow(64 * 1024));
  }

  /** What was written from `start` on, valid until the next write. */
  view(start = 0): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(start, this.length);
  }

  /** Leaves `count` bytes free, for a head that is known only later. */
  skip(count: number): void {
    this.take(count);
  }

  /** Moves what was written from `start` on so that it ends right before `end`; returns where it begins then. */
  moveBefore(end: number, start: number): number {
    const begin = end - (this.length - start);
    this.bytes.copyWithin(begin, start, this.length);
    this.length = start;
    return begin;
  }

  /** What was written, as bytes of their own. */
  copy(start = 0): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.length - start);
    copy.set(this.bytes.subarray(start, this.length));
    return copy;
  }

  private adopt(bytes: Buffer<ArrayBuffer>): void {
    this.bytes = bytes;
    this.numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Makes room and returns the place where `count` bytes may go. */
  private take(count: number): number {
    const start = this.length;
    const end = start + count;
    if (end > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, start));
      this.adopt(grown);
    }
    this.length = end;
    return start;
  }

  /** Bytes that are msgpack already. */
  raw(encoded: Uint8Array): void {
    const start = this.take(encoded.length);
    this.bytes.set(encoded, start);
  }

  byte(value: number): void {
    const start = this.take(1);
    this.bytes[start] = value;
  }

  nil(): void {
    this.byte(0xc0);
  }

  boolean(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** Head of a map of `count` pairs. */
  mapHead(count: number): void {
    if (count < 16) this.byte(0x80 | count);
    else this.sizedHead(count, 0, 0xde, 0xdf);
  }

  /** Head of an array of `count` items. */
  arrayHead(count: number): void {
    if (count < 16) this.byte(0x90 | count);
    else this.sizedHead(count, 0, 0xdc, 0xdd);
  }

  /** The type byte and the size in the fewest bytes; `type8` 0 = there is no 8-bit form. */
  private sizedHead(size: number, type8: number, type16: number, type32: number): void {
    if (size < 0x100 && type8 !== 0) {
      const start = this.take(2);
      this.bytes[start] = type8;
      this.bytes[start + 1] = size;
    } else if (size < 0x10000) {
      const start = this.take(3);
      this.bytes[start] = type16;
      this.numbers.setUint16(start + 1, size);
    } else {
      const start = this.take(5);
      this.bytes[start] = type32;
      this.numbers.setUint32(start + 1, size);
    }
  }

  /** A number: integers up to 2^53-1 as integers of the fewest bytes, everything else as float64. */
  number(value: number): void {
    if (value >= 0 && value < 128 && Number.isInteger(value)) this.byte(value);
    else if (!Number.isSafeInteger(value)) {
      const start = this.take(9);
      this.bytes[start] = 0xcb;
      this.numbers.setFloat64(start + 1, value);
    } else if (value >= 0) this.unsigned(value);
    else this.negative(value);
  }

  private unsigned(value: number): void {
    if (value < uint32) {
      this.sizedHead(value, 0xcc, 0xcd, 0xce);
      return;
    }
    const start = this.take(9);
    this.bytes[start] = 0xcf;
    this.numbers.setUint32(start + 1, Math.floor(value / uint32));
    this.numbers.setUint32(start + 5, value % uint32);
  }

  private negative(value: number): void {
    if (value >= -32) {
      this.byte(value & 0xff);
    } else if (value >= -0x80) {
      const start = this.take(2);
      this.bytes[start] = 0xd0;
      this.numbers.setInt8(start + 1, value);
    } else if (value >= -0x8000) {
      const start = this.take(3);
      this.bytes[start] = 0xd1;
      this.numbers.setInt16(start + 1, value);
    } else if (value >= -0x80000000) {
      const start = this.take(5);
      this.bytes[start] = 0xd2;
      this.numbers.setInt32(start + 1, value);
    } else {
      const start = this.take(9);
      this.bytes[start] = 0xd3;
      this.numbers.setBigInt64(start + 1, BigInt(value));
    }
  }

  /** @throws RangeError when the integer does not fit 64 bits */
  bigint(value: bigint): void {
    // Strictly inside: 2^53 itself is no safe integer, `number` would make a float of it.
    if (value > -(2n ** 53n) && value < 2n ** 53n) {
      this.number(Number(value));
      return;
    }
    if (value < -(2n ** 63n) || value >= 2n ** 64n) throw new RangeError("msgpack has no integers above 64 bits");
    const start = this.take(9);
    this.bytes[start] = value < 0n ? 0xd3 : 0xcf;
    this.numbers.setBigUint64(start + 1, BigInt.asUintN(64, value));
  }

  /** UTF-8 text; lone surrogates become U+FFFD. */
  string(value: string): void {
    const chars = value.length;
    if (chars <= asciiLoopCharsMax && this.shortAscii(value, chars)) return;
    const size = Buffer.byteLength(value, "utf8");
    if (size < 32) this.byte(0xa0 | size);
    else this.sizedHead(size, 0xd9, 0xda, 0xdb);
    const start = this.take(size);
    this.bytes.write(value, start, size, "utf8");
  }

  /** The native write costs more than a loop for the short names that fill a frame. */
  private shortAscii(value: string, chars: number): boolean {
    const before = this.length;
    let at = this.take(chars + 2);
    const bytes = this.bytes;
    if (chars < 32) bytes[at++] = 0xa0 | chars;
    else {
      bytes[at++] = 0xd9;
      bytes[at++] = chars;
    }
    for (let i = 0; i < chars; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.length = before;
        return false;
      }
      bytes[at++] = code;
    }
    this.length = at;
    return true;
  }

  binary(value: Uint8Array): void {
    this.sizedHead(value.length, 0xc4, 0xc5, 0xc6);
    this.raw(value);
  }

  /** A map of strings to strings. */
  strings(map: Readonly<Record<string, string>>): void {
    const names = Object.keys(map);
    this.mapHead(names.length);
    for (const name of names) {
      this.string(name);
      this.string(map[name] ?? "");
    }
  }

  /**
   * Any value made of null, booleans, numbers, bigints, strings, bytes, arrays and plain objects. A field that is
   * undefined is left out, an item that is undefined becomes nil.
   * @throws TypeError for functions and symbols
   */
  value(value: unknown): void {
    switch (typeof value) {
      case "string":
        this.string(value);
        break;
      case "number":
        this.number(value);
        break;
      case "boolean":
        this.boolean(value);
        break;
      case "bigint":
        this.bigint(value);
        break;
      case "undefined":
        this.nil();
        break;
      case "object":
        if (value === null) this.nil();
        else this.object(value);
        break;
      case "function":
      case "symbol":
        throw new TypeError(`msgpack has no ${typeof value}`);
    }
  }

  private object(value: object): void {
    if (value instanceof Uint8Array) {
      this.binary(value);
      return;
    }
    if (Array.isArray(value)) {
      this.arrayHead(value.length);
      for (const item of value as readonly unknown[]) this.value(item);
      return;
    }
    const map = value as Readonly<Record<string, unknown>>;
    const keys = Object.keys(map);
    let defined = keys.length;
    for (const key of keys) if (map[key] === undefined) defined--;
    this.mapHead(defined);
    for (const key of keys) {
      const item = map[key];
      if (item === undefined) continue;
      this.string(key);
      this.value(item);
    }
  }
}
