/**
 * The recent messages of subjects that somebody follows, so that live pushes come from memory. A cache only: whatever
 * is not here is read from storage. Bounded in bytes over all subjects and in messages a subject.
 * @module
 */
import type { RecentMessage } from "../../actors/committer.ts";
import type { Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";

/** Bounds of the tail cache. */
export interface TailBounds {
  readonly bytesMax: number;
  readonly subjectCountMax: number;
}

interface Tail {
  /** Sequence of `messages[0]`. */
  first: Sequence;
  /** One for each sequence from `first` on; undefined what has outlived its time. */
  messages: (RecentMessage | undefined)[];
  bytes: number;
  /** When the next one of them outlives its time, Unix milliseconds; Infinity when none does. */
  staleAtMs: number;
}

/** What a message keeps in memory beside its body, roughly. */
const overheadBytes = 200;
const costBytes = (message: RecentMessage): number => message.body.length + overheadBytes;

/** Recent messages by subject; the subject that was appended to longest ago is dropped first. */
export class TailCache {
  readonly #tails = new Map<Subject, Tail>();
  #bytes = 0;

  /** @param clock Unix milliseconds */
  constructor(
    private readonly bounds: TailBounds,
    private readonly clock: () => number,
  ) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** Appends messages that follow each other; an undefined one (its body is not in memory) breaks the run. */
  append(subject: Subject, firstSequence: Sequence, messages: readonly (RecentMessage | undefined)[]): void {
    let tail = this.#tails.get(subject);
    if (tail === undefined)
      tail = { first: firstSequence, messages: [], bytes: 0, staleAtMs: Number.POSITIVE_INFINITY };
    else this.#tails.delete(subject);
    this.#tails.set(subject, tail);
    let sequence = firstSequence;
    for (const message of messages) {
      if (message === undefined || tail.first + tail.messages.length !== sequence) this.#clear(tail);
      if (message !== undefined) {
        if (tail.messages.length === 0) tail.first = sequence;
        tail.messages.push(message);
        tail.bytes += costBytes(message);
        this.#bytes += costBytes(message);
        if (message.freshUntilMs !== undefined) tail.staleAtMs = Math.min(tail.staleAtMs, message.freshUntilMs);
      }
      sequence++;
    }
    if (tail.messages.length > this.bounds.subjectCountMax) {
      this.#drop(tail, tail.messages.length - this.bounds.subjectCountMax);
    }
    this.#shrink();
  }

  /**
   * Messages from `from` on, at most `limit` and `bodyBytesMax` (at least one); undefined when `from` is not in memory,
   * or was and has outlived its time: the store knows what comes there.
   */
  read(subject: Subject, from: Sequence, limit: number, bodyBytesMax: number): readonly RecentMessage[] | undefined {
    const tail = this.#tails.get(subject);
    if (tail === undefined || from < tail.first) return undefined;
    if (tail.staleAtMs < Number.POSITIVE_INFINITY) this.#dropStale(tail);
    const start = from - tail.first;
    const endMax = Math.min(tail.messages.length, start + limit);
    const found: RecentMessage[] = [];
    let bytes = 0;
    for (let index = start; index < endMax; index++) {
      const message = tail.messages[index];
      if (message === undefined) break;
      bytes += message.body.length;
      if (index > start && bytes > bodyBytesMax) break;
      found.push(message);
    }
    return found.length === 0 ? undefined : found;
  }

  /** Lets go of what has outlived its time. Answers how long until there is more, Infinity when there will be none. */
  dropStale(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const tail of this.#tails.values()) {
      if (tail.staleAtMs < Number.POSITIVE_INFINITY) this.#dropStale(tail);
      nextMs = Math.min(nextMs, tail.staleAtMs);
    }
    return nextMs - this.clock();
  }

  /** Whether a subject has messages that will outlive their time. */
  hasMortal(subject: Subject): boolean {
    return (this.#tails.get(subject)?.staleAtMs ?? Number.POSITIVE_INFINITY) < Number.POSITIVE_INFINITY;
  }

  /** Forgets what was deleted. */
  purge(subject: Subject, through: Sequence): void {
    const tail = this.#tails.get(subject);
    if (tail === undefined || through < tail.first) return;
    this.#drop(tail, Math.min(through - tail.first + 1, tail.messages.length));
  }

  #dropStale(tail: Tail): void {
    const nowMs = this.clock();
    if (tail.staleAtMs > nowMs) return;
    tail.staleAtMs = Number.POSITIVE_INFINITY;
    for (const [index, message] of tail.messages.entries()) {
      if (message?.freshUntilMs === undefined) continue;
      if (message.freshUntilMs > nowMs) {
        tail.staleAtMs = Math.min(tail.staleAtMs, message.freshUntilMs);
        continue;
      }
      tail.messages[index] = undefined;
      tail.bytes -= costBytes(message);
      this.#bytes -= costBytes(message);
    }
  }

  #drop(tail: Tail, count: number): void {
    for (let i = 0; i < count; i++) {
      const message = tail.messages[i];
      if (message === undefined) continue;
      tail.bytes -= costBytes(message);
      this.#bytes -= costBytes(message);
    }
    tail.messages = tail.messages.slice(count);
    tail.first += count;
  }

  #clear(tail: Tail): void {
    this.#bytes -= tail.bytes;
    tail.bytes = 0;
    tail.messages = [];
    tail.staleAtMs = Number.POSITIVE_INFINITY;
  }

  #shrink(): void {
    for (const [subject, tail] of this.#tails) {
      if (this.#bytes <= this.bounds.bytesMax) return;
      if (this.#tails.size === 1) {
        // The only tail left: halve it until it fits, its newest message stays.
        while (this.#bytes > this.bounds.bytesMax && tail.messages.length > 1) {
          this.#drop(tail, Math.ceil(tail.messages.length / 2));
        }
        return;
      }
      this.#clear(tail);
      this.#tails.delete(subject);
    }
  }
}
