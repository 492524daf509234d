/**
 * The Event Hub: business events as messages of the stream. It keeps nothing of its own; whatever is published to
 * `events.…` over any transport is seen here, and what is sent here is an ordinary message there.
 * @module
 */
import type { Broker } from "../broker/contract.ts";
import { eventBody, eventBytesMax, eventOf, parseEventId, readEvent } from "../codec/event.ts";
import { assert, StreamError } from "../core/errors.ts";
import { eventSubject } from "../core/event.ts";
import { type Draft, type Headers, isScheduled, type PublishOutcome } from "../core/message.ts";
import type { EventHub, EventReceipt, EventSubmission, StoredEvent } from "./contract.ts";
import { startLive } from "./live.ts";
import { MinuteReader } from "./minutes.ts";
import { readEventPage } from "./page.ts";
import { RecentEvents } from "./recent.ts";

/** Makes the Event Hub; it keeps nothing that belongs to a caller, so one serves all of them. */
export const createEventHub = (): EventHub => {
  const minutes = new MinuteReader();
  const recent = new RecentEvents();
  return {
    send: sendEvents,
    event: findEvent,
    list: (broker, query) => readEventPage(broker, query, recent),
    metrics: (broker, range) => minutes.read(broker, range),
    stream: startLive,
  };
};

const jsonHeaders: Headers = Object.freeze({ "content-type": "application/json" });

const draftOf = ({ event, idempotencyKey, headers }: EventSubmission): Draft => ({
  subject: eventSubject(event.eventType),
  headers: headers === undefined ? jsonHeaders : { ...headers, ...jsonHeaders },
  body: eventBody(event),
  messageId: idempotencyKey,
});

const sendEvents = async (
  broker: Broker,
  submissions: readonly EventSubmission[],
): Promise<readonly (EventReceipt | StreamError)[]> => {
  const outcomes = await broker.publish(submissions.map(draftOf));
  return submissions.map((submission, index) => receiptOf(submission, outcomes[index]));
};

const receiptOf = ({ event }: EventSubmission, outcome: PublishOutcome | undefined): EventReceipt | StreamError => {
  assert(outcome !== undefined, "one outcome a draft");
  if (outcome instanceof StreamError) return outcome;
  if (isScheduled(outcome)) {
    // Somebody published a delayed message under this key, past the Event Hub.
    return new StreamError("invalid_message_id", "The idempotency key is that of a message which is yet to come.");
  }
  return { event: eventOf(event, outcome.sequence, outcome.timestampMs), duplicate: outcome.duplicate };
};

const eventNotFound = (): StreamError => new StreamError("event_not_found", "There is no event with this id.");

const findEvent = async (broker: Broker, id: string): Promise<StoredEvent> => {
  const named = parseEventId(id);
  if (named === undefined) throw eventNotFound();
  const subject = eventSubject(named.eventType);
  const { envelope, bytes } = await readMessage(broker, subject, named.sequence);
  const event = bytes && readEvent({ ...envelope, body: bytes });
  if (event === undefined) throw eventNotFound();
  return { event, headers: envelope.headers };
};

const readMessage = async (broker: Broker, ...place: Parameters<Broker["message"]>) => {
  try {
    const { envelope, body } = await bodyOf(broker, place);
    return { envelope, bytes: body };
  } catch (thrown) {
    throw thrown instanceof StreamError && thrown.code === "message_not_found" ? eventNotFound() : thrown;
  }
};

const bodyOf = async (broker: Broker, place: Parameters<Broker["message"]>) => {
  const message = await broker.message(...place);
  // Too large to be an event: it is not even read.
  if (message.envelope.body.length > eventBytesMax) return { envelope: message.envelope, body: undefined };
  const body = await message.body();
  return { envelope: message.envelope, body: body instanceof Uint8Array ? body : await collect(body) };
};

const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
};
