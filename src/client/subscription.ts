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
import { errorFrom, type MtsError } from "./errors.ts";
import { Message, type Settling } from "./message.ts";
import type { SubscribeOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { Stream, type StreamTools, type Subscribed } from "./stream.ts";
import type { Fields, Tuple } from "./wire.ts";

const creditDefault = 4096;
const creditDefaultConsumer = 256;
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

/** The answer to a fetch. */
export interface PageFrame extends Fields {
  readonly messages: readonly Tuple[];
  readonly errors?: readonly Fields[];
  readonly nextSequence: number;
}

/** Messages. */
export class Subscription extends Stream<Message> {
  readonly #window: CreditWindow;
  readonly #wildcard: boolean;
  readonly #consumer: string | undefined;
  readonly #onDamaged: ((error: MtsError) => void) | undefined;
  /** Where it is attached, or about to be. */
  #session: Session | undefined;
  /** Gives credit there. */
  #give: ((messages: number) => void) | undefined;
  /** Each push is a lease: what comes again is meant to. */
  #leases = false;
  #settling: Settling | undefined;

  constructor(tools: StreamTools, filter: string, options: SubscribeOptions) {
    const { consumer, credit = consumer ? creditDefaultConsumer : creditDefault } = options;
    super(tools, filter, options, () => {
      this.#window.taken();
      this.#grant();
    });
    this.#window = new CreditWindow(credit);
    this.#wildcard = /[*>]/.test(filter);
    this.#consumer = consumer;
    this.#onDamaged = options.onDamaged;
  }

  /** Ends it; leases of messages that nobody has taken are given back. */
  override close(): void {
    const untaken = this.inbox.cancel();
    if (this.#leases) for (const message of untaken) void message.nack();
    super.close();
    this.#detach();
  }

  #grant(): void {
    const messages = this.#give ? this.#window.due() : 0;
    if (messages === 0) return;
    this.#window.grant(messages);
    this.#give?.(messages);
  }

  protected override async attach(session: Session): Promise<void> {
    const consumer = this.#consumer;
    this.#session = session;
    this.#settling = consumer ? this.tools.settler.line(this.filter, consumer, this.epoch ?? "") : undefined;
    // Where something must be looked into first, credit comes after that.
    const atOnce = !consumer && !(this.#wildcard && (this.placed || this.start.isMoment));
    const credit = atOnce ? this.#window.free : 0;
    this.#window.grant(credit);
    try {
      await this.hold(session, { from: this.#resumeFrom(), consumer, credit }, async (reply) => {
        await this.#place(session, reply);
        this.#give = (messages) => session.tell({ op: "credit", sid: reply.sid, messages });
        this.#grant();
      });
    } finally {
      this.#detach();
    }
  }

  #detach(): void {
    this.#give = this.#session = undefined;
    this.#window.reset();
  }

  #resumeFrom(): number | string {
    if (this.#wildcard && this.placed) return "new";
    return this.positions.known(this.filter) ?? this.from();
  }

  protected override push(frame: Fields): void {
    if (frame["op"] === "messages") this.#accept(frame["messages"] as readonly Tuple[]);
    else this.#damaged(frame);
    this.#grant();
  }

  /** Takes the new ones of granted messages. */
  #accept(messages: readonly Tuple[]): void {
    for (const message of messages) {
      const [subject, sequence, , , data] = message;
      if (this.#leases || this.positions.admit(subject, sequence)) {
        this.#window.received(data.length);
        this.inbox.push(new Message(message, this.#settling));
      } else this.#window.returned(1);
    }
  }

  /** One message that cannot be read; those behind it come. */
  #damaged(frame: Fields): void {
    const error = errorFrom({ subject: this.filter, ...frame });
    if (!this.#leases && !this.positions.admit(String(error.fields["subject"]), Number(error.fields["sequence"])))
      return;
    if (!this.#onDamaged) throw error;
    this.#onDamaged(error);
  }

  async #place(session: Session, { lastSequence }: Subscribed): Promise<void> {
    const consumer = this.#consumer;
    if (consumer) this.#leases = (await this.tools.settler.mode(this.filter, consumer, true)) === "explicit";
    else if (this.#wildcard && this.placed) await this.#fillGaps(session);
    else if (this.#wildcard && this.start.isMoment) await this.placeListed();
    else if (!this.placed && this.start.isMoment) this.placeAt(this.filter, lastSequence ?? 0);
  }

  async #fillGaps(session: Session): Promise<void> {
    const gaps: Gap[] = [];
    for await (const { subject, lastSequence: through } of this.listed()) {
      const isAsked = this.start.isTime && this.positions.known(subject) === undefined;
      const from = isAsked ? this.from() : this.positions.next(subject);
      if (isAsked || Number(from) <= through) gaps.push({ subject, from, through });
    }
    const fillNext = async (): Promise<void> => {
      for (let gap = gaps.pop(); gap; gap = gaps.pop()) await this.#fill(session, gap);
    };
    await Promise.all(Array.from({ length: fillsMax }, fillNext));
  }

  async #fill(session: Session, { subject, from, through }: Gap): Promise<void> {
    for (let next = from; ; ) {
      const limit = await this.#window.reserve(fillsMax, () => this.#session === session);
      if (limit === 0) return;
      const request = { op: "fetch", subject, from: next, limit, maxBytes: fillBytesMax };
      const page = await session.request<PageFrame>(request, this.stop);
      // Another fill failed, and with it the attachment: the next one fetches this again.
      if (this.#session !== session) return;
      this.#window.returned(limit - page.messages.length);
      this.#accept(page.messages);
      for (const error of page.errors ?? []) this.#damaged({ ...error, subject });
      this.positions.raise(subject, page.nextSequence);
      if (page.nextSequence > through || page.nextSequence === next) return;
      next = page.nextSequence;
    }
  }
}
