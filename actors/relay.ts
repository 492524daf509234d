/**
 * The relay: one a node, only over stores that several nodes share. It holds a call at the store that answers when
 * something changed, and passes on what other nodes (and this one) did, in the order of the commits. What it passes on
 * are hints: a follower's cursor decides what it still needs.
 * @module
 */
import { type StreamError, toStreamError } from "../src/core/errors.ts";
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
  /** Changes were lost; everything since `sinceMs` (the store's time) has to be looked at. Must not throw. */
  onLost(sinceMs: number): void;
  /** Told of failed calls, for the log. */
  onFailure?(error: StreamError): void;
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
      this.options.onLost(this.#seenAtMs);
      // Whoever waited for a position of the store's former life has seen all there was.
      this.#arrive(page);
      this.#wakeAll();
      return;
    }
    this.options.onChanges(page);
    this.#arrive(page);
  }

  #arrive({ position, nowMs }: ChangePage): void {
    this.#position = position;
    this.#seenAtMs = nowMs;
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
