/**
 * Chooses between a call on this thread and one on the thread pool. The hop to the pool costs more than a small write
 * or a read from the page cache, but on a slow or busy disk a call on this thread would stop the whole server.
 * @module
 */

/** Open while recent calls were quick, whichever form they had. */
export class LatencyGate {
  readonly #quickMsMax: number;
  /** Moving average over about eight calls; the first one is taken as slow. */
  #averageMs = Number.POSITIVE_INFINITY;

  constructor(quickMsMax: number) {
    this.#quickMsMax = quickMsMax;
  }

  /** Whether a call on this thread is expected to be quick. */
  get quick(): boolean {
    return this.#averageMs < this.#quickMsMax;
  }

  /** Tells how long a call took. */
  record(tookMs: number): void {
    this.#averageMs = Number.isFinite(this.#averageMs) ? this.#averageMs + (tookMs - this.#averageMs) / 8 : tookMs;
  }
}
