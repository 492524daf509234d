/**
 * Bodies that come too slowly. A body may take as long as its bytes need at the lowest rate, and some seconds more;
 * only the time counts in which the server waits for the client.
 * @module
 */
import type { HttpClock } from "./tails.ts";

/** Bounds of the pace. */
export interface PaceLimits {
  /** Every body may take this long, in milliseconds. */
  readonly graceMs: number;
  /** Lowest rate on average, beyond the grace. */
  readonly bytesPerSecondMin: number;
}

const defaultLimits: PaceLimits = { graceMs: 10_000, bytesPerSecondMin: 1024 };
const tickMs = 1000;

/** A body that is waited for. */
export interface PacedBody {
  /** What it may take its time for: bytes that have come, or all of them where that cannot be seen. */
  bytes: number;
  /** Whether the server waits for the client at the moment. */
  waiting: boolean;
  /** Called once when it is too slow. */
  readonly tooSlow: () => void;
}

/** All bodies that are waited for; one timer looks at them. */
export class Pace {
  readonly #ages = new Map<PacedBody, number>();
  readonly #clock: HttpClock;
  readonly #limits: PaceLimits;
  #stopTimer: (() => void) | undefined;

  constructor(clock: HttpClock, limits = defaultLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  watch(body: PacedBody): void {
    this.#ages.set(body, 0);
    this.#stopTimer ??= this.#clock.every(tickMs, () => this.#tick());
  }

  /** It has come, or is no longer wanted. */
  forget(body: PacedBody): void {
    this.#ages.delete(body);
  }

  #tick(): void {
    const { graceMs, bytesPerSecondMin } = this.#limits;
    for (const [body, ageMs] of this.#ages) {
      if (!body.waiting) continue;
      this.#ages.set(body, ageMs + tickMs);
      if (ageMs + tickMs <= graceMs + (body.bytes / bytesPerSecondMin) * 1000) continue;
      this.#ages.delete(body);
      body.tooSlow();
    }
    // Not at the last `forget`: under load that would start and stop the timer with every request.
    if (this.#ages.size > 0) return;
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }
}
