/**
 * What an actor is fed: hears of what is new, knows where the actor is in all subjects, and reads the next page.
 * @module
 */
import type { Delivery, Subscription, SubscriptionSink } from "../../src/broker/contract.ts";
import { pageMessagesMax } from "../../src/core/limits.ts";
import type { Sequence } from "../../src/core/message.ts";
import type { Subject } from "../../src/core/subject.ts";
import type { ActorDefinition } from "../define.ts";
import { Cursors, isFed } from "./cursors.ts";
import type { Step } from "./step.ts";
import type { ActorTools } from "./tools.ts";

/** Bytes of the bodies of one page. */
const pageBytesMax = 1024 * 1024;

/** Messages that were read and not handled yet. */
export interface ReadPage {
  readonly subject: Subject;
  readonly messages: readonly Delivery[];
  /** Everything through it is in the page. */
  readonly through: Sequence;
  /** Which of them is the next to be handled. */
  next: number;
}

/** Who is told by a feed. */
export interface FeedListener {
  /** There may be more than before. */
  readonly onMore: () => void;
  /** It hears nothing any more. */
  readonly onEnded: () => void;
  /** Whether it need not go on loading. */
  readonly isOver: () => boolean;
}

/** The feed of one ownership. */
export class Feed {
  readonly cursors = new Cursors();
  readonly #definition: ActorDefinition;
  readonly #tools: ActorTools;
  readonly #listener: FeedListener;
  #subscription: Subscription | undefined;
  #page: ReadPage | undefined;

  constructor(definition: ActorDefinition, tools: ActorTools, listener: FeedListener) {
    this.#definition = definition;
    this.#tools = tools;
    this.#listener = listener;
  }

  /** Hears of what is new before it looks what there is, so that nothing is missed. @throws StreamError */
  async open(): Promise<void> {
    this.#subscription = await this.#subscribe();
    await this.#loadPositions();
    await this.#loadEnds();
  }

  close(): void {
    this.#subscription?.close();
  }

  /** Whether messages that were read wait. */
  get hasPage(): boolean {
    return this.#page !== undefined;
  }

  /**
   * The page that is being worked off; a new one of a subject that has more when there is none.
   * @param limit messages in a new one
   * @returns undefined when there is nothing more for the step
   */
  async page(step: Step, limit: number): Promise<ReadPage | undefined> {
    this.#page ??= await this.#read(step, limit);
    return this.#page;
  }

  /** One more of the page is handled. */
  handled(): void {
    if (this.#page !== undefined) this.#page.next++;
  }

  /** The page is worked off, or what was handled of it is to be handled again. */
  dropPage(): void {
    this.#page = undefined;
  }

  #subscribe(): Promise<Subscription> {
    const { broker } = this.#tools;
    const sink: SubscriptionSink = {
      batchBytesMax: pageBytesMax,
      writable: () => true,
      messages: () => undefined,
      damaged: () => undefined,
      notify: (subject, sequence) => this.#told(subject, sequence),
      ended: () => this.#listener.onEnded(),
    };
    const { filter } = this.#definition;
    const credit = Number.POSITIVE_INFINITY;
    return broker.subscribe({ filter, from: { kind: "new" }, mode: "notify", credit }, sink);
  }

  #told(subject: Subject, last: Sequence): void {
    if (!isFed(this.#definition, subject)) return;
    this.cursors.told(subject, last);
    this.#listener.onMore();
  }

  /** Where the actor is in all subjects. */
  async #loadPositions(): Promise<void> {
    const { store } = this.#tools;
    for (let after: string | undefined; ; ) {
      const positions = await store.positions(this.#definition.name, after, pageMessagesMax);
      for (const position of positions) this.cursors.place(position);
      after = positions.at(-1)?.subject;
      if (positions.length < pageMessagesMax || this.#listener.isOver()) return;
    }
  }

  /** What the subjects have. */
  async #loadEnds(): Promise<void> {
    const { broker } = this.#tools;
    const { filter } = this.#definition;
    for (let after: string | undefined; ; ) {
      const page = await broker.subjects({ filter, after, limit: pageMessagesMax });
      for (const { subject, lastSequence } of page.subjects) {
        if (isFed(this.#definition, subject)) this.cursors.told(subject, lastSequence);
      }
      after = page.subjects.at(-1)?.subject;
      if (!page.hasMore || after === undefined || this.#listener.isOver()) return;
    }
  }

  /** The next page of a subject that has more. */
  async #read(step: Step, limit: number): Promise<ReadPage | undefined> {
    const { broker, log } = this.#tools;
    const subject = this.cursors.next();
    if (subject === undefined) return undefined;
    const from = (step.through.get(subject) ?? this.cursors.through(subject)) + 1;
    // Once round all of them.
    if (from > this.cursors.last(subject)) return undefined;
    const page = await broker.read({
      subject,
      from: { kind: "sequence", sequence: from },
      limit,
      bodyBytesMax: pageBytesMax,
      waitMs: 0,
    });
    for (const { sequence, error } of page.damaged) {
      log.warn("actor_message_lost", { actor: this.#definition.name, subject, sequence, error });
    }
    return { subject, messages: page.messages, through: page.nextSequence - 1, next: 0 };
  }
}
