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

/** Stores know signs of life to a second, so that who gave one counts as silent for so much longer, in milliseconds. */
const signSlackMs = 1000;

/** One subject. */
export class ModelSubject {
  last = 0;
  policy: RetentionPolicy = keepEverything;
  readonly stored = new Map<number, ModelMessage>();
  readonly delayed = new Map<number, ModelDelayed>();
  /** By consumer, the sequences that it has settled, stored or not. */
  readonly settled: ReadonlyMap<string, Set<number>>;
  /** By consumer, the highest message that it has acknowledged. */
  readonly #ackedHighest = new Map<string, number>();
  /** By consumer, when it gave its last sign of life, Unix milliseconds. */
  readonly #signs = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly consumers: readonly string[],
  ) {
    this.settled = new Map(consumers.map((consumer) => [consumer, new Set<number>()]));
  }

  /** Whether the policy has no room for a body: never, or not now. */
  refuses(length: number): boolean {
    const { maxMessages, maxBytes, discard } = this.policy;
    if (maxBytes !== null && length > maxBytes) return true;
    if (discard === "old") return false;
    return this.stored.size >= (maxMessages ?? Infinity) || this.#bytes() + length > (maxBytes ?? Infinity);
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
    const { maxMessages, maxBytes, discard } = this.policy;
    // Who refuses new messages keeps the old ones.
    if (discard === "new") return;
    let bytes = this.#bytes();
    for (const [sequence, { body }] of this.stored) {
      const isTooMuch = maxBytes !== null && bytes > maxBytes && this.stored.size > 1;
      if (!isTooMuch && this.stored.size <= (maxMessages ?? Number.POSITIVE_INFINITY)) return;
      this.#delete(sequence);
      bytes -= body.length;
    }
  }

  /**
   * What all recipients have acknowledged is gone.
   * @param nowMs after a sweep also what they have timed out on; undefined: before one
   */
  release(nowMs?: number): void {
    for (const sequence of this.stored.keys()) if (this.#isReleased(sequence, nowMs, 0)) this.#delete(sequence);
  }

  /** What is not among these is gone, where that may be so by now: recipients have timed out on it. */
  vanish(found: ReadonlySet<number>, nowMs: number): void {
    for (const sequence of this.stored.keys()) {
      if (!found.has(sequence) && this.#isReleased(sequence, nowMs, signSlackMs)) this.#delete(sequence);
    }
  }

  acked(consumer: string, sequences: readonly number[], nowMs: number): void {
    for (const sequence of sequences) this.settled.get(consumer)?.add(sequence);
    this.#ackedHighest.set(consumer, Math.max(this.#ackedHighest.get(consumer) ?? 0, ...sequences));
    this.signed(consumer, nowMs);
    this.release();
  }

  /** A consumer was made, fetched or gave messages back. */
  signed(consumer: string, nowMs: number): void {
    this.#signs.set(consumer, nowMs);
  }

  purged(through: number): void {
    for (const sequence of this.stored.keys()) if (sequence <= through) this.#delete(sequence);
  }

  /** The sequence of a message by its number, or undefined. */
  sequenceOf(number: number): number | undefined {
    return [...this.stored].find(([, message]) => message.number === number)?.[0];
  }

  #isReleased(sequence: number, nowMs: number | undefined, slackMs: number): boolean {
    const { recipients, recipientTimeoutMs } = this.policy;
    const message = this.stored.get(sequence);
    if (recipients === null || message === undefined) return false;
    const has = (consumer: string): boolean => this.settled.get(consumer)?.has(sequence) === true;
    if (typeof recipients === "number") return this.consumers.filter(has).length >= recipients;
    const isSilent = (consumer: string): boolean =>
      nowMs !== undefined &&
      recipientTimeoutMs !== null &&
      message.timestampMs + recipientTimeoutMs <= nowMs &&
      (this.#signs.get(consumer) ?? 0) - slackMs + recipientTimeoutMs <= nowMs;
    // What nobody has acknowledged, nor a later one, stays.
    const isAcked = recipients.some((recipient) => (this.#ackedHighest.get(recipient) ?? 0) >= sequence);
    return isAcked && recipients.every((recipient) => has(recipient) || isSilent(recipient));
  }

  #bytes(): number {
    return [...this.stored.values()].reduce((sum, { body }) => sum + body.length, 0);
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
