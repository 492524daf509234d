/**
 * Waiting for something to happen to a subject, with a bound in time: the long polls.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";

/** Why a wait ended. */
export type WaitEnd = "woken" | "timeout" | "aborted" | "draining";

/**
 * Everybody who waits, told when the server ends. A set of its own: the listeners of one shared `AbortSignal` are a
 * list that is searched with every wait, and with 65,000 waits that took longer than all the rest.
 */
export class Draining {
  readonly #ends = new Set<() => void>();
  #begun = false;

  /** Whether the server ends. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Ends every wait, and those to come. */
  begin(): void {
    this.#begun = true;
    for (const end of [...this.#ends]) end();
  }

  add(end: () => void): void {
    this.#ends.add(end);
  }

  delete(end: () => void): void {
    this.#ends.delete(end);
  }
}

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
  async wait(ms: number, timers: Timers, draining: Draining, signal?: AbortSignal): Promise<WaitEnd> {
    if (this.#rung) return "woken";
    if (signal?.aborted === true) return "aborted";
    if (draining.begun) return "draining";
    if (ms <= 0) return "timeout";
    return new Promise<WaitEnd>((resolve) => {
      const end = (why: WaitEnd) => () => {
        this.#wake = undefined;
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        draining.delete(onDrain);
        resolve(why);
      };
      const onAbort = end("aborted");
      const onDrain = end("draining");
      const timer = timers.after(ms, end("timeout"));
      this.#wake = end("woken");
      signal?.addEventListener("abort", onAbort);
      draining.add(onDrain);
    });
  }
}
