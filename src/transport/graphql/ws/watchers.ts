/**
 * What time does to connections: those that do not begin, that stay silent, or whose token expires are ended. One timer
 * for each of the three looks after all of them.
 * @module
 */
import { closes } from "./close-codes.ts";
import type { Connection } from "./connection.ts";

/** How the watchers wait; given in so that a test can turn the clock itself. */
export interface WatchedClock {
  /** Calls `tick` every `ms` milliseconds until the returned function is called. */
  readonly every: (ms: number, tick: () => void) => () => void;
}

/** The process's own timers; they do not keep it alive. */
const processClock: WatchedClock = {
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** What is watched for. */
export interface WatchersOptions {
  /** Between two pings, in milliseconds. */
  readonly heartbeatMs: number;
  /** How long a connection may stay without connection_init, in milliseconds. */
  readonly initMs: number;
  /** Unix milliseconds now. */
  readonly nowMs: () => number;
  readonly clock: WatchedClock | undefined;
}

/** Between two looks at those that must begin, and at tokens: the stream itself refuses what comes after an expiry. */
const lookMs = 500;
/** Connections are spread over this many moments of the interval, so that pings do not come in one burst. */
const slotsCount = 16;
/** Unanswered pings after which a connection is ended. */
const silentPingsMax = 2;

/** Watches all connections. */
export class Watchers {
  readonly #options: WatchersOptions;
  readonly #slots = Array.from({ length: slotsCount }, () => new Set<Connection>());
  /** With the time at which they must have begun, and at which their rights end. */
  readonly #beginning = new Map<Connection, number>();
  readonly #expiring = new Map<Connection, number>();
  readonly #cancels: readonly (() => void)[];
  #nextSlot = 0;
  #joined = 0;

  constructor(options: WatchersOptions) {
    this.#options = options;
    const { every } = options.clock ?? processClock;
    const beatMs = Math.max(1, Math.floor(options.heartbeatMs / slotsCount));
    this.#cancels = [every(beatMs, () => this.#beat()), every(lookMs, () => this.#look())];
  }

  /** Connections that have not said who they are. */
  get unknown(): number {
    return this.#beginning.size;
  }

  add(connection: Connection): void {
    this.#slots[this.#joined++ % slotsCount]?.add(connection);
    this.#beginning.set(connection, this.#options.nowMs() + this.#options.initMs);
  }

  /** @param expiresAt Unix milliseconds; `Infinity` for never */
  known(connection: Connection, expiresAt: number): void {
    this.#beginning.delete(connection);
    if (Number.isFinite(expiresAt)) this.#expiring.set(connection, expiresAt);
  }

  remove(connection: Connection): void {
    this.#beginning.delete(connection);
    this.#expiring.delete(connection);
    for (const slot of this.#slots) if (slot.delete(connection)) return;
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
  }

  #look(): void {
    const nowMs = this.#options.nowMs();
    for (const [connection, atMs] of [...this.#beginning]) if (atMs <= nowMs) connection.close(closes.noInit);
    for (const [connection, atMs] of [...this.#expiring]) if (atMs <= nowMs) connection.close(closes.expired);
  }

  #beat(): void {
    for (const connection of this.#slots[this.#nextSlot++ % slotsCount] ?? []) {
      if (connection.alive) connection.silentPings = 0;
      else if (++connection.silentPings >= silentPingsMax) {
        connection.close(closes.silent);
        continue;
      }
      connection.alive = false;
      connection.ping();
    }
  }
}
