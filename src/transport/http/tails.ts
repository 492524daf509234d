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
  readonly #left: (request: Request) => void;
  readonly #tails = new Map<OpenTail, Request>();
  readonly #requests = new Set<Request>();
  #stopTimer: (() => void) | undefined;

  /** @param left called when the tail of a request has ended */
  constructor(clock: HttpClock, left: (request: Request) => void) {
    this.#clock = clock;
    this.#left = left;
  }

  /** @param request whose answer it is */
  add(tail: OpenTail, request: Request): void {
    this.#tails.set(tail, request);
    this.#requests.add(request);
    this.#stopTimer ??= this.#clock.every(keepAliveMs, () => {
      for (const open of this.#tails.keys()) open.keepAlive();
    });
  }

  delete(tail: OpenTail): void {
    const request = this.#tails.get(tail);
    if (request === undefined) return;
    this.#tails.delete(tail);
    this.#requests.delete(request);
    this.#left(request);
    if (this.#tails.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** Whether the answer of a request is a tail that is open. */
  has(request: Request): boolean {
    return this.#requests.has(request);
  }

  /** Ends every tail. */
  close(): void {
    for (const tail of [...this.#tails.keys()]) tail.end();
  }
}
