/**
 * A subscription that outlives its connections: every message once, in the order of its subject, without a gap.
 *
 * One subject resumes by its next sequence. A filter with wildcards has one for every subject, and the wire takes only
 * one start, so it resumes in three steps: (1) subscribe again from `new`, with a credit of 0, so that the server
 * notes from where on it is to push but sends nothing; (2) list the subjects that match: whatever the new subscription
 * will not push was committed before, so it shows in the listing; (3) fetch what is missing of each subject, then give
 * credit. What comes twice, because it was committed between (1) and (2), is known by its sequence. A wildcard from
 * `new` or `last` lists in the same way when it begins: that fixes where each subject starts.
 * @module
 */
import { CreditWindow } from "./credit.ts";
import { EpochChangedError, errorFrom, MtsError } from "./errors.ts";
import { type Attachment, attachTo, follow } from "./follow.ts";
import type { HttpSide, SubjectHead } from "./http.ts";
import { Inbox } from "./inbox.ts";
import type { Link } from "./link.ts";
import { Message, type Settling } from "./message.ts";
import type { SubscribeOptions } from "./options.ts";
import { Positions } from "./positions.ts";
import type { Session } from "./session.ts";
import type { Settler } from "./settler.ts";
import { Start } from "./start.ts";
import { Stopper } from "./stopper.ts";
import { type Frame, integerField, isFrame, tuples } from "./wire.ts";

const creditDefault = 1024;
const creditMax = 65_535;
/** Subjects that are fetched at the same time after a reconnect. */
const fillsMax = 8;
/** Bodies in one page of these fetches. */
const fillBytesMax = 1024 * 1024;

/** What of a subject is to be fetched before the live messages: `from` on, up to `through` at least. */
interface Gap {
  readonly subject: string;
  readonly from: number | string;
  readonly through: number;
}

/** What a subscription works with. */
export interface StreamTools {
  readonly link: Link;
  readonly http: HttpSide;
  readonly settler: Settler;
}

const isWildcard = (filter: string): boolean => /[*>]/.test(filter);

/** Messages, as an async iterator. Leaving the loop ends it. */
export class Subscription implements AsyncIterableIterator<Message, undefined> {
  readonly #inbox: Inbox<Message>;
  readonly #window: CreditWindow;
  readonly #stopper: Stopper;
  readonly #wildcard: boolean;
  #start: Start;
  #positions: Positions;
  #epoch: string | undefined;
  /** Where it starts is settled; from now on it resumes. */
  #placed = false;
  #attachment: Attachment | undefined;
  /** Each push is a lease: what comes again is meant to. */
  #leases = false;
  #settling: Settling | undefined;

