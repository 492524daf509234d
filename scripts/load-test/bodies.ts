/**
 * The bodies that are published, and how they are recognised when they come back. Each starts with a header of 24
 * bytes, little-endian: run u32, check word u32, lane u32, number u32, send time u64 in microseconds. The rest is a
 * range of one slab of random bytes that lane and number determine, so both ends know every byte without hashing.
 * @module
 */
import { randomUint32s } from "./random.ts";

/** Smallest body. */
export const headerBytes = 24;
/** How many different ranges of the slab there are; a power of two. */
const rangesCount = 256;
/** The slab is larger than the largest body by this much, so that ranges differ. */
const slabExtraBytes = 1024 * 1024;
const uint32 = 2 ** 32;

/** What a header says. One object is reused for all bodies. */
export interface BodyHeader {
  lane: number;
  number: number;
  /** Microseconds of the clock of `clock.ts`. */
  sentUs: number;
}

/** Makes and recognises the bodies of one run. */
export class BodyPool {
  readonly header: BodyHeader = { lane: 0, number: 0, sentUs: 0 };
  readonly #slab: Buffer;
  readonly #offsets = new Uint32Array(rangesCount);
  readonly #sizes = new Uint32Array(rangesCount);

  /** @param run a number of 32 bits that other runs do not have */
  constructor(
    readonly run: number,
    seed: number,
    bytesMin: number,
    readonly bytesMax: number,
  ) {
    const random = randomUint32s(seed);
    const words = new Uint32Array(Math.ceil((bytesMax + slabExtraBytes) / 4));
    for (let i = 0; i < words.length; i++) words[i] = random();
    this.#slab = Buffer.from(words.buffer);
    for (let i = 0; i < rangesCount; i++) {
      const size = bytesMin + (random() % (bytesMax - bytesMin + 1));
      this.#sizes[i] = size;
      this.#offsets[i] = random() % (this.#slab.length - size + 1);
    }
  }

  /** Bytes of the body of one message. */
  size(lane: number, number: number): number {
    return this.#sizes[rangeOf(lane, number)] ?? 0;
  }

  /** Writes one body into `out` and returns where it ends. */
  write(out: Buffer, at: number, lane: number, number: number, sentUs: number): number {
    const range = rangeOf(lane, number);
    const offset = this.#offsets[range] ?? 0;
    const size = this.#sizes[range] ?? 0;
    this.#slab.copy(out, at + headerBytes, offset + headerBytes, offset + size);
    const time = Math.round(sentUs);
    const timeHigh = Math.floor(time / uint32);
    const timeLow = time >>> 0;
    writeUint32(out, at, this.run);
    writeUint32(out, at + 4, checkWord(this.run, lane, number, timeLow, timeHigh));
    writeUint32(out, at + 8, lane);
    writeUint32(out, at + 12, number);
    writeUint32(out, at + 16, timeLow);
    writeUint32(out, at + 20, timeHigh);
    return at + size;
  }

  /**
   * Looks at a body that came back: `ours`, `corrupt` (of this run, but not as it was published), or `foreign`
   * (somebody else's). `header` is filled when it can be trusted, else its lane is -1.
   */
  read(bytes: Buffer, start: number, end: number): "ours" | "corrupt" | "foreign" {
    const { header } = this;
    header.lane = -1;
    if (end - start < headerBytes || readUint32(bytes, start) !== this.run) return "foreign";
    const lane = readUint32(bytes, start + 8);
    const number = readUint32(bytes, start + 12);
    const timeLow = readUint32(bytes, start + 16);
    const timeHigh = readUint32(bytes, start + 20);
    if (readUint32(bytes, start + 4) !== checkWord(this.run, lane, number, timeLow, timeHigh)) return "corrupt";
    header.lane = lane;
    header.number = number;
    header.sentUs = timeHigh * uint32 + timeLow;
    const range = rangeOf(lane, number);
    const offset = this.#offsets[range] ?? 0;
    const size = this.#sizes[range] ?? 0;
    if (end - start !== size) return "corrupt";
    const same = bytes.compare(this.#slab, offset + headerBytes, offset + size, start + headerBytes, end) === 0;
    return same ? "ours" : "corrupt";
  }
}

const rangeOf = (lane: number, number: number): number => (number + Math.imul(lane, 31)) & (rangesCount - 1);

/** The header's own check: a wrong bit in any of its fields shows. */
const checkWord = (run: number, lane: number, number: number, timeLow: number, timeHigh: number): number => {
  let word = Math.imul(run ^ 0x85ebca6b, 0x9e3779b1);
  word = Math.imul(word ^ (word >>> 15) ^ lane, 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13) ^ number, 0xc2b2ae35);
  word = Math.imul(word ^ (word >>> 16) ^ timeLow, 0x27d4eb2f);
  word = Math.imul(word ^ (word >>> 15) ^ timeHigh, 0x165667b1);
  return (word ^ (word >>> 16)) >>> 0;
};

const writeUint32 = (out: Buffer, at: number, value: number): void => {
  out[at] = value;
  out[at + 1] = value >>> 8;
  out[at + 2] = value >>> 16;
  out[at + 3] = value >>> 24;
};

const readUint32 = (bytes: Buffer, at: number): number =>
  ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
