/**
 * The end of a stream that the caller holds: what came waits here for `next()`.
 * @module
 */
import { Waiters } from "./waiters.ts";

/** Items in order, then the end. Who pushes sees to a bound. */
export class Inbox<T> {
  #came: T[] = [];
  /** What came before, the next one last: taking it costs the same at any length. */
  #next: T[] = [];
  readonly #waiters = new Waiters();
  readonly #onTaken: (item: T) => void;
  #end: { readonly error?: Error | undefined } | undefined;

  /** @param onTaken called for each item as it goes to the caller */
  constructor(onTaken: (item: T) => void) {
    this.#onTaken = onTaken;
  }

  push(item: T): void {
    if (this.#end) return;
    this.#came.push(item);
    this.#waiters.wake();
  }

  /** The end comes behind what is there; an error is thrown once. */
  end(error?: Error): void {
    this.#end ??= { error };
    this.#waiters.wake();
  }

  /** The end, at once: nothing that is there is wanted any more. Returns it. */
  cancel(): readonly T[] {
    const untaken = [...this.#next.reverse(), ...this.#came];
    this.#next = this.#came = [];
    this.#end = {};
    this.#waiters.wake();
    return untaken;
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      if (this.#next.length === 0) {
        this.#next = this.#came.reverse();
        this.#came = [];
      }
      const value = this.#next.pop();
      // Nobody pushes undefined.
      if (value !== undefined) {
        this.#onTaken(value);
        return { done: false, value };
      }
      if (this.#end) {
        const { error } = this.#end;
        this.#end = {};
        if (error) throw error;
        return { done: true, value: undefined };
      }
      await this.#waiters.wait();
    }
  }
}
