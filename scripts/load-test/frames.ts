/**
 * Packs publish requests straight into an output buffer. Everything but id, count and bodies is a template that was
 * made once for each subject.
 * @module
 */
import type { BodyPool } from "./bodies.ts";

const uint32TypeByte = 0xce;

const str = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  const head = bytes.length < 32 ? [0xa0 | bytes.length] : [0xd9, bytes.length];
  return Buffer.concat([Buffer.from(head), bytes]);
};
/** An integer whose value is patched in later, always in its 32-bit form. */
const uint32Slot = Buffer.from([uint32TypeByte, 0, 0, 0, 0]);
const array32Slot = Buffer.from([0xdd, 0, 0, 0, 0]);

const singleStart = Buffer.concat([Buffer.from([0x84]), str("op"), str("publish"), str("id"), uint32Slot]);
const batchStart = Buffer.concat([
  Buffer.from([0x83]),
  ...[str("op"), str("publish_batch"), str("id"), uint32Slot, str("messages"), array32Slot],
]);
const batchIdAt = batchStart.length - str("messages").length - array32Slot.length - 4;
const requestStart = Buffer.concat([Buffer.from([0x81]), str("messages"), array32Slot]);

/** Packs the messages of one lane. Message `number` goes to subject `(number + lane) % subjects`. */
export class PublishPacker {
  readonly #singles: readonly Buffer[];
  readonly #entries: readonly Buffer[];

  constructor(
    readonly subjects: readonly string[],
    readonly pool: BodyPool,
    readonly lane: number,
  ) {
    const tails = subjects.map((subject) => Buffer.concat([str("subject"), str(subject), str("data")]));
    this.#singles = tails.map((tail) => Buffer.concat([singleStart, tail]));
    this.#entries = tails.map((tail) => Buffer.concat([Buffer.from([0x82]), tail]));
  }

  /** Index of the subject of one message. */
  subjectOf(number: number): number {
    return (number + this.lane) % this.subjects.length;
  }

  /** Bytes of a `publish` frame. */
  singleBytes(number: number): number {
    return this.#tailBytes(this.#singles, number);
  }

  /** Writes a `publish` frame and returns where it ends. */
  single(out: Buffer, at: number, id: number, number: number, sentUs: number): number {
    const template = this.#singles[this.subjectOf(number)] ?? singleStart;
    template.copy(out, at);
    writeUint32(out, at + singleStart.length - 4, id);
    return this.#body(out, at + template.length, number, sentUs);
  }

  /** Bytes of a `publish_batch` frame of `count` messages. */
  batchBytes(number: number, count: number): number {
    return batchStart.length + this.#entriesBytes(number, count);
  }

  /** Writes a `publish_batch` frame and returns where it ends. */
  batch(out: Buffer, at: number, id: number, number: number, sentUs: readonly number[]): number {
    batchStart.copy(out, at);
    writeUint32(out, at + batchIdAt, id);
    writeUint32(out, at + batchStart.length - 4, sentUs.length);
    return this.#writeEntries(out, at + batchStart.length, number, sentUs);
  }

  /** Bytes of the body of a batch over HTTP. */
  requestBytes(number: number, count: number): number {
    return requestStart.length + this.#entriesBytes(number, count);
  }

  /** Writes the body of a batch over HTTP and returns where it ends. */
  request(out: Buffer, at: number, number: number, sentUs: readonly number[]): number {
    requestStart.copy(out, at);
    writeUint32(out, at + requestStart.length - 4, sentUs.length);
    return this.#writeEntries(out, at + requestStart.length, number, sentUs);
  }

  #entriesBytes(number: number, count: number): number {
    let bytes = 0;
    for (let i = 0; i < count; i++) bytes += this.#tailBytes(this.#entries, number + i);
    return bytes;
  }

  #writeEntries(out: Buffer, start: number, number: number, sentUs: readonly number[]): number {
    let at = start;
    for (let i = 0; i < sentUs.length; i++) {
      const template = this.#entries[this.subjectOf(number + i)] ?? requestStart;
      template.copy(out, at);
      at = this.#body(out, at + template.length, number + i, sentUs[i] ?? 0);
    }
    return at;
  }

  #tailBytes(templates: readonly Buffer[], number: number): number {
    const size = this.pool.size(this.lane, number);
    return (templates[this.subjectOf(number)]?.length ?? 0) + binaryHeadBytes(size) + size;
  }

  #body(out: Buffer, start: number, number: number, sentUs: number): number {
    const size = this.pool.size(this.lane, number);
    let at = start;
    if (size < 0x100) {
      out[at++] = 0xc4;
      out[at++] = size;
    } else if (size < 0x10000) {
      out[at++] = 0xc5;
      out[at++] = size >>> 8;
      out[at++] = size;
    } else {
      out[at++] = 0xc6;
      writeUint32(out, at, size);
      at += 4;
    }
    return this.pool.write(out, at, this.lane, number, sentUs);
  }
}

const binaryHeadBytes = (size: number): number => (size < 0x100 ? 2 : size < 0x10000 ? 3 : 5);

const writeUint32 = (out: Buffer, at: number, value: number): void => {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
};
