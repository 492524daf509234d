/**
 * The clock of delayed messages: it asks the store to commit them when they are due. Over a store that several nodes
 * share each of them does, so that none is missed when a node dies; the store commits each message once.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import { type StreamError, toStreamError } from "../core/errors.ts";
import type { MetadataStore } from "../metadata/contract.ts";

/** Messages in one transaction. */
const batchMax = 1000;
/** Longest sleep while something waits: another node, or a clock that was put, may have made something due. */
const sleepMsMax = 1000;
/** Between two looks while nothing waits: what another node put aside before it died. */
const idleMs = 5000;
/** Pause when something is due and has no room, or when the store did not answer. */
const retryMs = 250;

/** What the clock works with. */
export interface DueClockOptions {
  readonly metadata: Pick<MetadataStore, "commitDue">;
  readonly timers: Timers;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Others put messages aside, too. */
  readonly isShared: boolean;
  /** Told when the store does not answer, for the log. */
  readonly onFailure: (error: StreamError) => void;
}

/** Commits what is due, from `start` to `stop`. */
export class DueClock {
  readonly #options: DueClockOptions;
  #timer: { cancel(): void } | undefined;
  /** When the timer rings, Unix milliseconds. */
  #ringsAtMs = Number.POSITIVE_INFINITY;
  #working: Promise<void> | undefined;
  /** The earliest that was put aside here while the store was asked. */
  #nextAtMs = Number.POSITIVE_INFINITY;
  #isOn = false;

  constructor(options: DueClockOptions) {
    this.#options = options;
  }

  /** Begins; looks at once for what became due while no server ran. */
  start(): void {
    this.#isOn = true;
    this.#work();
  }

  /** Ends; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#isOn = false;
    this.#timer?.cancel();
    await this.#working;
  }

  /** A message was put aside. @param dueAtMs Unix milliseconds by the store's clock */
  scheduled(dueAtMs: number): void {
    if (!this.#isOn) return;
    const atMs = Math.min(dueAtMs, this.#options.clock() + sleepMsMax);
    if (this.#working !== undefined) this.#nextAtMs = Math.min(this.#nextAtMs, atMs);
    else this.#ringAt(atMs);
  }

  #work(): void {
    this.#timer = undefined;
    this.#ringsAtMs = Number.POSITIVE_INFINITY;
    this.#working = this.#commit().then((pauseMs) => {
      this.#working = undefined;
      if (!this.#isOn) return;
      if (pauseMs !== undefined) this.#ringAt(this.#options.clock() + pauseMs);
      const nextAtMs = this.#nextAtMs;
      this.#nextAtMs = Number.POSITIVE_INFINITY;
      if (nextAtMs < Number.POSITIVE_INFINITY) this.#ringAt(nextAtMs);
    });
  }

  /** Commits all that is due. How long to sleep then; undefined: until something is put aside. Never rejects. */
  async #commit(): Promise<number | undefined> {
    const { metadata, isShared, onFailure } = this.#options;
    try {
      while (this.#isOn) {
        const { committed, nextInMs } = await metadata.commitDue(batchMax);
        if (nextInMs === null) return isShared ? idleMs : undefined;
        if (nextInMs > 0) return Math.min(nextInMs, sleepMsMax);
        if (committed === 0) return retryMs;
        // A long queue must not keep others from their turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (thrown) {
      onFailure(toStreamError(thrown));
    }
    return retryMs;
  }

  /** Rings then, unless it rings before. */
  #ringAt(atMs: number): void {
    if (atMs >= this.#ringsAtMs) return;
    this.#timer?.cancel();
    this.#ringsAtMs = atMs;
    this.#timer = this.#options.timers.after(Math.max(0, atMs - this.#options.clock()), () => this.#work());
  }
}
