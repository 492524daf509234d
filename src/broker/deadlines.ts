/**
 * One deadline for everything that a publish waits for, measured from its arrival: waits for one store and then the
 * other must not add up.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";

/** What is to be answered in time. It is a link of the list of them all: one object a publish, and nothing beside it. */
export interface Pending {
  /** By `elapsedMs`; set by `Deadlines`. */
  dueMs: number;
  /** Only of one whose turn is not the one of its arrival; such a one is in no list. */
  timer: { cancel(): void } | undefined;
  /** Neighbours in the list; the list's own. */
  previous: Pending | undefined;
  next: Pending | undefined;
  /** The deadline has come. */
  expire(): void;
}

/** Calls back for what is not ended in time. One timer for all: there may be tens of thousands of publishes a second. */
export class Deadlines {
  /** The list is in the order in which they are due. */
  #first: Pending | undefined;
  #last: Pending | undefined;
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
   * @returns now, by `elapsedMs`
   */
  start(pending: Pending, arrivedMs?: number, extraMs = 0): number {
    const nowMs = this.elapsedMs();
    pending.dueMs = (arrivedMs ?? nowMs) + this.msMax + extraMs;
    if (arrivedMs !== undefined || extraMs > 0) {
      pending.timer = this.timers.after(Math.max(0, pending.dueMs - nowMs), () => pending.expire());
      return nowMs;
    }
    pending.previous = this.#last;
    if (this.#last === undefined) this.#first = pending;
    else this.#last.next = pending;
    this.#last = pending;
    if (!this.#isArmed) this.#arm(this.msMax);
    return nowMs;
  }

  /** It was answered. Once for each. */
  end(pending: Pending): void {
    if (pending.timer !== undefined) {
      pending.timer.cancel();
      return;
    }
    const { previous, next } = pending;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    pending.previous = undefined;
    pending.next = undefined;
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
    for (let pending = this.#first; pending !== undefined; pending = this.#first) {
      if (pending.dueMs > nowMs) {
        this.#arm(pending.dueMs - nowMs);
        return;
      }
      // Answers, and so takes itself out of the list.
      pending.expire();
    }
  }
}
