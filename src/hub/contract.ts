/**
 * The verbs of the Event Hub, over a stream as its caller may use it. REST, GraphQL and gRPC parse and answer; what an
 * event is, and in which order events come, is behind this.
 * @module
 */
import type { Broker } from "../broker/contract.ts";
import type { MinuteTotals } from "../codec/event-metrics.ts";
import type { StreamError } from "../core/errors.ts";
import type { BusinessEvent, EventDraft, EventType } from "../core/event.ts";
import type { Headers } from "../core/message.ts";

/** One event to store. */
export interface EventSubmission {
  readonly event: EventDraft;
  /** The same key on the same type of event within the dedupe window is the same event. */
  readonly idempotencyKey?: string | undefined;
  /** Attributes of a CloudEvent (`ce-…`) and the like, kept beside it. */
  readonly headers?: Headers | undefined;
}

/** What became of one. */
export interface EventReceipt {
  /** As stored now, or earlier under the same key: `id`, `sequence` and `receivedAtMs` are those of the first. */
  readonly event: BusinessEvent;
  readonly duplicate: boolean;
}

/** Which events. All of them when left out. */
export interface EventFilter {
  readonly eventType?: EventType | undefined;
  readonly userId?: string | undefined;
}

/** A page of events. */
export interface EventQuery extends EventFilter {
  /** 1 to 1,000. */
  readonly limit: number;
  /** Newest first by default. Within a millisecond: by type, then by sequence. */
  readonly order?: "newest" | "oldest" | undefined;
  /** Only what was committed at this time or later, Unix milliseconds. */
  readonly sinceMs?: number | undefined;
  /** `nextCursor` of the page before, asked with the same order and filters. */
  readonly cursor?: string | undefined;
}

/** A stored event with the headers of its message (CloudEvents attributes among them). */
export interface StoredEvent {
  readonly event: BusinessEvent;
  readonly headers: Headers;
}

/** What a query answers. */
export interface EventPage {
  readonly events: readonly StoredEvent[];
  /** Where to go on; with `oldest` it is always there, for what comes later. */
  readonly nextCursor: string | undefined;
  /** False when nothing more was there. A page may be short, or empty, and have more: a filter by user looks at a bounded number. */
  readonly hasMore: boolean;
}

/** Sums over one minute of event time, of one type. */
export interface MinuteMetrics extends MinuteTotals {
  /** Start of the minute, Unix milliseconds, by the time at which events happened. */
  readonly minuteMs: number;
  readonly eventType: EventType;
}

/** Minutes of an hour, or of a part of one. The same object is answered again for as long as nothing of it has changed. */
export interface MinuteBlock {
  /** At least one; in the order of the minutes. */
  readonly minutes: readonly MinuteMetrics[];
  /** What they come to; types without minutes are left out. */
  readonly totals: ReadonlyMap<EventType, MinuteTotals>;
}

/** Where live events go. Calls never throw and never wait. */
export interface EventSink {
  /** False pauses; `EventStream.resume()` goes on. */
  writable(): boolean;
  /** In order per type. */
  events(batch: readonly StoredEvent[]): void;
  ended(error: StreamError): void;
}

/** A running live stream. */
export interface EventStream {
  /** Where it stands behind the last batch: the `cursor` of a stream that goes on from here. */
  readonly cursor: string;
  /** The same behind one event of the batch that is being delivered. */
  cursorAfter(event: BusinessEvent): string;
  resume(): void;
  close(): void;
}

/** The Event Hub; `broker` is always the caller's. */
export interface EventHub {
  /** Outcomes in the order of the submissions; not atomic. Never rejects for one submission's sake. */
  send(broker: Broker, submissions: readonly EventSubmission[]): Promise<readonly (EventReceipt | StreamError)[]>;
  /** @throws StreamError `event_not_found`, `message_expired` */
  event(broker: Broker, id: string): Promise<StoredEvent>;
  /** @throws StreamError `invalid_parameter` for a cursor that is none */
  list(broker: Broker, query: EventQuery): Promise<EventPage>;
  /**
   * What the metrics actor has counted by now, minutes `fromMs` (inclusive) to `toMs` (exclusive), both multiples of a
   * minute, in the order of the minutes; minutes without events are left out.
   * @throws StreamError `actor_not_found` where this server runs no metrics actor
   */
  metrics(
    broker: Broker,
    range: { readonly fromMs: number; readonly toMs: number; readonly eventType?: EventType | undefined },
  ): Promise<readonly MinuteBlock[]>;
  /** Live events from now on, or after a cursor of an `oldest` page. */
  stream(
    broker: Broker,
    request: EventFilter & { readonly cursor?: string | undefined },
    sink: EventSink,
  ): Promise<EventStream>;
}
