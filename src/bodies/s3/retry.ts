/**
 * Tries a request again until it succeeds, cannot succeed, or its time is over. What is retried must be the same when
 * it was carried out twice: the reply may be lost after the work was done.
 * @module
 */
import { paceBytesPerMs } from "../../core/limits.ts";
import { toFault } from "./faults.ts";

/** Time and chance. */
export interface RetryTiming {
  /** A request and its retries in milliseconds, beside what its bytes need. */
  readonly deadlineMs: number;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
  /** 0 <= random < 1. */
  readonly random: () => number;
}

/** One call's bounds. */
export interface RetryBounds {
  /** Bytes that have to be moved; adds to the deadline. */
  readonly bytes?: number;
  /** In place of the deadline of all. */
  readonly deadlineMs?: number;
  /** Ends it with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const firstDelayMs = 20;
const delayMsMax = 1000;
/** A reply that was lost without a reset shows by time only; so one attempt gets this part of the whole. */
const attemptShare = 0.5;

/** See the module. */
export class Retry {
  readonly #timing: RetryTiming;

  constructor(timing: RetryTiming) {
    this.#timing = timing;
  }

  /**
   * The result of the first attempt that succeeds. An attempt has to end soon after its signal aborts.
   * @throws S3Fault of the last attempt; the reason of `signal`
   */
  async run<T>(attempt: (signal: AbortSignal) => Promise<T>, bounds: RetryBounds = {}): Promise<T> {
    const { bytes = 0, deadlineMs = this.#timing.deadlineMs, signal } = bounds;
    const wholeMs = deadlineMs + bytes / paceBytesPerMs;
    const endMs = this.#timing.elapsedMs() + wholeMs;
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      const leftMs = endMs - this.#timing.elapsedMs();
      const timeout = AbortSignal.timeout(Math.ceil(Math.max(1, Math.min(leftMs, wholeMs * attemptShare))));
      try {
        return await attempt(signal === undefined ? timeout : AbortSignal.any([timeout, signal]));
      } catch (thrown) {
        signal?.throwIfAborted();
        const fault = toFault(thrown, "S3");
        const delayMs = this.#delayMs(tries);
        if (!fault.retryable || this.#timing.elapsedMs() + delayMs >= endMs) throw fault;
        await delay(delayMs, signal);
      }
    }
  }

  /** Doubles, and half of it is chance, so that nodes that failed together do not come back together. */
  #delayMs(tries: number): number {
    const fullMs = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(tries, 10));
    return fullMs * (0.5 + this.#timing.random() / 2);
  }
}

const delay = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
