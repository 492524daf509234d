/**
 * Which subjects moved, as an async iterator. What is not taken yet is kept once for each subject, at its latest. After
 * a reconnect the server tells the latest of every subject, and those that did not move since are left out here.
 * @module
 */
import { EpochChangedError, errorFrom } from "./errors.ts";
import { attachTo, follow } from "./follow.ts";
import { Inbox } from "./inbox.ts";
import type { Notification, NotifyOptions } from "./options.ts";
import { Positions } from "./positions.ts";
import type { Session } from "./session.ts";
import { Start } from "./start.ts";
import { Stopper } from "./stopper.ts";
import type { StreamTools } from "./subscription.ts";
import { type Frame, integerField, textField } from "./wire.ts";

interface Pending {
  readonly subject: string;
  sequence: number;
}

/** Notifications, as an async iterator. Leaving the loop ends it. */
export class Notifications implements AsyncIterableIterator<Notification, undefined> {
  readonly #pending = new Map<string, Pending>();
  readonly #inbox = new Inbox<Notification>(({ subject }) => this.#pending.delete(subject));
  readonly #stopper: Stopper;
  #start: Start;
  /** Of what was told already. */
  #positions = new Positions(1);
  #epoch: string | undefined;
  #placed = false;

  constructor(
    private readonly tools: StreamTools,
    readonly filter: string,
    private readonly options: NotifyOptions,
    onEnd: (notifications: Notifications) => void,
  ) {
    this.#start = new Start(options.from ?? "new");
    this.#stopper = new Stopper(options.signal);
    this.#stopper.run(
      (stop) => follow(tools.link, stop, (session) => this.#attach(session, stop)),
      (error) => {
        this.#inbox.end(error);
        onEnd(this);
      },
    );
  }

  /** Resolves when the server notifies. Rejects with what the iterator throws; need not be looked at. */
  get ready(): Promise<void> {
    return this.#stopper.ready;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws MtsError what ended it, once */
  next(): Promise<IteratorResult<Notification, undefined>> {
    return this.#inbox.next();
  }

  /** Ends it. */
  return(): Promise<IteratorResult<Notification, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends it. */
  close(): void {
    this.#inbox.cancel();
    this.#stopper.stop();
  }

  async #attach(session: Session, stop: AbortSignal): Promise<void> {
    this.#enterEpoch(session.welcome.epoch);
    // Before it subscribes: what moves after the listing must be told.
    if (!this.#placed && this.#start.isMoment) await this.#listTold(stop);
    const from = this.#placed ? "first" : this.#start.wire(this.tools.link.environment.nowMs());
    await attachTo(
      session,
      { filter: this.filter, mode: "notify", from },
      stop,
      (frame) => this.#push(frame),
      async () => {
        this.#placed = true;
        this.#stopper.begun();
      },
    );
  }

  /** @throws EpochChangedError */
  #enterEpoch(epoch: string): void {
    const before = this.#epoch;
    if (before !== undefined && before !== epoch) {
      if (this.options.onEpochChange !== "restart") throw new EpochChangedError(before, epoch);
      this.#start = new Start("first");
      this.#positions = new Positions(1);
      this.#placed = false;
    }
    this.#epoch = epoch;
  }

  async #listTold(stop: AbortSignal): Promise<void> {
    for await (const heads of this.tools.http.subjects(this.filter, stop)) {
      for (const { subject, lastSequence } of heads) {
        this.#positions.raise(subject, lastSequence + (this.#start.isLast ? 0 : 1));
      }
    }
  }

  #push(frame: Frame): void {
    if (frame["op"] === "error") {
      const { op: _op, sid: _sid, ...fields } = frame;
      throw errorFrom(fields);
    }
    if (frame["op"] !== "notify") return;
    const subject = textField(frame, "subject");
    const sequence = integerField(frame, "sequence");
    if (!this.#positions.admit(subject, sequence)) return;
    const pending = this.#pending.get(subject);
    if (pending !== undefined) {
      pending.sequence = sequence;
      return;
    }
    const fresh = { subject, sequence };
    this.#pending.set(subject, fresh);
    this.#inbox.push(fresh);
  }
}
