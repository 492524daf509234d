/**
 * What the broker counts, in plain numbers that are read when somebody asks: counting must cost next to nothing.
 * @module
 */
import type { CommittedRun, TransactionFigures } from "../../actors/committer.ts";
import { Durations } from "../core/durations.ts";
import type { ErrorCode, StreamError } from "../core/errors.ts";
import { type EventType, eventSubject, eventTypes } from "../core/event.ts";
import type { Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { DamagedMessage, Delivery, Subscription, SubscriptionSink } from "./contract.ts";

/** How a message can go out. */
export const deliveryVerbs = ["subscribe", "fetch", "read", "peek"] as const;
/** One of them. */
export type DeliveryVerb = (typeof deliveryVerbs)[number];

/** Messages that went out, and the bytes of their bodies (none of those that went as pointers). */
export interface Delivered {
  messages: number;
  bytes: number;
}

/** Counts since the start. */
export class BrokerFigures {
  /** Of messages, each once. `committed` are new; `duplicate` were there under the same id; `scheduled` wait. */
  readonly published = { committed: 0, duplicate: 0, scheduled: 0, bytes: 0 };
  /** Messages that were not published, by the code of why. */
  readonly refused = new Map<ErrorCode, number>();
  /** From the call of a publish to its answer. */
  readonly publishDurations = new Durations(1);
  /** Metadata transactions of publishes by how many messages they had: bounds are powers of four. */
  readonly batches = { bounds: [1, 4, 16, 64, 256, 1024, 4096], counts: new Float64Array(8), messages: 0 };
  readonly delivered: Readonly<Record<DeliveryVerb, Delivered>> = {
    subscribe: { messages: 0, bytes: 0 },
    fetch: { messages: 0, bytes: 0 },
    read: { messages: 0, bytes: 0 },
    peek: { messages: 0, bytes: 0 },
  };
  /** Stored messages that could not be delivered because their bytes are damaged or gone. */
  damaged = 0;
  /** Running subscriptions. */
  subscriptions = 0;
  /** Reads and fetches that wait for something to come. */
  waiting = 0;
  /** Events that this node committed, by type. */
  readonly events: Record<EventType, number> = { purchase: 0, return: 0, refund: 0 };
  readonly #typeOf = new Map<Subject, EventType>(eventTypes.map((type) => [eventSubject(type), type]));

  /** Metadata transactions of publishes. */
  get transactions(): number {
    return this.batches.counts.reduce((sum, count) => sum + count, 0);
  }

  /** One metadata transaction of publishes. */
  transaction({ messages, committed, duplicate, scheduled, bytes }: TransactionFigures): void {
    this.published.committed += committed;
    this.published.duplicate += duplicate;
    this.published.scheduled += scheduled;
    this.published.bytes += bytes;
    const { bounds, counts } = this.batches;
    const place = bounds.findIndex((bound) => messages <= bound);
    const index = place === -1 ? bounds.length : place;
    counts[index] = (counts[index] ?? 0) + 1;
    this.batches.messages += messages;
  }

  /** A message that was not published. */
  refusedPublish({ code }: StreamError, messages = 1): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + messages);
  }

  /** New messages of this node, or of the store itself. */
  committed(runs: readonly CommittedRun[]): void {
    for (const { subject, firstSequence, lastSequence } of runs) {
      const type = this.#typeOf.get(subject);
      if (type !== undefined) this.events[type] += lastSequence - firstSequence + 1;
    }
  }

  /** Messages that go out. */
  delivers(verb: DeliveryVerb, messages: readonly Delivery[]): void {
    const counted = this.delivered[verb];
    counted.messages += messages.length;
    for (const { body } of messages) counted.bytes += body.length;
  }

  /** A page that goes out. */
  page<P extends { readonly messages: readonly Delivery[]; readonly damaged: readonly unknown[] }>(
    verb: DeliveryVerb,
    page: P,
  ): P {
    this.delivers(verb, page.messages);
    this.damaged += page.damaged.length;
    return page;
  }

  /** Counts a subscription until it is closed or has ended. */
  counted(sink: SubscriptionSink): {
    readonly sink: SubscriptionSink;
    opened(subscription: Subscription): Subscription;
  } {
    const counting = new CountingSink(sink, this);
    return { sink: counting, opened: (subscription) => counting.opened(subscription) };
  }
}

/** Passes everything on. */
class CountingSink implements SubscriptionSink {
  readonly batchBytesMax: number;
  #state: "starting" | "open" | "over" = "starting";

  constructor(
    private readonly inner: SubscriptionSink,
    private readonly figures: BrokerFigures,
  ) {
    this.batchBytesMax = inner.batchBytesMax;
  }

  opened(subscription: Subscription): Subscription {
    if (this.#state === "starting") {
      this.#state = "open";
      this.figures.subscriptions++;
    }
    const close = subscription.close.bind(subscription);
    subscription.close = () => {
      this.#over();
      close();
    };
    return subscription;
  }

  writable(): boolean {
    return this.inner.writable();
  }

  messages(batch: readonly Delivery[]): void {
    this.figures.delivers("subscribe", batch);
    this.inner.messages(batch);
  }

  damaged(message: DamagedMessage): void {
    this.figures.damaged++;
    this.inner.damaged(message);
  }

  notify(subject: Subject, sequence: Sequence): void {
    this.inner.notify(subject, sequence);
  }

  ended(error: StreamError): void {
    this.#over();
    this.inner.ended(error);
  }

  #over(): void {
    if (this.#state === "open") this.figures.subscriptions--;
    this.#state = "over";
  }
}
