/**
 * Who waits for a change of something.
 * @module
 */

/** Wakes all of them at once; each looks again by itself. */
export class Waiters {
  readonly #waiting: (() => void)[] = [];

  /** Resolves with the next `wake`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  wake(): void {
    if (this.#waiting.length > 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
