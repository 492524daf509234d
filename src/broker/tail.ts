/**
 * The recent messages of subjects that somebody follows, so that live pushes come from memory. A cache only: whatever
 * is not here is read from storage. Bounded in bytes over all subjects and in messages a subject.
 * @module
 */
import type { Message, Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";

/** Bounds of the tail cache. */
export interface TailBounds {
  readonly bytesMax: number;
  readonly subjectCountMax: number;
}

interface Tail {
  /** Sequence of `messages[0]`. */
  first: Sequence;
  /** Without a gap. */
  messages: Message[];
  bytes: number;
}

/** What a message keeps in memory beside its body, roughly. */
const overheadBytes = 200;
const costBytes = (message: Message): number => message.body.length + overheadBytes;

/** Recent messages by subject; the subject that was appended to longest ago is dropped first. */
export class TailCache {
  readonly #tails = new Map<Subject, Tail>();
  #bytes = 0;

  constructor(private readonly bounds: TailBounds) {}

  get bytes(): number {
    return this.#bytes;
  }

  /** Appends messages that follow each other; an undefined one (its body is not in memory) breaks the run. */
  append(subject: Subject, firstSequence: Sequence, messages: readonly (Message | undefined)[]): void {
    let tail = this.#tails.get(subject);
    if (tail === undefined) tail = { first: firstSequence, messages: [], bytes: 0 };
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
      }
      sequence++;
    }
    if (tail.messages.length > this.bounds.subjectCountMax) {
      this.#drop(tail, tail.messages.length - this.bounds.subjectCountMax);
    }
    this.#shrink();
  }

  /**
   * Messages from `from` on, at most `limit` and `bodyBytesMax` (at least one); undefined when `from` is not in memory.
   */
  read(subject: Subject, from: Sequence, limit: number, bodyBytesMax: number): readonly Message[] | undefined {
    const tail = this.#tails.get(subject);
    if (tail === undefined || from < tail.first) return undefined;
    const start = from - tail.first;
    if (start >= tail.messages.length) return undefined;
    let end = start;
    let bytes = 0;
    const endMax = Math.min(tail.messages.length, start + limit);
    while (end < endMax) {
      bytes += tail.messages[end]?.body.length ?? 0;
      if (end > start && bytes > bodyBytesMax) break;
      end++;
    }
    return start === 0 && end === tail.messages.length ? tail.messages.slice() : tail.messages.slice(start, end);
  }

  /** Forgets what was deleted. */
  purge(subject: Subject, through: Sequence): void {
    const tail = this.#tails.get(subject);
    if (tail === undefined || through < tail.first) return;
    this.#drop(tail, Math.min(through - tail.first + 1, tail.messages.length));
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
