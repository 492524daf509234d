/**
 * Waiting for something to happen to a subject, with a bound in time: the long polls.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";

/** Why a wait ended. */
export type WaitEnd = "woken" | "timeout" | "aborted" | "draining";

/**
 * A bell that rings once or many times; waiting after it rang returns at once, so nothing is missed between a look and
 * a wait.
 */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Forgets that it rang; call it before the look, not after. */
  reset(): void {
    this.#rung = false;
  }

  /** Waits for a ring, the time, the signal, or the end of the server. */
  async wait(ms: number, timers: Timers, drained: AbortSignal, signal?: AbortSignal): Promise<WaitEnd> {
    if (this.#rung) return "woken";
    if (signal?.aborted === true) return "aborted";
    if (drained.aborted) return "draining";
    if (ms <= 0) return "timeout";
    return new Promise<WaitEnd>((resolve) => {
      const end = (why: WaitEnd) => () => {
        this.#wake = undefined;
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        drained.removeEventListener("abort", onDrain);
        resolve(why);
      };
      const onAbort = end("aborted");
      const onDrain = end("draining");
      const timer = timers.after(ms, end("timeout"));
      this.#wake = end("woken");
      signal?.addEventListener("abort", onAbort);
      drained.addEventListener("abort", onDrain);
    });
  }
}
