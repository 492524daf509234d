/**
 * Business events: what the Event Hub takes in, keeps and tells of. An event is a message on `events.{event_type}` whose
 * body is JSON; shapes only, `src/codec/event.ts` reads and writes them.
 * @module
 */
import type { Sequence } from "./message.ts";
import type { Subject, SubjectFilter } from "./subject.ts";

/** The kinds of events. */
export const eventTypes = ["purchase", "return", "refund"] as const;

/** What happened. */
export type EventType = (typeof eventTypes)[number];

/** All events, as a filter. */
export const eventsFilter = "events.*" as SubjectFilter;

/** Where events of a type are published. */
export const eventSubject = (type: EventType): Subject => `events.${type}` as Subject;

/** Largest amount in cents: 15 digits, so that a binary float still names each cent. */
export const amountCentsMax = 999_999_999_999_999;

/** A checked event on its way in. */
export interface EventDraft {
  readonly userId: string;
  readonly eventType: EventType;
  /** Exact; 0 to `amountCentsMax`. */
  readonly amountCents: number;
  /** When it happened: ISO 8601, as it was given. */
  readonly timestamp: string;
  /** The same in Unix milliseconds; a time without a zone is UTC. */
  readonly occurredAtMs: number;
}

/** A stored event. */
export interface BusinessEvent extends EventDraft {
  /** `{event_type}-{sequence}`: unique as long as the data lives, and enough to find it again. */
  readonly id: string;
  readonly sequence: Sequence;
  /** When it was committed, Unix milliseconds: what pages are ordered by. */
  readonly receivedAtMs: number;
}
