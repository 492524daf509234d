/**
 * One deadline for everything that a publish waits for, measured from its arrival: waits for one store and then the
 * other must not add up.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";

/** A publish that is not answered yet. */
export interface Pending {
  readonly dueMs: number;
  readonly expire: () => void;
  /** Only of one whose turn is not the one of its arrival. */
  readonly timer?: { cancel(): void } | undefined;
}

/** Calls back for what is not ended in time. One timer for all: there may be tens of thousands of publishes a second. */
export class Deadlines {
  /** In the order in which they are due. */
  readonly #pending = new Set<Pending>();
  #isArmed = false;

  /**
   * @param elapsedMs monotonic milliseconds
   * @param msMax from the arrival to the deadline
   */
  constructor(
    private readonly timers: Timers,
    private readonly elapsedMs: () => number,
    readonly msMax: number,
  ) {}

  /**
   * Calls `expire` at the deadline, unless `end` comes first.
   * @param arrivedMs by `elapsedMs`; now when left out
   * @param extraMs beside the usual time
   */
  start(expire: () => void, arrivedMs?: number, extraMs = 0): Pending {
    const nowMs = this.elapsedMs();
    const dueMs = (arrivedMs ?? nowMs) + this.msMax + extraMs;
    if (arrivedMs !== undefined || extraMs > 0) {
      return { dueMs, expire, timer: this.timers.after(Math.max(0, dueMs - nowMs), expire) };
    }
    const pending = { dueMs, expire };
    this.#pending.add(pending);
    if (!this.#isArmed) this.#arm(this.msMax);
    return pending;
  }

  /** It was answered. */
  end(pending: Pending): void {
    this.#pending.delete(pending);
    pending.timer?.cancel();
  }

  #arm(ms: number): void {
    this.#isArmed = true;
    this.timers.after(ms, () => {
      this.#isArmed = false;
      this.#expireDue();
    });
  }

  #expireDue(): void {
    const nowMs = this.elapsedMs();
    for (const pending of this.#pending) {
      if (pending.dueMs > nowMs) {
        this.#arm(pending.dueMs - nowMs);
        return;
      }
      this.#pending.delete(pending);
      pending.expire();
    }
  }
}
