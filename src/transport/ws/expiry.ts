/**
 * Ends connections whose token has expired: one timer looks after all of them, and none runs where no token is in use.
 * @module
 */
import type { Connection } from "./connection.ts";
import type { WsTimers } from "./heartbeat.ts";

/** A second is soon enough: the stream itself refuses what comes after the expiry. */
const lookMs = 1000;

/** The connections that end by themselves, with the Unix milliseconds at which they do. */
export class Expiry {
  readonly #connections = new Map<Connection, number>();
  #stop: (() => void) | undefined;

  constructor(
    private readonly timers: WsTimers,
    private readonly nowMs: () => number,
  ) {}

  /** Looks after a connection from now on. */
  add(connection: Connection, expiresAt: number): void {
    if (expiresAt === Number.POSITIVE_INFINITY) return;
    this.#connections.set(connection, expiresAt);
    this.#stop ??= this.timers.every(lookMs, () => this.#look());
  }

  remove(connection: Connection): void {
    if (!this.#connections.delete(connection) || this.#connections.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #look(): void {
    const nowMs = this.nowMs();
    for (const [connection, expiresAt] of [...this.#connections]) if (expiresAt <= nowMs) connection.caller.expire();
  }
}
