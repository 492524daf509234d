/**
 * The messages of `proto/event_hub.proto` on the wire. What is read is not checked here, only its form.
 * @module
 */
import type { StreamError } from "../../core/errors.ts";
import { type BusinessEvent, eventSubject } from "../../core/event.ts";
import { ProtoReader, ProtoWriter } from "./protobuf.ts";
import { detailOf } from "./status.ts";

/** An event as `checkEvent` takes it, and its key. */
export interface RawSubmission {
  readonly event: { user_id: string; event_type: string; amount: number; timestamp: string };
  idempotencyKey: string | undefined;
}

export const readSendEvent = (bytes: Buffer): RawSubmission => {
  const reader = new ProtoReader(bytes);
  const raw: RawSubmission = {
    event: { user_id: "", event_type: "", amount: 0, timestamp: "" },
    idempotencyKey: undefined,
  };
  while (reader.next()) {
    if (reader.field === 1) raw.event.user_id = reader.string();
    else if (reader.field === 2) raw.event.event_type = reader.string();
    else if (reader.field === 3) raw.event.amount = reader.double();
    else if (reader.field === 4) raw.event.timestamp = reader.string();
    else if (reader.field === 5) raw.idempotencyKey = reader.string();
    else reader.skip();
  }
  return raw;
};

/** `StreamEventsRequest`. */
export interface RawStreamRequest {
  eventType: string;
  userId: string;
  cursor: string;
}

export const readStreamEvents = (bytes: Buffer): RawStreamRequest => {
  const reader = new ProtoReader(bytes);
  const request: RawStreamRequest = { eventType: "", userId: "", cursor: "" };
  while (reader.next()) {
    if (reader.field === 1) request.eventType = reader.string();
    else if (reader.field === 2) request.userId = reader.string();
    else if (reader.field === 3) request.cursor = reader.string();
    else reader.skip();
  }
  return request;
};

const writeEvent = (event: BusinessEvent, cursor: string): Buffer =>
  new ProtoWriter(192)
    .string(1, event.id)
    .string(2, event.userId)
    .string(3, event.eventType)
    .double(4, event.amountCents / 100)
    .string(5, event.timestamp)
    .string(6, eventSubject(event.eventType))
    .number(7, event.sequence)
    .number(8, event.receivedAtMs)
    .string(9, cursor)
    .done();

export const writeSent = (event: BusinessEvent, duplicate: boolean): Buffer =>
  new ProtoWriter(256).string(1, event.id).bool(2, duplicate).presentBytes(3, writeEvent(event, "")).done();

/** What became of a stream of events. */
export interface SendEventsSummary {
  stored: number;
  duplicates: number;
  failed: number;
  readonly failures: { readonly index: number; readonly error: StreamError }[];
}

export const writeSummary = ({ stored, duplicates, failed, failures }: SendEventsSummary): Buffer => {
  const writer = new ProtoWriter().number(1, stored).number(2, duplicates).number(3, failed);
  for (const { index, error } of failures) {
    const failure = new ProtoWriter().number(1, index).string(2, error.code).string(3, detailOf(error));
    writer.presentBytes(4, failure.bool(4, error.retryable).done());
  }
  return writer.done();
};

/** A framed `Event`. */
export const frameEvent = (event: BusinessEvent, cursor: string): Buffer => {
  const message = writeEvent(event, cursor);
  return new ProtoWriter(message.length + 8).framePrefix(message.length).raw(message).done();
};

/** A framed `SendEventsResponse`. */
export const frameSummary = (summary: SendEventsSummary): Buffer => {
  const message = writeSummary(summary);
  return new ProtoWriter(message.length + 8).framePrefix(message.length).raw(message).done();
};
