/**
 * Reading and writing the protobuf wire format, as far as our messages need it. 64-bit numbers are exact up to 2^53-1;
 * a larger one comes out as the nearest double, which no check for a safe integer lets through.
 * Format: https://protobuf.dev/programming-guides/encoding/
 * @module
 */
import { isUtf8 } from "node:buffer";
import { StreamError } from "../../core/errors.ts";

const twoTo32 = 0x1_0000_0000;
/** A 64-bit number takes ten bytes at most. */
const varintBytesMax = 10;

const malformed = (detail: string): StreamError => new StreamError("malformed_body", detail);

/** Kinds of values on the wire. */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * Walks over the fields of one message: `next()` moves to a field, then exactly one of the readers or `skip()` takes
 * its value. All of them throw StreamError `malformed_body`.
 */
export class ProtoReader {
  /** Number of the field whose value comes next. */
  field = 0;
  #wireType = 0;
  #at = 0;
  /** Halves of the number that was read last. */
  #low = 0;
  #high = 0;

  constructor(private readonly bytes: Buffer) {}

  /** Moves to the next field; false at the end. */
  next(): boolean {
    if (this.#at >= this.bytes.length) return false;
    this.#varint();
    if (this.#high !== 0) throw malformed("A field number is too large.");
    this.field = this.#low >>> 3;
    this.#wireType = this.#low & 7;
    if (this.field === 0) throw malformed("A field has the number 0.");
    return true;
  }

  /** Whether the value is text, bytes or a message. */
  get isBytes(): boolean {
    return this.#wireType === wireTypes.bytes;
  }

  uint64(): number {
    this.#number();
    return this.#high * twoTo32 + this.#low;
  }

  int64(): number {
    this.#number();
    return (this.#high | 0) * twoTo32 + this.#low;
  }

  int32(): number {
    this.#number();
    return this.#low | 0;
  }

  double(): number {
    if (this.#wireType !== wireTypes.fixed64) throw malformed(`Field ${this.field} is not of its type.`);
    const start = this.#at;
    this.#at += 8;
    if (this.#at > this.bytes.length) throw malformed("The message is cut off.");
    return this.bytes.readDoubleLE(start);
  }

  bool(): boolean {
    this.#number();
    return (this.#low | this.#high) !== 0;
  }

  /** A view of the message's own memory. */
  sub(): Buffer {
    if (this.#wireType !== wireTypes.bytes) throw malformed(`Field ${this.field} is not of its type.`);
    this.#varint();
    const start = this.#at;
    const end = start + this.#low;
    if (this.#high !== 0 || end > this.bytes.length) throw malformed(`Field ${this.field} is cut off.`);
    this.#at = end;
    return this.bytes.subarray(start, end);
  }

  string(): string {
    const bytes = this.sub();
    if (!isUtf8(bytes)) throw malformed(`Field ${this.field} is not UTF-8.`);
    return bytes.toString("utf8");
  }

  /** The numbers of a repeated field, packed or one by one; adds them to `into`. */
  uint64s(into: number[]): void {
    if (this.#wireType !== wireTypes.bytes) {
      into.push(this.uint64());
      return;
    }
    const packed = new ProtoReader(this.sub());
    while (packed.#at < packed.bytes.length) {
      packed.#varint();
      into.push(packed.#high * twoTo32 + packed.#low);
    }
  }

  /** Passes over a field that is not known here. */
  skip(): void {
    switch (this.#wireType) {
      case wireTypes.varint:
        this.#varint();
        return;
      case wireTypes.bytes:
        this.sub();
        return;
      case wireTypes.fixed64:
      case wireTypes.fixed32:
        this.#at += this.#wireType === wireTypes.fixed64 ? 8 : 4;
        if (this.#at > this.bytes.length) throw malformed("The message is cut off.");
        return;
      default:
        throw malformed(`Field ${this.field} has a wire type that is not read here.`);
    }
  }

  #number(): void {
    if (this.#wireType !== wireTypes.varint) throw malformed(`Field ${this.field} is not of its type.`);
    this.#varint();
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let i = 0; i < varintBytesMax; i++) {
      const byte = this.bytes[this.#at++];
      if (byte === undefined) break;
      const bits = byte & 0x7f;
      const shift = 7 * i;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw malformed("The message is cut off.");
  }
}

/** Bytes that a number from 0 to 2^53-1 takes. */
export const varintSize = (value: number): number => {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
};

/** Bytes of a length-delimited field whose number is below 16. */
export const delimitedSize = (length: number): number => 1 + varintSize(length) + length;

const initialBytes = 256;

/** Collects one message, or several one after the other; grows as needed. Field numbers are below 16. */
export class ProtoWriter {
  #buffer: Buffer;
  #length = 0;

  /** @param bytes what the result will take, about */
  constructor(bytes = initialBytes) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written; the writer must not be used after it. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A number from 0 to 2^53-1; 0 is left out, as proto3 wants it. */
  number(field: number, value: number): this {
    return value === 0 ? this : this.presentNumber(field, value);
  }

  /** A number that is written also when it is 0: an `optional` field, or a member of a `oneof`. */
  presentNumber(field: number, value: number): this {
    this.#ensure(1 + varintBytesMax);
    this.#buffer[this.#length++] = field << 3;
    this.#varint(value);
    return this;
  }

  /** 0 is left out. */
  double(field: number, value: number): this {
    if (Object.is(value, 0)) return this;
    this.#ensure(9);
    this.#buffer[this.#length++] = (field << 3) | wireTypes.fixed64;
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.number(field, value ? 1 : 0);
  }

  /** Text; an empty one is left out. */
  string(field: number, text: string): this {
    return text === "" ? this : this.presentString(field, text);
  }

  presentString(field: number, text: string): this {
    this.head(field, Buffer.byteLength(text, "utf8"));
    this.#length += this.#buffer.write(text, this.#length, "utf8");
    return this;
  }

  /** Bytes, or a message inside this one; none are left out. */
  bytes(field: number, bytes: Uint8Array): this {
    return bytes.length === 0 ? this : this.presentBytes(field, bytes);
  }

  presentBytes(field: number, bytes: Uint8Array): this {
    this.head(field, bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /**
   * Tag and length of a field whose `length` bytes come next.
   * @param room how many of them this writer will take; the rest the caller sends behind what is written
   */
  head(field: number, length: number, room = length): this {
    this.#ensure(1 + varintBytesMax + room);
    this.#buffer[this.#length++] = (field << 3) | wireTypes.bytes;
    this.#varint(length);
    return this;
  }

  /** `map<string, string>`. */
  map(field: number, entries: Readonly<Record<string, string>>): this {
    for (const name in entries) this.mapEntry(field, name, entries[name] ?? "");
    return this;
  }

  mapEntry(field: number, name: string, value: string): this {
    const length = delimitedSize(Buffer.byteLength(name, "utf8")) + delimitedSize(Buffer.byteLength(value, "utf8"));
    return this.head(field, length).presentString(1, name).presentString(2, value);
  }

  /** Bytes without a tag: the rest of a field after `head`. */
  raw(bytes: Uint8Array): this {
    this.#ensure(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /**
   * The five bytes before a message of `length` bytes in a gRPC stream: not compressed, and its length.
   * @param room how many of its bytes this writer will take
   */
  framePrefix(length: number, room = length): this {
    this.#ensure(5 + room);
    this.#buffer[this.#length] = 0;
    this.#buffer.writeUInt32BE(length, this.#length + 1);
    this.#length += 5;
    return this;
  }

  #ensure(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }
}
