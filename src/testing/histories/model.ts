/**
 * What must be stored, by the promises alone: every message with its bytes, what policies, times to live,
 * acknowledgements and deletions take away, and nothing else.
 * @module
 */
import { keepEverything, type RetentionPolicy } from "../../core/policy.ts";

/** A body by what it is made from: the same for the same seed and length. */
export interface BodySeed {
  readonly seed: number;
  readonly length: number;
  /** Text that packs well, else bytes that do not. */
  readonly isText: boolean;
}

/** A message that must be there. */
export interface ModelMessage {
  /** Its number among all messages of the history; it travels as a header. */
  readonly number: number;
  readonly body: BodySeed;
  readonly timestampMs: number;
  /** Infinity: never. */
  readonly expiresAtMs: number;
}

/** A message that was put aside. */
export interface ModelDelayed {
  readonly number: number;
  readonly body: BodySeed;
  readonly dueAtMs: number;
  readonly ttlMs: number | undefined;
}

/** One subject. */
export class ModelSubject {
  last = 0;
  policy: RetentionPolicy = keepEverything;
  readonly stored = new Map<number, ModelMessage>();
  readonly delayed = new Map<number, ModelDelayed>();
  /** By consumer, the sequences that it has settled, stored or not. */
  readonly settled: ReadonlyMap<string, Set<number>>;

  constructor(
    readonly name: string,
    readonly consumers: readonly string[],
  ) {
    this.settled = new Map(consumers.map((consumer) => [consumer, new Set<number>()]));
  }

  /** Whether a body is more than the policy has room for in all. */
  refuses(length: number): boolean {
    return this.policy.maxBytes !== null && length > this.policy.maxBytes;
  }

  committed(sequence: number, message: ModelMessage): void {
    this.last = Math.max(this.last, sequence);
    this.stored.set(sequence, message);
    this.trim(message.timestampMs);
  }

  /** What has outlived its time is gone. */
  age(nowMs: number): void {
    const maxAgeMs = this.policy.maxAgeMs ?? Number.POSITIVE_INFINITY;
    for (const [sequence, { timestampMs, expiresAtMs }] of this.stored) {
      if (Math.min(timestampMs + maxAgeMs, expiresAtMs) <= nowMs) this.#delete(sequence);
    }
  }

  /** What a policy has no room for is gone, the oldest first; of bytes the newest stays, even if it has too many. */
  trim(nowMs: number): void {
    this.age(nowMs);
    const { maxMessages, maxBytes } = this.policy;
    let bytes = [...this.stored.values()].reduce((sum, { body }) => sum + body.length, 0);
    for (const [sequence, { body }] of this.stored) {
      const isTooMuch = maxBytes !== null && bytes > maxBytes && this.stored.size > 1;
      if (!isTooMuch && this.stored.size <= (maxMessages ?? Number.POSITIVE_INFINITY)) return;
      this.#delete(sequence);
      bytes -= body.length;
    }
  }

  /** What all recipients have acknowledged is gone. */
  release(): void {
    const { recipients } = this.policy;
    if (recipients === null) return;
    for (const sequence of this.stored.keys()) {
      const has = (consumer: string): boolean => this.settled.get(consumer)?.has(sequence) === true;
      const isReleased =
        typeof recipients === "number"
          ? this.consumers.filter(has).length >= recipients
          : recipients.every((recipient) => has(recipient));
      if (isReleased) this.#delete(sequence);
    }
  }

  acked(consumer: string, sequences: readonly number[]): void {
    for (const sequence of sequences) this.settled.get(consumer)?.add(sequence);
    this.release();
  }

  purged(through: number): void {
    for (const sequence of this.stored.keys()) if (sequence <= through) this.#delete(sequence);
  }

  /** The sequence of a message by its number, or undefined. */
  sequenceOf(number: number): number | undefined {
    return [...this.stored].find(([, message]) => message.number === number)?.[0];
  }

  /** For every consumer it counts as settled. */
  #delete(sequence: number): void {
    this.stored.delete(sequence);
    for (const settled of this.settled.values()) settled.add(sequence);
  }
}

const bytesOf = new Map<string, Uint8Array>();
/** Bodies that are kept made. */
const keptMax = 500;

/** The bytes of a body. */
export const makeBody = (seed: BodySeed): Uint8Array => {
  const key = `${seed.seed}:${seed.length}:${seed.isText}`;
  const known = bytesOf.get(key);
  if (known !== undefined) return known;
  const made = seed.isText ? textOf(seed) : noiseOf(seed);
  if (bytesOf.size >= keptMax) bytesOf.clear();
  bytesOf.set(key, made);
  return made;
};

/** Different from the first bytes on for different seeds. */
const textOf = ({ seed, length }: BodySeed): Uint8Array => {
  const line = `{"document":${seed},"name":"the quick brown fox","amount":${(seed * 7919) % 100_003}}\n`;
  return new TextEncoder().encode(line.repeat(Math.ceil(length / line.length)).slice(0, length));
};

const noiseOf = ({ seed, length }: BodySeed): Uint8Array => {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state >>> 0;
  }
  return new Uint8Array(words.buffer, 0, length);
};
