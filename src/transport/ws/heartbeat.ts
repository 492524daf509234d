/**
 * Pings every connection once per interval and ends those that stay silent.
 * @module
 */
import { closes } from "./close-codes.ts";
import type { Connection } from "./connection.ts";

/** Connections are spread over this many moments of the interval, so that pings do not come in one burst. */
const slotsCount = 16;

/** Unanswered pings after which a connection is ended. */
const silentPingsMax = 2;

/** How the transport waits; given in so that a test can turn the clock itself. */
export interface WsTimers {
  /** Calls `tick` every `ms` milliseconds until the returned function is called. */
  every(ms: number, tick: () => void): () => void;
  /** Calls `then` once after `ms` milliseconds unless the returned function is called first. */
  after(ms: number, then: () => void): () => void;
}

/** The process's own timers; they do not keep it alive. */
export const processTimers: WsTimers = {
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  after: (ms, then) => {
    const timer = setTimeout(then, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** The heartbeat of all connections of a transport. */
export class Heartbeat {
  private readonly slots = Array.from({ length: slotsCount }, () => new Set<Connection>());
  private nextSlot = 0;
  private joined = 0;
  private readonly cancel: () => void;

  constructor(intervalMs: number, timers: WsTimers) {
    this.cancel = timers.every(Math.max(1, Math.floor(intervalMs / slotsCount)), () => this.tick());
  }

  add(connection: Connection): void {
    this.slots[this.joined++ % slotsCount]?.add(connection);
  }

  remove(connection: Connection): void {
    for (const slot of this.slots) if (slot.delete(connection)) return;
  }

  stop(): void {
    this.cancel();
  }

  private tick(): void {
    const slot = this.slots[this.nextSlot++ % slotsCount];
    if (slot === undefined) return;
    for (const connection of slot) beat(connection);
  }
}

const beat = (connection: Connection): void => {
  if (connection.alive) connection.silentPings = 0;
  else if (++connection.silentPings >= silentPingsMax) {
    connection.close(closes.silent);
    return;
  }
  connection.alive = false;
  connection.ping();
};
