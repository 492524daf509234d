/**
 * The end of a stream that the caller holds: what came waits here for `next()`.
 * @module
 */
import { Fifo } from "./fifo.ts";

interface Taker<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** Items in order, then the end. Who pushes sees to a bound. */
export class Inbox<T> {
  readonly #items = new Fifo<T>();
  readonly #takers = new Fifo<Taker<T>>();
  #end: { readonly error?: Error | undefined } | undefined;
  readonly #onTaken: (item: T) => void;

  /** @param onTaken called for each item as it goes to the caller */
  constructor(onTaken: (item: T) => void) {
    this.#onTaken = onTaken;
  }

  push(item: T): void {
    if (this.#end) return;
    const taker = this.#takers.shift();
    if (taker) {
      taker.resolve({ done: false, value: item });
      this.#onTaken(item);
    } else this.#items.push(item);
  }

  /** The end comes behind what is there; an error is thrown once. */
  end(error?: Error): void {
    if (this.#end) return;
    this.#end = { error };
    for (const taker of this.#takers.drain()) this.#finish(taker);
  }

  /** The end, at once: nothing that is there is wanted any more. Returns it. */
  cancel(): readonly T[] {
    this.end();
    this.#end = {};
    return this.#items.drain();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#onTaken(item);
      return Promise.resolve({ done: false, value: item });
    }
    return new Promise((resolve, reject) => {
      const taker = { resolve, reject };
      if (this.#end) this.#finish(taker);
      else this.#takers.push(taker);
    });
  }

  #finish(taker: Taker<T>): void {
    const error = this.#end?.error;
    this.#end = {};
    if (error) taker.reject(error);
    else taker.resolve({ done: true, value: undefined });
  }
}
