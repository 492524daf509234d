/**
 * The actor: a mailbox, a behaviour that owns its state, and one loop that hands the behaviour batches. The next batch
 * is handed over only when the one before has settled, so a behaviour never sees itself running twice.
 * @module
 */
import { StreamError, toStreamError } from "../src/core/errors.ts";
import { Mailbox, type MailboxBounds } from "./mailbox.ts";

/** What an actor does. A new one is made for every start, so that no state outlives a failure. */
export interface Behaviour<M> {
  /** Runs exactly once, before the first message. */
  start?(): void | Promise<void>;
  /** Handles a batch. When it throws (or rejects), the whole batch is refused and the actor restarts. */
  receive(batch: readonly M[]): void | Promise<void>;
  /** Answers whoever waits for a message that will not be handled. */
  refuse(message: M, error: StreamError): void;
  /** Whether there is nothing that would be lost by putting the actor away now. */
  idle?(): boolean;
  /** Runs when the actor is put away. */
  stop?(): void | Promise<void>;
}

/** Timers come in from outside, so that tests decide when they fire. */
export interface Timers {
  after(ms: number, run: () => void): { cancel(): void };
}

/** The clock's own timers; they do not keep the process alive. */
export const systemTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** How an actor is run. */
export interface ActorOptions {
  readonly mailbox: MailboxBounds;
  /** Most messages handed over at once. */
  readonly batchCountMax: number;
  /** First pause after a failure, doubled for every further one in a row. */
  readonly restartDelayMs: number;
  readonly restartDelayMsMax: number;
  readonly timers: Timers;
  /** Told of every failure, for the log and the counters. */
  onFailure?(error: unknown, restarts: number): void;
}

type Phase = "new" | "running" | "ready" | "restarting" | "stopped";

/** A running actor. */
export class Actor<M> {
  readonly #mailbox: Mailbox<M>;
  #behaviour: Behaviour<M>;
  #phase: Phase = "new";
  #scheduled = false;
  #restartsInRow = 0;
  #restarts = 0;

  constructor(
    private readonly make: () => Behaviour<M>,
    private readonly options: ActorOptions,
  ) {
    this.#mailbox = new Mailbox(options.mailbox);
    this.#behaviour = make();
  }

  /** Messages that wait. */
  get depth(): number {
    return this.#mailbox.count;
  }

  /** How often it was restarted. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Whether it waits for nothing and may be put away. */
  get idle(): boolean {
    return this.#mailbox.count === 0 && this.#phase === "ready" && (this.#behaviour.idle?.() ?? true);
  }

  /**
   * Puts a message into the mailbox; `bytes` is what it keeps in memory.
   * @throws StreamError `overloaded` when the mailbox is full, `shutting_down` when the actor was stopped
   */
  tell(message: M, bytes: number): void {
    if (this.#phase === "stopped") throw new StreamError("shutting_down", "The actor was stopped.");
    if (!this.#mailbox.offer(message, bytes)) {
      throw new StreamError("overloaded", "The mailbox of this subject is full; try again a little later.");
    }
    this.#schedule();
  }

  /** Refuses what waits and lets the behaviour end. */
  async stop(): Promise<void> {
    if (this.#phase === "stopped") return;
    const started = this.#phase !== "new";
    this.#phase = "stopped";
    this.#refuseAll(this.#mailbox.take(Number.MAX_SAFE_INTEGER), new StreamError("shutting_down", "The server stops."));
    if (started) await this.#behaviour.stop?.();
  }

  #schedule(): void {
    if (this.#scheduled || this.#phase === "running" || this.#phase === "restarting") return;
    this.#scheduled = true;
    // A microtask later, so that all that is told in one turn is one batch.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  /** Runs batches until the mailbox is empty or a batch takes time; stays synchronous as long as the behaviour does. */
  #run(): void {
    if (this.#phase === "new") {
      this.#phase = "running";
      this.#settle(() => this.#behaviour.start?.(), []);
    }
    while (this.#phase === "ready" && this.#mailbox.count > 0) {
      const batch = this.#mailbox.take(this.options.batchCountMax);
      this.#phase = "running";
      this.#settle(() => this.#behaviour.receive(batch), batch);
    }
  }

  #settle(step: () => void | Promise<void>, batch: readonly M[]): void {
    let pending: void | Promise<void>;
    try {
      pending = step();
    } catch (error) {
      this.#fail(error, batch);
      return;
    }
    if (pending === undefined) {
      this.#succeed(batch);
      return;
    }
    pending.then(
      () => {
        this.#succeed(batch);
        this.#schedule();
      },
      (error: unknown) => this.#fail(error, batch),
    );
  }

  #succeed(batch: readonly M[]): void {
    if (this.#phase !== "running") return;
    this.#phase = "ready";
    // Only work that was done ends a row of failures; a start that went well does not.
    if (batch.length > 0) this.#restartsInRow = 0;
  }

  #fail(error: unknown, batch: readonly M[]): void {
    this.#refuseAll(batch, toStreamError(error));
    if (this.#phase === "stopped") return;
    this.#phase = "restarting";
    this.#restarts++;
    const delayMs = Math.min(this.options.restartDelayMs * 2 ** this.#restartsInRow, this.options.restartDelayMsMax);
    this.#restartsInRow++;
    this.options.onFailure?.(error, this.#restarts);
    this.options.timers.after(delayMs, () => {
      if (this.#phase !== "restarting") return;
      this.#behaviour = this.make();
      this.#phase = "new";
      this.#schedule();
    });
  }

  #refuseAll(messages: readonly M[], error: StreamError): void {
    for (const message of messages) this.#behaviour.refuse(message, error);
  }
}
