/**
 * The GraphQL schema of the Event Hub as its users read it.
 * @module
 */

/** Most minutes that one question adds up: a week. */
export const minutesMax = 7 * 24 * 60;
/** Events in one list. */
export const eventsMax = 1000;
export const lastEventsDefault = 10;
export const eventsDefault = 100;

/** The schema in its definition language. */
export const typeDefinitions = /* GraphQL */ `
  "What happened."
  enum EventType {
    purchase
    return
    refund
  }

  "In which order a page has its events: by the time at which they were received."
  enum EventOrder {
    newest
    oldest
  }

  "A business event."
  type Event {
    "{type}-{sequence}; the event is found again under it."
    id: ID!
    userId: String!
    eventType: EventType!
    "To the cent: 0 to 9999999999999.99."
    amount: Float!
    "When it happened: ISO 8601, as it was sent."
    timestamp: String!
    "When it was stored: RFC 3339, UTC."
    receivedAt: String!
    "The subject of the stream that it is a message of."
    subject: String!
    "Its sequence in the subject; an integer to 2^53-1."
    sequence: Float!
    "In subscriptions: give it as cursor to go on behind this event. Null elsewhere."
    cursor: String
  }

  "Events, and how to go on."
  type EventPage {
    events: [Event!]!
    "The cursor of the next page, asked with the same order and filters. With oldest it is always there."
    nextCursor: String
    "A page may be short, or empty, and have more."
    hasMore: Boolean!
  }

  "Events of one type that happened within one minute."
  type MinuteWindow {
    "Start of the minute: RFC 3339, UTC."
    start: String!
    "The minute as an ISO 8601 interval."
    timeWindow: String!
    eventType: EventType!
    eventCount: Int!
    totalAmount: Float!
    "Decimal digits, exact."
    totalAmountExact: String!
    "Events that came too late to be counted above."
    lateCount: Int!
    lateAmountExact: String!
  }

  "Events of one type in all minutes that were asked for."
  type TypeMetrics {
    eventType: EventType!
    eventCount: Int!
    totalAmount: Float!
    totalAmountExact: String!
  }

  "Sums over whole minutes, by the time at which events happened."
  type AggregatedMetrics {
    totalAmount: Float!
    "Decimal digits, exact however large."
    totalAmountExact: String!
    eventCount: Int!
    "The minutes that were added up, as an ISO 8601 interval."
    timeWindow: String!
    "Minutes and types with events, in the order of time."
    windows: [MinuteWindow!]!
    byType: [TypeMetrics!]!
  }

  type Query {
    "The events that were received last, newest first; limit is 1 to ${eventsMax}."
    lastEvents(limit: Int = ${lastEventsDefault}, eventType: EventType, userId: String, cursor: String): [Event!]!
    "A page of events; since is an RFC 3339 time or an age such as 10m."
    events(
      limit: Int = ${eventsDefault}
      eventType: EventType
      userId: String
      cursor: String
      order: EventOrder = newest
      since: String
    ): EventPage!
    "Null when there is no such event (any more)."
    event(id: ID!): Event
    "The running minute and those before it, 1 to ${minutesMax}."
    aggregatedMetrics(minutes: Int = 1, eventType: EventType): AggregatedMetrics!
  }

  type Subscription {
    "Events as they are stored: from now on, or behind a cursor of an event or of an oldest page."
    eventStream(eventType: EventType, userId: String, cursor: String): Event!
  }
`;
