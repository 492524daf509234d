/**
 * What subscriptions and notifications have in common: an async iterator that stays on the server over connections,
 * until its caller or an error ends it.
 * @module
 */
import { aborted, closed, connectionLost, EpochChangedError, errorFrom, isPassing, toMtsError } from "./errors.ts";
import type { SubjectHead } from "./http.ts";
import { Inbox } from "./inbox.ts";
import type { Link } from "./link.ts";
import type { NotifyOptions } from "./options.ts";
import type { Outstanding } from "./outstanding.ts";
import { Positions } from "./positions.ts";
import { onAbort, untilAborted } from "./scope.ts";
import type { Session } from "./session.ts";
import type { Settler } from "./settler.ts";
import { Start } from "./start.ts";
import { deferred, type Fields } from "./wire.ts";

/** What a stream works with. */
export interface StreamTools {
  readonly link: Link;
  readonly settler: Settler;
  /** Those that run. */
  readonly streams: Set<{ close(): void }>;
  readonly busy: Outstanding;
}

/** The answer to a subscribe. */
export interface Subscribed {
  readonly sid: number;
  readonly lastSequence?: number;
}

/** A stream; leaving the loop over it ends it. */
export abstract class Stream<T> implements AsyncIterableIterator<T, undefined> {
  declare readonly filter: string;
  declare protected readonly tools: StreamTools;
  declare protected readonly link: Link;
  declare protected readonly inbox: Inbox<T>;
  /** Aborted at the end. */
  declare protected readonly stop: AbortSignal;
  readonly #controller = new AbortController();
  declare protected start: Start;
  declare protected positions: Positions;
  /** Where it starts is settled; from now on it resumes. */
  protected placed = false;
  declare protected epoch: string | undefined;
  readonly #ready = deferred<undefined>();
  readonly #restarts: boolean;

  protected constructor(tools: StreamTools, filter: string, options: NotifyOptions, taken: (item: T) => void) {
    this.filter = filter;
    this.tools = tools;
    this.link = tools.link;
    this.stop = this.#controller.signal;
    this.start = new Start(options.from ?? "new");
    this.positions = new Positions(this.start.sequence);
    this.inbox = new Inbox(taken);
    this.#restarts = options.onEpochChange === "restart";
    tools.streams.add(this);
    tools.busy.begin();
    void this.#run(options.signal);
  }

  /**
   * Resolves when the server pushes: what is published from then on comes, also with `from: "new"`. Rejects with what
   * the iterator throws; need not be looked at.
   */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws MtsError what ended it, once */
  next(): Promise<IteratorResult<T, undefined>> {
    return this.inbox.next();
  }

  /** Ends it. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.close();
    return this.inbox.next();
  }

  /** Ends it. */
  close(): void {
    this.inbox.cancel();
    this.#controller.abort(closed());
  }

  /** Subscribes on a session, by way of `hold`, and rejects when that has ended. */
  protected abstract attach(session: Session): Promise<void>;
  protected abstract push(frame: Fields): void;

  /** Where it starts, as the wire has it now. */
  protected from(): number | string {
    return this.start.wire(this.link.env.nowMs());
  }

  /** Attaches again and again. */
  async #run(signal: AbortSignal | undefined): Promise<void> {
    const { stop } = this;
    const forget = onAbort(signal, (from) => this.#controller.abort(aborted(from)));
    try {
      for (let attempt = 1; ; attempt++) {
        // Always waits, so the constructors are through before anything below runs.
        const session = await this.link.session(stop);
        try {
          this.#enterEpoch(session.welcome.epoch);
          await this.attach(session);
        } catch (error) {
          stop.throwIfAborted();
          const { code, retryable } = toMtsError(error);
          if (!retryable && !isPassing(code)) throw error;
        }
        // After a broken connection the link makes the pause.
        if (session.open) await this.#pause(attempt);
        else attempt = 0;
      }
    } catch (error) {
      this.#ready.reject(error);
      this.inbox.end(toMtsError(error));
      this.#controller.abort(error);
      forget();
      this.tools.streams.delete(this);
      this.tools.busy.end();
    }
  }

  /** @throws EpochChangedError */
  #enterEpoch(epoch: string): void {
    const before = this.epoch;
    this.epoch = epoch;
    if (before === undefined || before === epoch) return;
    if (!this.#restarts) throw new EpochChangedError(before, epoch);
    this.start = new Start("first");
    this.positions = new Positions(1);
    this.placed = false;
  }

  #pause(attempt: number): Promise<void> {
    return this.link.within({ signal: this.stop, timeoutMs: this.link.pauseMs(attempt) }, untilAborted);
  }

  /**
   * Subscribes and stays until the session ends; never resolves.
   * @param place runs once the server has answered; its signal is aborted when all this has no future
   * @throws MtsError what ended it; by then no push comes any more
   */
  protected async hold(
    session: Session,
    request: object,
    place: (reply: Subscribed, signal: AbortSignal) => Promise<void> | undefined,
  ): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    const ended = deferred<never>();
    onAbort(signal, () => ended.reject(signal.reason));
    const forget = onAbort(this.stop, ({ reason }) => controller.abort(reason));
    void session.ended.then(() => controller.abort(connectionLost()));
    const push = (frame: Fields): void => {
      try {
        if (frame["op"] === "error" && frame["sequence"] === undefined) throw errorFrom(frame);
        // After an error nothing more is told; after the caller's own end there may be leases to give back.
        if (!signal.aborted || this.stop.aborted) this.push(frame);
      } catch (error) {
        controller.abort(error);
      }
    };
    let sid: number | undefined;
    try {
      const all = { op: "subscribe", filter: this.filter, ...request };
      const reply = await session.request<Subscribed>(all, signal, push);
      sid = reply.sid;
      await Promise.race([place(reply, signal), ended.promise]);
      this.placed = true;
      this.#ready.resolve(undefined);
      await ended.promise;
    } finally {
      forget();
      controller.abort(connectionLost());
      await session.unsubscribe(sid);
    }
  }

  protected listed(signal: AbortSignal): AsyncIterable<SubjectHead> {
    return this.link.http.subjects(this.filter, signal);
  }

  /** What is there already is not to come: fixes where each subject starts. */
  protected async placeListed(signal: AbortSignal): Promise<void> {
    for await (const { subject, lastSequence } of this.listed(signal)) this.placeAt(subject, lastSequence);
  }

  /** `new` and `last` are what they were at one moment, also when nothing comes before the next reconnect. */
  protected placeAt(subject: string, lastSequence: number): void {
    this.positions.raise(subject, lastSequence + (this.start.isLast ? 0 : 1));
  }
}
