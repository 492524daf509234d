/**
 * What `close()` waits for.
 * @module
 */
import { Waiters } from "./waiters.ts";

/** Counts work that is under way. */
export class Outstanding {
  count = 0;
  readonly #waiters = new Waiters();

  begin(): void {
    this.count++;
  }

  end(): void {
    if (--this.count === 0) this.#waiters.wake();
  }

  /** Resolves when nothing is. */
  idle(): Promise<void> {
    const idle = this.#waiters.wait();
    this.begin();
    this.end();
    return idle;
  }
}
