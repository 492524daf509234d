/**
 * Calls that outlive a connection. A read is made again until its time is up. A write is sent again under the same
 * client, slot and number, and the database answers what it answered the first time, so that it happens once however
 * often it is sent. One that is given up is fenced before anything else is asked: whatever this store says afterwards
 * is said of a database in which the write has happened or never will.
 * @module
 */
import { encodeMsgpack } from "../../codec/msgpack.ts";
import { type CallObserver, observedCall } from "../../core/calls.ts";
import { StreamError } from "../../core/errors.ts";
import type { Connection } from "./connection.ts";
import { NoAnswerError, NotSentError, RefusedError, unavailable } from "./errors.ts";
import type { Link } from "./link.ts";
import type { Written } from "./rows.ts";
import { Slots } from "./slots.ts";

/** Pause before a call is made again on a connection that stayed. */
const repeatPauseMs = 50;

/** Why an attempt failed, in one word. */
const outcomeOf = (error: unknown): string => {
  if (error instanceof StreamError) return error.code;
  return error instanceof NoAnswerError ? "no_answer" : "failed";
};

/** What calls are made with. */
export interface CallsParts {
  readonly link: Link;
  /** `host:port`, for people. */
  readonly place: string;
  /** Known to nobody else; names this store's writes. */
  readonly client: string;
  /** Longest call, repetitions included. */
  readonly callMsMax: number;
  /** Told of each attempt that was sent, but for calls that wait by themselves. */
  readonly observe?: CallObserver | undefined;
}

/** Makes calls until it is closed. */
export class Calls {
  readonly #parts: CallsParts;
  readonly #slots = new Slots();
  #number = 0;
  /** Writes that were given up and may still be made. */
  readonly #doubtful = new Map<number, Written>();
  #fencing: Promise<void> | undefined;

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  /**
   * Calls a function that changes nothing.
   * @param waitMs how long the function may wait by itself
   * @throws StreamError `unavailable`, or what the function answers
   */
  async read(name: string, request: unknown, waitMs = 0): Promise<unknown> {
    const untilMs = this.#until() + waitMs;
    const packed = encodeMsgpack(request);
    try {
      await this.#fenced(untilMs);
      const attemptMsMax = this.#parts.callMsMax / 2 + waitMs;
      if (waitMs > 0) return await this.#repeat(name, packed, untilMs, attemptMsMax, undefined, () => undefined);
      return await this.#repeat(name, packed, untilMs, attemptMsMax);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  /**
   * Calls a function that writes, once.
   * @param pack the request for a slot and a number
   * @throws StreamError `unavailable` when it was never sent, `outcome_unknown` when nobody knows, or what the function
   *   answers, having changed nothing
   */
  async write(name: string, pack: (client: string, written: Written) => Uint8Array): Promise<unknown> {
    const untilMs = this.#until();
    const slot = await this.#slots.take();
    const written = { slot, number: ++this.#number };
    let attempts = 0;
    try {
      await this.#fenced(untilMs);
      const packed = pack(this.#parts.client, written);
      const answer = await this.#repeat(name, packed, untilMs, this.#parts.callMsMax / 2, () => attempts++);
      this.#slots.give(slot);
      return answer;
    } catch (error) {
      if (attempts === 0 || (error instanceof StreamError && attempts === 1)) {
        this.#slots.give(slot);
        throw this.#refusal(error);
      }
      // An attempt may still lie in the sockets of a connection that is gone; also when a later one was refused.
      this.#doubtful.set(slot, written);
      void this.#fence();
      throw new StreamError("outcome_unknown", "The metadata store did not answer in time.", {}, error);
    }
  }

  /** Packs the usual request of a write. */
  async writePlain(name: string, request: unknown): Promise<unknown> {
    return this.write(name, (client, { slot, number }) => encodeMsgpack([client, slot, number, request]));
  }

  /** Calls a function that writes and may be sent as often as it takes. @throws StreamError `unavailable` */
  async repeatable(name: string, packed: Uint8Array): Promise<unknown> {
    try {
      return await this.#repeat(name, packed, this.#until(), this.#parts.callMsMax / 2);
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #until(): number {
    return performance.now() + this.#parts.callMsMax;
  }

  /** Makes a call on one connection after the other until one answers. @throws NotSentError, NoAnswerError, StreamError */
  async #repeat(
    name: string,
    packed: Uint8Array,
    untilMs: number,
    attemptMsMax: number,
    onAttempt: () => void = () => undefined,
    observe: CallObserver | undefined = this.#parts.observe,
  ): Promise<unknown> {
    let last: NoAnswerError | undefined;
    for (;;) {
      let connection: Connection;
      try {
        connection = await this.#parts.link.connection(untilMs);
      } catch (error) {
        throw last ?? error;
      }
      const msLeft = untilMs - performance.now();
      if (msLeft <= 0) throw last ?? new NotSentError("there was no time left");
      onAttempt();
      try {
        const attempt = (): Promise<unknown> => connection.call(name, packed, Math.min(msLeft, attemptMsMax));
        return await (observe === undefined ? attempt() : observedCall(observe, name, attempt, outcomeOf));
      } catch (error) {
        if (!(error instanceof NoAnswerError)) throw error;
        last = error;
        if (!connection.lost.aborted) await Bun.sleep(Math.min(repeatPauseMs, Math.max(0, msLeft)));
      }
    }
  }

  /** Resolves when every write that was given up is fenced. @throws NotSentError when that takes too long */
  async #fenced(untilMs: number): Promise<void> {
    while (this.#doubtful.size > 0) {
      const msLeft = untilMs - performance.now();
      if (msLeft <= 0 || this.#parts.link.isClosed) {
        throw new NotSentError("writes in doubt are not settled", { cause: this.#parts.link.trouble });
      }
      await this.#fence(msLeft);
    }
  }

  /** One attempt at fencing, shared by all who wait for it. Never rejects. */
  async #fence(waitMsMax = Number.POSITIVE_INFINITY): Promise<void> {
    this.#fencing ??= this.#fenceOnce().finally(() => {
      this.#fencing = undefined;
    });
    if (waitMsMax === Number.POSITIVE_INFINITY) return this.#fencing;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), waitMsMax);
    await Promise.race([this.#fencing, promise]);
    clearTimeout(timer);
  }

  async #fenceOnce(): Promise<void> {
    const doubtful = [...this.#doubtful.values()];
    const calls = doubtful.flatMap(({ slot, number }) => [slot, number]);
    const request = encodeMsgpack([this.#parts.client, calls]);
    try {
      await this.#repeat("mts_fence", request, this.#until(), this.#parts.callMsMax / 2);
    } catch {
      // Whoever needs it tries again, but not at once.
      await Bun.sleep(repeatPauseMs);
      return;
    }
    for (const { slot } of doubtful) {
      this.#doubtful.delete(slot);
      this.#slots.give(slot);
    }
  }

  #refusal(error: unknown): StreamError {
    if (error instanceof StreamError) return error;
    const cause = this.#parts.link.trouble;
    if (cause instanceof RefusedError) {
      return unavailable(`Tarantool at ${this.#parts.place} refuses the connection: ${cause.message}.`, error);
    }
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    return unavailable(`Tarantool at ${this.#parts.place} does not answer${why}.`, error);
  }
}
