/**
 * Places for writes that are under way. A write is known to the database by client, slot and number, and a slot is
 * only given on when nothing can happen under its last number any more.
 * @module
 */
import { StreamError } from "../../core/errors.ts";

/** Writes under way at once. */
export const slotsMax = 64;
/** Writes that may wait for a slot. */
const waitingMax = 20_000;

/** Hands out slots, oldest request first. */
export class Slots {
  readonly #free: number[] = Array.from({ length: slotsMax }, (_, slot) => slotsMax - 1 - slot);
  readonly #waiting: ((slot: number) => void)[] = [];
  #firstWaiting = 0;

  /** @throws StreamError `overloaded` when too many wait */
  async take(): Promise<number> {
    const slot = this.#free.pop();
    if (slot !== undefined) return slot;
    if (this.#waiting.length - this.#firstWaiting >= waitingMax) {
      throw new StreamError("overloaded", "Too many writes wait for the metadata store.");
    }
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.push(resolve);
    return promise;
  }

  give(slot: number): void {
    const next = this.#waiting[this.#firstWaiting];
    if (next === undefined) {
      this.#free.push(slot);
      return;
    }
    this.#firstWaiting++;
    // The part that is used up goes when it is most of the queue.
    if (this.#firstWaiting > 1000 && this.#firstWaiting * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#firstWaiting);
      this.#firstWaiting = 0;
    }
    next(slot);
  }
}
