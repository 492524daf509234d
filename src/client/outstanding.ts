/**
 * What `close()` waits for.
 * @module
 */

/** Counts work that is under way. */
export class Outstanding {
  count = 0;
  #waiting: (() => void)[] = [];

  begin(): void {
    this.count++;
  }

  end(): void {
    if (--this.count > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }

  /** Resolves when nothing is. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.begin();
      this.end();
    });
  }
}
