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
import type { DeliverAs, SubscribeOptions } from "./options.ts";
import type { Session } from "./session.ts";
import { Stream, type StreamTools, type Subscribed } from "./stream.ts";
import type { Fields, Tuple } from "./wire.ts";

/** Subjects that are fetched at the same time after a reconnect. */
const fillsMax = 8;

/** What of a subject is to be fetched before the live messages: `from` on, up to `through` at least. */
interface Gap {
  readonly subject: string;
  readonly from: number | string;
  readonly through: number;
}

/** What is told of a message that cannot be read; in a page, where the subject is known, without it. */
interface DamagedFrame {
  readonly subject?: string;
  readonly sequence: number;
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
  readonly #deliver: DeliverAs | undefined;
  readonly #onDamaged: ((error: MtsError) => void) | undefined;
  /** Gives credit where it is attached. */
  #give: ((messages: number) => void) | undefined;
  /** Each push is a lease: what comes again is meant to. */
  #leases = false;
  #settling: Settling | undefined;
  /** Leases that came and that nobody wants. */
  #untaken: Message[] = [];

  constructor(tools: StreamTools, filter: string, options: SubscribeOptions) {
    const { consumer, credit = consumer ? 256 : 4096 } = options;
    let { limit = Infinity } = options;
    super(tools, filter, options, () => {
      this.#window.taken();
      if (--limit <= 0) this.close();
      else this.#grant();
    });
    this.#window = new CreditWindow(credit);
    this.#wildcard = /[*>]/.test(filter);
    this.#consumer = consumer;
    this.#deliver = options.deliver;
    this.#onDamaged = options.onDamaged;
  }

  /** Ends it; leases of messages that nobody has taken are given back. */
  override close(): void {
    if (this.#leases) this.#untaken = [...this.inbox.cancel()];
    super.close();
  }

  #grant(): void {
    const messages = this.#give ? this.#window.due() : 0;
    if (messages === 0) return;
    this.#window.grant(messages);
    this.#give?.(messages);
  }

  protected override async attach(session: Session): Promise<void> {
    const consumer = this.#consumer;
    this.#settling = consumer ? this.tools.settler.line(this.filter, consumer, this.epoch ?? "") : undefined;
    // Where something must be looked into first, credit comes after that.
    const atOnce = !consumer && !(this.#wildcard && (this.placed || this.start.isMoment));
    const credit = atOnce ? this.#window.free : 0;
    this.#window.grant(credit);
    try {
      await this.hold(
        session,
        { from: this.#resumeFrom(), consumer, credit, deliver: this.#deliver },
        async (reply, signal) => {
          await this.#place(session, reply, signal);
          if (signal.aborted) return;
          this.#give = (messages) => session.tell({ op: "credit", sid: reply.sid, messages });
          this.#grant();
        },
      );
    } finally {
      this.#give = undefined;
      this.#window.reset();
      // Not earlier: the server would have leased them to this very subscription again.
      for (const message of this.#untaken.splice(0)) void message.nack();
    }
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
      const [subject, sequence] = message;
      if (this.#leases || this.positions.admit(subject, sequence)) {
        const received = new Message(message, this.#settling);
        this.#window.received(received.data.length);
        if (this.#leases && this.stop.aborted) this.#untaken.push(received);
        else this.inbox.push(received);
      } else this.#window.returned(1);
    }
  }

  /** One message that cannot be read. The position stays: the server tells of it before those in front of it. */
  #damaged(frame: Fields): void {
    const { subject = this.filter, sequence } = frame as unknown as DamagedFrame;
    if (!this.#leases && sequence < this.positions.next(subject)) return;
    const error = errorFrom({ ...frame, subject });
    if (!this.#onDamaged) throw error;
    this.#onDamaged(error);
  }

  async #place(session: Session, { lastSequence }: Subscribed, signal: AbortSignal): Promise<void> {
    const consumer = this.#consumer;
    if (consumer) this.#leases = (await this.tools.settler.mode(this.filter, consumer, true)) === "explicit";
    else if (this.#wildcard && this.placed) await this.#fillGaps(session, signal);
    else if (this.#wildcard && this.start.isMoment) await this.placeListed(signal);
    else if (!this.placed && this.start.isMoment) this.placeAt(this.filter, lastSequence ?? 0);
  }

  async #fillGaps(session: Session, signal: AbortSignal): Promise<void> {
    const gaps: Gap[] = [];
    for await (const { subject, lastSequence: through } of this.listed(signal)) {
      const isAsked = this.start.isTime && this.positions.known(subject) === undefined;
      const from = isAsked ? this.from() : this.positions.next(subject);
      if (isAsked || Number(from) <= through) gaps.push({ subject, from, through });
    }
    const fillNext = async (): Promise<void> => {
      for (let gap = gaps.pop(); gap; gap = gaps.pop()) await this.#fill(session, gap, signal);
    };
    await Promise.all(Array.from({ length: fillsMax }, fillNext));
  }

  async #fill(session: Session, { subject, from, through }: Gap, signal: AbortSignal): Promise<void> {
    for (let next = from; ; ) {
      const limit = await this.#window.reserve(fillsMax, () => !signal.aborted);
      if (limit === 0) return;
      // Bodies in one page.
      const maxBytes = 1024 * 1024;
      const request = { op: "fetch", subject, from: next, limit, maxBytes, deliver: this.#deliver };
      const page = await session.request<PageFrame>(request, signal);
      this.#window.returned(limit - page.messages.length);
      for (const error of page.errors ?? []) this.#damaged({ ...error, subject });
      this.#accept(page.messages);
      this.positions.raise(subject, page.nextSequence);
      if (page.nextSequence > through || page.nextSequence === next) return;
      next = page.nextSequence;
    }
  }
}
