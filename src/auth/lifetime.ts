/**
 * How long a principal's rights last, and who has to hear of their end. One timer for each principal that somebody
 * waits under, none for the others.
 * @module
 */
import { tokenExpired } from "./grant.ts";

/** Timers come in from outside, so that tests decide when they fire. */
export interface AuthTimers {
  after(ms: number, run: () => void): { cancel(): void };
}

/** The clock's own timers; they do not keep the process alive. */
export const systemAuthTimers: AuthTimers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Longest sleep: timers stop while a machine sleeps, and the wall clock may be set. */
const sleepMsMax = 60_000;

/** The lifetime of one principal. */
export class Lifetime {
  readonly expiresAt: number;
  readonly #nowMs: () => number;
  readonly #timers: AuthTimers;
  readonly #waiting = new Set<() => void>();
  #timer: { cancel(): void } | undefined;

  /** @param expiresAt Unix milliseconds; `Infinity` never ends */
  constructor(expiresAt: number, nowMs: () => number, timers: AuthTimers) {
    this.expiresAt = expiresAt;
    this.#nowMs = nowMs;
    this.#timers = timers;
  }

  get isOver(): boolean {
    return this.#nowMs() >= this.expiresAt;
  }

  /** @throws StreamError `token_expired` */
  check(): void {
    if (this.isOver) throw tokenExpired();
  }

  /** Calls `end` once when the rights end, unless `forget` comes first. */
  onEnd(end: () => void): void {
    this.#waiting.add(end);
    if (this.expiresAt !== Number.POSITIVE_INFINITY && this.#timer === undefined) this.#sleep();
  }

  forget(end: () => void): void {
    this.#waiting.delete(end);
    if (this.#waiting.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #sleep(): void {
    const leftMs = Math.min(Math.max(0, this.expiresAt - this.#nowMs()), sleepMsMax);
    this.#timer = this.#timers.after(leftMs, () => this.#wake());
  }

  #wake(): void {
    this.#timer = undefined;
    if (!this.isOver) {
      this.#sleep();
      return;
    }
    for (const end of [...this.#waiting]) {
      if (this.#waiting.delete(end)) end();
    }
  }
}
