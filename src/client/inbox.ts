/**
 * The end of a stream that the caller holds: what came waits here for `next()`.
 * @module
 */
import { Fifo } from "./fifo.ts";

const done = { done: true, value: undefined } as const;

interface Taker<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** Items in order, then the end. Who pushes sees to a bound. */
export class Inbox<T> {
  readonly #items = new Fifo<T>();
  readonly #takers = new Fifo<Taker<T>>();
  #end: { readonly error?: unknown } | undefined;

  /** @param onTaken called for each item as it goes to the caller */
  constructor(private readonly onTaken: (item: T) => void) {}

  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(item: T): void {
    if (this.#end !== undefined) return;
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#items.push(item);
      return;
    }
    taker.resolve({ done: false, value: item });
    this.onTaken(item);
  }

  /** The end comes behind what is there; an error is thrown once. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = error === undefined ? {} : { error };
    for (let taker = this.#takers.shift(); taker !== undefined; taker = this.#takers.shift()) this.#finish(taker);
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
      this.onTaken(item);
      return Promise.resolve({ done: false, value: item });
    }
    return new Promise((resolve, reject) => {
      const taker = { resolve, reject };
      if (this.#end === undefined) this.#takers.push(taker);
      else this.#finish(taker);
    });
  }

  #finish(taker: Taker<T>): void {
    const error = this.#end?.error;
    this.#end = {};
    if (error === undefined) taker.resolve(done);
    else taker.reject(error);
  }
}
