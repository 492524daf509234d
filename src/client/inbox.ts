/**
 * The end of a stream that the caller holds: what came waits here for `next()`.
 * @module
 */

/** Items in order, then the end. Who pushes sees to a bound. */
export class Inbox<T> {
  #came: T[] = [];
  /** What came before, the next one last: taking it costs the same at any length. */
  #next: T[] = [];
  #waiting: (() => void)[] = [];
  readonly #onTaken: (item: T) => void;
  #end: { readonly error?: Error | undefined } | undefined;

  /** @param onTaken called for each item as it goes to the caller */
  constructor(onTaken: (item: T) => void) {
    this.#onTaken = onTaken;
  }

  push(item: T): void {
    if (this.#end) return;
    this.#came.push(item);
    this.#wake();
  }

  /** The end comes behind what is there; an error is thrown once. */
  end(error?: Error): void {
    this.#end ??= { error };
    this.#wake();
  }

  /** The end, at once: nothing that is there is wanted any more. Returns it. */
  cancel(): readonly T[] {
    const untaken = [...this.#next.reverse(), ...this.#came];
    this.#next = this.#came = [];
    this.#end = {};
    this.#wake();
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
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }
}
