/**
 * Waiting for something to do. A ring before the wait counts, so nothing is missed between a look and a wait.
 * @module
 */
import type { Timers } from "../actor.ts";

/** Longest wait of one timer, in milliseconds. */
const waitMsMax = 24 * 60 * 60 * 1000;

/** A bell for one who waits. */
export class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  constructor(private readonly timers: Timers) {}

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /** Resolves after a ring, or so many milliseconds. */
  async wait(ms: number = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#isRung && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = ms === Number.POSITIVE_INFINITY ? undefined : this.timers.after(Math.min(ms, waitMsMax), resolve);
        this.#wake = () => {
          timer?.cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#isRung = false;
  }
}
