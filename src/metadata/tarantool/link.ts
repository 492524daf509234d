/**
 * The way to the database: one connection at a time, opened again with back-off for as long as the store is open. It
 * keeps no calls; whoever waits for a connection says until when.
 * @module
 */
import { type Address, Connection } from "./connection.ts";
import { NotSentError, RefusedError } from "./errors.ts";

/** Pause before the second attempt to connect; doubled from attempt to attempt, shortened by chance. */
const pauseMsMin = 20;
const pauseMsMax = 1000;

/** What the link is made of. */
export interface LinkParts {
  readonly address: Address;
  /** Longest attempt to connect. */
  readonly connectMsMax: number;
  /** From 0 up to 1; spreads the attempts of many nodes. */
  readonly random: () => number;
}

/** Opens connections until it is closed. */
export class Link {
  readonly #parts: LinkParts;
  #connection: Connection | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #attempts = 0;
  #isClosed = false;
  #wasOpen = false;
  #waiting = new Set<() => void>();
  #trouble: unknown;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    this.#connect();
  }

  /** Whether it opens connections no more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Why there is no connection. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /**
   * A connection, as soon as there is one.
   * @throws NotSentError when there is none until the time (`performance.now()`), or the link is closed; at once when
   * the first attempts are refused: then it is the configuration. Later somebody may be changing a password.
   */
  async connection(untilMs: number): Promise<Connection> {
    for (;;) {
      if (this.#isClosed) throw new NotSentError("the store is closed");
      if (this.#connection !== undefined) return this.#connection;
      const msLeft = untilMs - performance.now();
      const isRefused = !this.#wasOpen && this.#trouble instanceof RefusedError;
      if (msLeft <= 0 || isRefused) throw new NotSentError("there is no connection", { cause: this.#trouble });
      await this.#change(msLeft);
    }
  }

  /** No connection any more; those who wait for one, or for an answer, are rejected. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#pause);
    this.#connection?.close();
    this.#connection = undefined;
    this.#wake();
  }

  async #change(msMax: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    const timer = setTimeout(wake, msMax);
    this.#waiting.add(wake);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(wake);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #connect(): void {
    const { address, connectMsMax } = this.#parts;
    Connection.open(address, connectMsMax).then(
      (connection) => this.#opened(connection),
      (error: unknown) => this.#failed(error),
    );
  }

  #opened(connection: Connection): void {
    if (this.#isClosed) {
      connection.close();
      return;
    }
    this.#connection = connection;
    this.#wasOpen = true;
    this.#attempts = 0;
    connection.lost.addEventListener("abort", () => this.#dropped(connection), { once: true });
    if (connection.lost.aborted) this.#dropped(connection);
    this.#wake();
  }

  #dropped(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#failed(connection.lost.reason);
  }

  #failed(reason: unknown): void {
    if (this.#isClosed) return;
    this.#trouble = reason;
    const pauseMs = Math.min(pauseMsMin * 2 ** this.#attempts, pauseMsMax) * (0.5 + this.#parts.random() / 2);
    this.#attempts++;
    this.#pause = setTimeout(() => this.#connect(), pauseMs);
    if (reason instanceof RefusedError) this.#wake();
  }
}
