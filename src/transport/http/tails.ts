/**
 * The live tails that are open: one timer keeps all of them from falling silent, and stopping ends all of them.
 * @module
 */

/** Time, as the transport needs it. */
export interface HttpClock {
  /** Calls `run` every `intervalMs` milliseconds until the returned function is called. */
  every(intervalMs: number, run: () => void): () => void;
}

/** The clock of the machine. */
export const systemClock: HttpClock = {
  every: (intervalMs, run) => {
    const timer = setInterval(run, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** What the set asks of a tail. */
export interface OpenTail {
  /** Sends a comment when nothing else is waiting to be sent. */
  keepAlive(): void;
  /** Ends it. */
  end(): void;
}

/** The contract promises a comment every 15 s at the latest; this leaves room for a busy server. */
const keepAliveMs = 10_000;

/** All open tails. */
export class TailSet {
  readonly #clock: HttpClock;
  readonly #tails = new Set<OpenTail>();
  #stopTimer: (() => void) | undefined;

  constructor(clock: HttpClock) {
    this.#clock = clock;
  }

  add(tail: OpenTail): void {
    this.#tails.add(tail);
    this.#stopTimer ??= this.#clock.every(keepAliveMs, () => {
      for (const open of this.#tails) open.keepAlive();
    });
  }

  delete(tail: OpenTail): void {
    this.#tails.delete(tail);
    if (this.#tails.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** Ends every tail. */
  close(): void {
    for (const tail of [...this.#tails]) tail.end();
  }
}
