/**
 * Reads msgpack in place: a cursor over the bytes of a frame that hands out heads, integers and the known words of
 * the protocol, and skips the rest. A full decode of every answer would cost the generator more than the request.
 * @module
 */

/** The bytes are not what was expected. */
export class ScanError extends Error {
  override readonly name = "ScanError";
}

/** The words of the protocol that a load test cares for, each with the number `word()` gives it; 0 is any other. */
export const word = {
  op: 1,
  id: 2,
  sid: 3,
  code: 4,
  error: 5,
  results: 6,
  subject: 7,
  sequence: 8,
  messages: 9,
  published: 10,
  published_batch: 11,
  subscribed: 12,
  welcome: 13,
  detail: 14,
  last_sequence: 15,
  data: 16,
} as const;

interface KnownWord {
  readonly bytes: Uint8Array;
  readonly number: number;
}

const wordCharsMax = 15;
const knownByLength: readonly (readonly KnownWord[])[] = Array.from({ length: wordCharsMax + 1 }, (_, length) =>
  Object.entries(word)
    .filter(([text]) => text.length === length)
    .map(([text, number]) => ({ bytes: Buffer.from(text), number })),
);

/** Format: https://github.com/msgpack/msgpack/blob/master/spec.md */
export class Scanner {
  /** Where the next value starts. */
  at = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #end = 0;

  /** Starts over on other bytes. */
  over(bytes: Buffer, start: number, end: number): void {
    this.#bytes = bytes;
    this.at = start;
    this.#end = end;
  }

  /** Whether everything was read. */
  get done(): boolean {
    return this.at === this.#end;
  }

  /** Pairs of the map that starts here. */
  mapHead(): number {
    const type = this.#byte();
    if (type >= 0x80 && type <= 0x8f) return type & 0x0f;
    if (type === 0xde) return this.#uint(2);
    if (type === 0xdf) return this.#uint(4);
    throw new ScanError(`a map was expected, not ${hex(type)}`);
  }

  /** Items of the array that starts here. */
  arrayHead(): number {
    const type = this.#byte();
    if (type >= 0x90 && type <= 0x9f) return type & 0x0f;
    if (type === 0xdc) return this.#uint(2);
    if (type === 0xdd) return this.#uint(4);
    throw new ScanError(`an array was expected, not ${hex(type)}`);
  }

  /** An integer; beyond 2^53 not exact. */
  integer(): number {
    const type = this.#byte();
    if (type <= 0x7f) return type;
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xcc:
        return this.#uint(1);
      case 0xcd:
        return this.#uint(2);
      case 0xce:
        return this.#uint(4);
      case 0xcf:
        return this.#uint(4) * 2 ** 32 + this.#uint(4);
      case 0xd0:
        return (this.#uint(1) << 24) >> 24;
      case 0xd1:
        return (this.#uint(2) << 16) >> 16;
      case 0xd2:
        return this.#uint(4) | 0;
      case 0xd3:
        return (this.#uint(4) | 0) * 2 ** 32 + this.#uint(4);
      default:
        throw new ScanError(`an integer was expected, not ${hex(type)}`);
    }
  }

  /** Goes past a string or bytes and returns their length: they lie right before `at`. */
  bytes(): number {
    const type = this.#byte();
    const length = this.#bytesLength(type);
    if (length < 0) throw new ScanError(`a string or bytes were expected, not ${hex(type)}`);
    this.#past(length);
    return length;
  }

  /** A string as text. */
  text(): string {
    const length = this.bytes();
    return this.#bytes.toString("utf8", this.at - length, this.at);
  }

  /** The number of a known word, 0 for another string. */
  word(): number {
    const length = this.bytes();
    const known = knownByLength[length];
    if (known === undefined) return 0;
    const start = this.at - length;
    for (const candidate of known) {
      let i = 0;
      while (i < length && candidate.bytes[i] === this.#bytes[start + i]) i++;
      if (i === length) return candidate.number;
    }
    return 0;
  }

  /** Goes past one value of any kind. */
  skip(): void {
    // Values that are still to be skipped: deep nesting needs no deep stack.
    for (let values = 1; values > 0; values--) values += this.#skipHead();
  }

  /** Goes past a scalar, or the head of a map or array, and returns how many values that has. */
  #skipHead(): number {
    const type = this.#byte();
    if (type <= 0x7f || type >= 0xe0) return 0;
    if (type <= 0x8f) return (type & 0x0f) * 2;
    if (type <= 0x9f) return type & 0x0f;
    const length = this.#bytesLength(type);
    if (length >= 0) {
      this.#past(length);
      return 0;
    }
    if (type === 0xdc) return this.#uint(2);
    if (type === 0xdd) return this.#uint(4);
    if (type === 0xde) return this.#uint(2) * 2;
    if (type === 0xdf) return this.#uint(4) * 2;
    this.#past(scalarBytes(type));
    return 0;
  }

  /** Length of a string or of bytes, -1 for any other type. */
  #bytesLength(type: number): number {
    if (type >= 0xa0 && type <= 0xbf) return type & 0x1f;
    switch (type) {
      case 0xc4:
      case 0xd9:
        return this.#uint(1);
      case 0xc5:
      case 0xda:
        return this.#uint(2);
      case 0xc6:
      case 0xdb:
        return this.#uint(4);
      default:
        return -1;
    }
  }

  #byte(): number {
    if (this.at >= this.#end) throw new ScanError("the frame ends inside a value");
    return this.#bytes[this.at++] ?? 0;
  }

  #uint(length: 1 | 2 | 4): number {
    const start = this.at;
    this.#past(length);
    let value = 0;
    for (let i = start; i < this.at; i++) value = value * 256 + (this.#bytes[i] ?? 0);
    return value;
  }

  #past(length: number): void {
    if (length > this.#end - this.at) throw new ScanError("the frame ends inside a value");
    this.at += length;
  }
}

/** Bytes after the type byte of nil, booleans, numbers and fixed-length extensions. */
const scalarBytes = (type: number): number => {
  switch (type) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return 0;
    case 0xcc:
    case 0xd0:
      return 1;
    case 0xcd:
    case 0xd1:
    case 0xd4:
      return 2;
    case 0xd5:
      return 3;
    case 0xca:
    case 0xce:
    case 0xd2:
    case 0xd6:
      return type === 0xd6 ? 5 : 4;
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return 8;
    case 0xd7:
      return 9;
    case 0xd8:
      return 17;
    default:
      throw new ScanError(`${hex(type)} is not in the protocol`);
  }
};

const hex = (type: number): string => `0x${type.toString(16)}`;
