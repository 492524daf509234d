/**
 * Lets small writes go before large ones. A sync waits for what the disk has already been given, so that the only way
 * to keep a small one short is to give the disk no more of a large one meanwhile.
 * @module
 */

/** After a small write its metadata is synced, on another thread and by somebody else: the disk is left to it. */
const settleMs = 3;
/** A large write waits no longer than this for each of its steps, however many small ones there are. */
const yieldMsMax = 10;
/** Small writes that were this long ago do not count as traffic. */
const recentMs = 1000;

/** Who may use the disk. */
export class DiskTurns {
  readonly #nowMs: () => number;
  #small = 0;
  #large = 0;
  #smallEndedMs = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];

  /** @param nowMs a monotonic clock in milliseconds */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether a large object is being written, behind which a sync may have to wait. */
  get isLargeUnderWay(): boolean {
    return this.#large > 0;
  }

  /** Whether there are small writes that a large one may hold back. */
  get hasSmallTraffic(): boolean {
    return this.#small > 0 || this.#nowMs() - this.#smallEndedMs < recentMs;
  }

  /** Runs a small write; it never waits. */
  async small<T>(write: () => Promise<T>): Promise<T> {
    this.#small++;
    try {
      return await write();
    } finally {
      this.#small--;
      this.#smallEndedMs = this.#nowMs();
      if (this.#small === 0) for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  /** Runs the writing of a large object, which asks for a turn before each of its steps. */
  async large<T>(write: () => Promise<T>): Promise<T> {
    this.#large++;
    try {
      return await write();
    } finally {
      this.#large--;
    }
  }

  /** Resolves when the small writes, and what follows them, are through, or have been waited for long enough. */
  async turn(): Promise<void> {
    const untilMs = this.#nowMs() + yieldMsMax;
    while (true) {
      const nowMs = this.#nowMs();
      const leftMs = untilMs - nowMs;
      const settlingMs = this.#smallEndedMs + settleMs - nowMs;
      if (leftMs <= 0 || (this.#small === 0 && settlingMs <= 0)) return;
      if (this.#small === 0) await Bun.sleep(Math.min(leftMs, settlingMs));
      else await this.#smallEnded(leftMs);
    }
  }

  async #smallEnded(waitMsMax: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMsMax);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
