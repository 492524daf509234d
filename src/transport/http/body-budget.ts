/**
 * How many bytes of large bodies are in memory on their way out. A large body is collected before it is answered
 * (streams lose their Content-Length in Bun), so what slow clients hold back must have a bound.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { HttpClock } from "./tails.ts";

/** Bounds of a budget; each may be lowered by tests. */
export interface BodyBudgetLimits {
  /** Bytes of all bodies at once; a single larger one still goes out, alone. */
  readonly bytesMax: number;
  /** Requests that wait for room at once. */
  readonly waitersMax: number;
  /** How long one waits, in milliseconds; a client that has not drained its body by then has most likely stalled. */
  readonly waitMsMax: number;
}

/** Four of the largest bodies, as they are configured by default. */
const defaultLimits: BodyBudgetLimits = { bytesMax: 256 * 1024 * 1024, waitersMax: 256, waitMsMax: 10_000 };

/** How often finished answers are looked for, in milliseconds; only while there are any under way. */
const sweepMs = 25;

interface Holder {
  readonly request: Request;
  readonly bytes: number;
}

interface Waiter extends Holder {
  readonly admit: () => void;
  readonly refuse: (error: StreamError) => void;
  waitedMs: number;
}

const overloaded = (): StreamError =>
  new StreamError("overloaded", "Too many large bodies are on their way out; try again a little later.");

/** Room for bodies, given out in the order of asking and taken back when a request's answer is gone. */
export class BodyBudget {
  readonly #clock: HttpClock;
  readonly #finished: (request: Request) => boolean;
  readonly #limits: BodyBudgetLimits;
  #holders: Holder[] = [];
  #waiters: Waiter[] = [];
  #bytes = 0;
  #stopTimer: (() => void) | undefined;

  /** @param finished whether a request was answered to its last byte, or its client has gone */
  constructor(clock: HttpClock, finished: (request: Request) => boolean, limits = defaultLimits) {
    this.#clock = clock;
    this.#finished = finished;
    this.#limits = limits;
  }

  /** Bytes given out now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * Waits until there is room for `bytes`; the request holds them until it is finished.
   * @throws StreamError `overloaded` when too many wait or it took too long
   */
  async take(request: Request, bytes: number): Promise<void> {
    if (this.#waiters.length === 0 && this.#fits(bytes)) {
      this.#hold({ request, bytes });
      return;
    }
    if (this.#waiters.length >= this.#limits.waitersMax) throw overloaded();
    await new Promise<void>((admit, refuse) => {
      this.#waiters.push({ request, bytes, admit, refuse, waitedMs: 0 });
    });
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#limits.bytesMax;
  }

  #hold(holder: Holder): void {
    this.#holders.push(holder);
    this.#bytes += holder.bytes;
    this.#stopTimer ??= this.#clock.every(sweepMs, () => this.#sweep());
  }

  /** Bun has no event for "the last byte was sent", so the requests are asked. */
  #sweep(): void {
    this.#holders = this.#holders.filter((holder) => {
      const finished = this.#finished(holder.request);
      if (finished) this.#bytes -= holder.bytes;
      return !finished;
    });
    this.#waiters = this.#waiters.filter((waiter) => {
      waiter.waitedMs += sweepMs;
      const over = waiter.waitedMs > this.#limits.waitMsMax || this.#finished(waiter.request);
      if (over) waiter.refuse(overloaded());
      return !over;
    });
    this.#admitWaiters();
    if (this.#holders.length > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** Strictly in order: a large body is not passed over for ever by smaller ones. */
  #admitWaiters(): void {
    for (let next = this.#waiters[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiters[0]) {
      this.#waiters.shift();
      this.#hold(next);
      next.admit();
    }
  }
}
