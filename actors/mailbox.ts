/**
 * A bounded first-in first-out mailbox. It counts messages and bytes; a full one refuses, it never grows. Messages of
 * the runtime itself (a commit that came back) are never refused: the work they belong to was counted when it came in.
 * @module
 */

/** How much a mailbox holds. */
export interface MailboxBounds {
  readonly countMax: number;
  readonly bytesMax: number;
}

/** A queue with a bound on count and bytes. A message alone in an empty mailbox is taken whatever its size. */
export class Mailbox<M> {
  #messages: M[] = [];
  #sizes: number[] = [];
  /** Index of the oldest message; the arrays are cut when they run empty, so taking is O(1). */
  #start = 0;
  #bytes = 0;

  constructor(readonly bounds: MailboxBounds) {}

  get count(): number {
    return this.#messages.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the message was taken. */
  offer(message: M, bytes: number): boolean {
    const count = this.count;
    if (count > 0 && (count >= this.bounds.countMax || this.#bytes + bytes > this.bounds.bytesMax)) return false;
    this.#messages.push(message);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
    return true;
  }

  /** Takes the oldest messages, at most `countMax`. */
  take(countMax: number): M[] {
    if (this.#start === 0 && this.#messages.length <= countMax) {
      const all = this.#messages;
      this.#clear();
      return all;
    }
    const end = Math.min(this.#start + countMax, this.#messages.length);
    const taken = this.#messages.slice(this.#start, end);
    for (let i = this.#start; i < end; i++) this.#bytes -= this.#sizes[i] ?? 0;
    this.#start = end;
    if (this.#start === this.#messages.length) this.#clear();
    else if (this.#start > 1024 && this.#start * 2 > this.#messages.length) {
      // Cut what was taken, so that a mailbox that never runs empty does not grow.
      this.#messages = this.#messages.slice(this.#start);
      this.#sizes = this.#sizes.slice(this.#start);
      this.#start = 0;
    }
    return taken;
  }

  #clear(): void {
    this.#messages = [];
    this.#sizes = [];
    this.#start = 0;
    this.#bytes = 0;
  }
}