  constructor(
    private readonly tools: StreamTools,
    readonly filter: string,
    private readonly options: SubscribeOptions,
    onEnd: (subscription: Subscription) => void,
  ) {
    const { credit = creditDefault, from = "new", signal } = options;
    if (!Number.isInteger(credit) || credit < 1 || credit > creditMax) {
      throw new MtsError("invalid_parameter", `credit must be an integer from 1 to ${creditMax}.`, false, {
        parameter: "credit",
      });
    }
    this.#wildcard = isWildcard(filter);
    this.#start = new Start(from);
    this.#positions = new Positions(this.#start.sequence);
    this.#window = new CreditWindow(credit);
    this.#inbox = new Inbox<Message>(() => {
      this.#window.taken();
      this.#grant();
    });
    this.#stopper = new Stopper(signal);
    this.#stopper.run(
      (stop) => follow(tools.link, stop, (session) => this.#attach(session, stop)),
      (error) => {
        this.#inbox.end(error);
        this.#window.reset();
        onEnd(this);
      },
    );
  }

  /**
   * Resolves when the server pushes: what is published from then on comes, also with `from: "new"`. Rejects with what
   * the iterator throws; need not be looked at.
   */
  get ready(): Promise<void> {
    return this.#stopper.ready;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws MtsError what ended it, once */
  next(): Promise<IteratorResult<Message, undefined>> {
    return this.#inbox.next();
  }

  /** Ends it; leases of messages that nobody has taken are given back. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends it. */
  close(): void {
    const untaken = this.#inbox.cancel();
    this.#stopper.stop();
    if (this.#leases) for (const message of untaken) void message.nack();
  }

  #grant(): void {
    const { session, sid } = this.#attachment ?? {};
    const messages = this.#window.due();
    if (session === undefined || messages === 0) return;
    this.#window.grant(messages);
    session.tell({ op: "credit", sid, messages });
  }

  async #attach(session: Session, stop: AbortSignal): Promise<void> {
    const { consumer } = this.options;
    this.#enterEpoch(session.welcome.epoch);
    this.#window.reset();
    // Whose start must be looked into first gets its credit afterwards.
    const atOnce = consumer === undefined && !(this.#wildcard && (this.#placed || this.#start.isMoment));
    const credit = atOnce ? this.#window.free : 0;
    this.#window.grant(credit);
    const request = { filter: this.filter, from: consumer === undefined ? this.#from() : undefined, consumer, credit };
    try {
      await attachTo(
        session,
        request,
        stop,
        (frame) => this.#push(frame),
        async (attachment) => {
          await this.#place(attachment, stop);
          this.#placed = true;
          this.#attachment = attachment;
          this.#stopper.begun();
          this.#grant();
        },
      );
    } finally {
      this.#attachment = undefined;
    }
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
    const { consumer } = this.options;
    this.#settling = consumer === undefined ? undefined : this.tools.settler.line(this.filter, consumer, epoch);
  }

  #from(): number | string {
    if (this.#wildcard && this.#placed) return "new";
    if (!this.#wildcard && this.#positions.known(this.filter)) return this.#positions.next(this.filter);
    return this.#start.wire(this.tools.link.environment.nowMs());
  }

  #push(frame: Frame): void {
    if (frame["op"] === "messages") this.#accept(frame);
    else if (frame["op"] === "error") {
      const { op: _op, sid: _sid, ...fields } = frame;
      // With a sequence it is one message that cannot be read, without one the end of the subscription.
      if (fields["sequence"] === undefined) throw errorFrom(fields);
      this.#damaged(fields);
    }
    this.#grant();
  }

  /** Takes the new ones of granted messages; returns how many came. */
  #accept(frame: Frame): number {
    const messages = tuples(frame);
    for (const message of messages) {
      const [subject, sequence, , , data] = message;
      if (this.#leases || this.#positions.admit(subject, sequence)) {
        this.#window.received(data.length);
        this.#inbox.push(new Message(message, this.#settling));
      } else this.#window.returned(1);
    }
    return messages.length;
  }

  #damaged(fields: Frame): void {
    const { subject = this.filter, sequence } = fields;
    if (typeof subject !== "string" || typeof sequence !== "number") return;
    if (!this.#leases && !this.#positions.admit(subject, sequence)) return;
    const error = errorFrom({ ...fields, subject });
    if (this.options.onDamaged === undefined) throw error;
    this.options.onDamaged(error);
  }

  async #place({ reply, session }: Attachment, stop: AbortSignal): Promise<void> {
    const { consumer } = this.options;
    if (consumer !== undefined) {
      this.#leases = (await this.tools.settler.mode(this.filter, consumer, true)) === "explicit";
    } else if (!this.#wildcard) this.#placeSubject(reply);
    else if (this.#placed) await this.#fillGaps(session, stop);
    else if (this.#start.isMoment) {
      for await (const heads of this.tools.http.subjects(this.filter, stop)) {
        for (const { subject, lastSequence } of heads) {
          this.#positions.raise(subject, lastSequence + (this.#start.isLast ? 0 : 1));
        }
      }
    }
  }

  /** `new` and `last` are what they were at this moment, also when nothing comes before the next reconnect. */
  #placeSubject(reply: Frame): void {
    if (this.#placed || !this.#start.isMoment) return;
    const last = integerField(reply, "last_sequence");
    this.#positions.raise(this.filter, this.#start.isLast ? Math.max(last, 1) : last + 1);
  }

  async #fillGaps(session: Session, stop: AbortSignal): Promise<void> {
    const gaps: Gap[] = [];
    for await (const heads of this.tools.http.subjects(this.filter, stop)) {
      for (const head of heads) {
        const gap = this.#gapOf(head);
        if (gap !== undefined) gaps.push(gap);
      }
    }
    const fillNext = async (): Promise<void> => {
      for (let gap = gaps.pop(); gap !== undefined; gap = gaps.pop()) await this.#fill(session, gap, stop);
    };
    await Promise.all(Array.from({ length: fillsMax }, fillNext));
  }

  #gapOf({ subject, lastSequence }: SubjectHead): Gap | undefined {
    if (this.#start.isTime && !this.#positions.known(subject)) {
      return { subject, from: this.#start.wire(this.tools.link.environment.nowMs()), through: lastSequence };
    }
    const next = this.#positions.next(subject);
    return next > lastSequence ? undefined : { subject, from: next, through: lastSequence };
  }

  async #fill(session: Session, { subject, from, through }: Gap, stop: AbortSignal): Promise<void> {
    for (let next = from; ; ) {
      await this.#window.room();
      stop.throwIfAborted();
      const limit = this.#window.free;
      if (limit === 0) {
        // Another fill was faster, or the connection is gone: then the request says so.
        if (session.open) continue;
      }
      this.#window.grant(limit);
      const request = { op: "fetch", subject, from: next, limit: Math.max(1, limit), max_bytes: fillBytesMax };
      const page = await session.request(request, stop);
      this.#window.returned(limit - this.#accept(page));
      const errors = page["errors"];
      if (Array.isArray(errors)) for (const error of errors) if (isFrame(error)) this.#damaged({ ...error, subject });
      const following = integerField(page, "next_sequence");
      this.#positions.raise(subject, following);
      if (following > through || following === next) return;
      next = following;
    }
  }
}
