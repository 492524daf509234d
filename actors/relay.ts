/**
 * The relay: one a node, only over stores that several nodes share. It holds a call at the store that answers when
 * something changed, and passes on what other nodes (and this one) did, in the order of the commits. What it passes on
 * are hints: a follower's cursor decides what it still needs.
 * @module
 */
import { type StreamError, toStreamError } from "../src/core/errors.ts";
import type { Sequence } from "../src/core/message.ts";
import type { Subject } from "../src/core/subject.ts";
import type { ChangeFeed, ChangePage, FeedPosition } from "../src/metadata/contract.ts";
import type { Timers } from "./actor.ts";

/** What the relay works with. */
export interface RelayOptions {
  readonly feed: ChangeFeed;
  readonly timers: Timers;
  /** How long the store holds one call when nothing changes, in milliseconds. */
  readonly holdMs: number;
  /** First pause after a failed call, doubled up to `retryMsMax`. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** Told of each page that has something in it. Must not throw. */
  onChanges(page: ChangePage): void;
  /** Changes were lost; what came after has to be looked at. Must not throw. */
  onLost(after: SeenChanges): void;
  /** Told of failed calls, for the log. */
  onFailure?(error: StreamError): void;
}

/** How far the feed was heard. */
export interface SeenChanges {
  /** The store's time of the last page: whatever came after it is not older. */
  readonly sinceMs: number;
  /** Last sequences of subjects that moved in that very millisecond and were told of: they are not older either. */
  readonly told: ReadonlyMap<Subject, Sequence>;
}

interface Waiter {
  readonly position: FeedPosition;
  readonly resolve: () => void;
}

/** Follows the feed until it is stopped. */
export class Relay {
  readonly #stopped = new AbortController();
  #position: FeedPosition | undefined;
  #seenAtMs = 0;
  /** Told of in pages of the time `#seenAtMs`. */
  #told = new Map<Subject, Sequence>();
  #waiters: Waiter[] = [];
  #failuresInRow = 0;
  #running: Promise<void> | undefined;

  constructor(private readonly options: RelayOptions) {}

  /** Takes its place in the feed; resolves when it has one. */
  async start(): Promise<void> {
    const page = await this.options.feed.now();
    this.#arrive(page);
    this.#running = this.#run();
  }

  /** Resolves when everything that was committed before the call has been passed on. @throws StreamError `unavailable` */
  async caughtUp(): Promise<void> {
    const { position } = await this.options.feed.now();
    if (this.#reached(position)) return;
    await new Promise<void>((resolve) => this.#waiters.push({ position, resolve }));
  }

  /** Ends the call that is held. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
    this.#wakeAll();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
        this.#failuresInRow = 0;
      } catch (error) {
        if (this.#isStopped()) return;
        this.options.onFailure?.(toStreamError(error));
        await this.#pause();
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { feed, holdMs } = this.options;
    const after = this.#position;
    if (after === undefined) return;
    const page = await feed.next(after, holdMs, signal);
    if (page.lost) {
      this.options.onLost({ sinceMs: this.#seenAtMs, told: this.#told });
      // Whoever waited for a position of the store's former life has seen all there was.
      this.#arrive(page);
      this.#wakeAll();
      return;
    }
    this.options.onChanges(page);
    this.#arrive(page);
  }

  #arrive({ position, nowMs, moved, lost }: ChangePage): void {
    this.#position = position;
    // A new map, not an emptied one: whoever looks after a loss goes on with the former.
    if (lost || nowMs !== this.#seenAtMs) this.#told = new Map();
    this.#seenAtMs = nowMs;
    if (!lost) for (const { subject, last } of moved) this.#told.set(subject, last);
    if (this.#waiters.length === 0) return;
    const reached = this.#waiters.filter((waiter) => this.#reached(waiter.position));
    this.#waiters = this.#waiters.filter((waiter) => !reached.includes(waiter));
    for (const { resolve } of reached) resolve();
  }

  #reached(position: FeedPosition): boolean {
    return this.#position !== undefined && this.options.feed.reached(this.#position, position);
  }

  #wakeAll(): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /** A look that the type checker does not take for settled: it changes while the loop waits. */
  #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  async #pause(): Promise<void> {
    const { retryMs, retryMsMax, timers } = this.options;
    const ms = Math.min(retryMs * 2 ** this.#failuresInRow++, retryMsMax);
    await new Promise<void>((resolve) => {
      const timer = timers.after(ms, resolve);
      this.#stopped.signal.addEventListener(
        "abort",
        () => {
          timer.cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}
