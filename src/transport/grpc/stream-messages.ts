/**
 * The messages of `proto/stream.proto` on the wire. What is read is not checked here, only its form.
 * @module
 */
import type { DamagedMessage, Delivery, Page } from "../../broker/contract.ts";
import { StreamError } from "../../core/errors.ts";
import { batchMessagesMax } from "../../core/limits.ts";
import {
  isScheduled,
  type PublishOutcome,
  type Receipt,
  type ScheduledReceipt,
  type Sequence,
} from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import { mapEntrySize, readMapEntry } from "./messages.ts";
import { delimitedSize, ProtoReader, ProtoWriter, varintSize } from "./protobuf.ts";
import { errorFieldTexts } from "./status.ts";

/** A message map as `parseDraft` takes it: only the fields that were there. */
export type RawDraft = Record<string, unknown>;

const empty = Buffer.alloc(0);

export const readPublish = (bytes: Buffer): RawDraft => {
  const reader = new ProtoReader(bytes);
  const draft: RawDraft = { subject: "", data: empty };
  let headers: Record<string, string> | undefined;
  while (reader.next()) {
    if (reader.field === 1) draft["subject"] = reader.string();
    else if (reader.field === 2) draft["data"] = reader.sub();
    else if (reader.field === 3) readMapEntry(reader.sub(), (headers ??= {}));
    else if (reader.field === 4) draft["message_id"] = reader.string();
    else if (reader.field === 5) draft["expected_last_sequence"] = reader.uint64();
    else if (reader.field === 6) draft["ttl_ms"] = reader.int64();
    else if (reader.field === 7) draft["delay_ms"] = reader.int64();
    else if (reader.field === 8) draft["deliver_at"] = reader.int64();
    else reader.skip();
  }
  if (headers !== undefined) draft["headers"] = headers;
  return draft;
};

/** The messages of a batch, not read yet. @throws StreamError `too_many_messages` */
export const readPublishBatch = (bytes: Buffer): readonly Buffer[] => {
  const reader = new ProtoReader(bytes);
  const messages: Buffer[] = [];
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    if (messages.length === batchMessagesMax) {
      throw new StreamError("too_many_messages", `A batch has at most ${batchMessagesMax} messages.`, {
        max_messages: batchMessagesMax,
      });
    }
    messages.push(reader.sub());
  }
  return messages;
};

export const writeReceipt = (receipt: Receipt | ScheduledReceipt): Buffer => {
  const writer = new ProtoWriter(64).string(1, receipt.subject);
  if (isScheduled(receipt)) {
    return writer.bool(4, receipt.duplicate).string(5, receipt.scheduleId).number(6, receipt.dueAtMs).done();
  }
  return writer.number(2, receipt.sequence).number(3, receipt.timestampMs).bool(4, receipt.duplicate).done();
};

const writeError = (error: StreamError): Buffer =>
  new ProtoWriter()
    .string(1, error.code)
    .string(2, error.message)
    .bool(3, error.retryable)
    .map(4, errorFieldTexts(error))
    .done();

export const writePublishBatch = (outcomes: readonly PublishOutcome[]): Buffer => {
  const writer = new ProtoWriter(64 * outcomes.length);
  for (const outcome of outcomes) {
    const result = new ProtoWriter();
    if (outcome instanceof StreamError) result.presentBytes(2, writeError(outcome));
    else result.presentBytes(1, writeReceipt(outcome));
    writer.presentBytes(1, result.done());
  }
  return writer.done();
};

/** The fields of a request for a page. */
export interface RawPageRequest {
  subject: string;
  consumer: string;
  from: string | undefined;
  limit: number | undefined;
  maxBytes: number | undefined;
  waitMs: number;
  autoAck: boolean;
}

/** `ReadRequest` has `from` where `FetchRequest` and `PeekRequest` have `consumer`. */
const readPageRequest = (bytes: Buffer, hasConsumer: boolean): RawPageRequest => {
  const reader = new ProtoReader(bytes);
  const request: RawPageRequest = {
    subject: "",
    consumer: "",
    from: undefined,
    limit: undefined,
    maxBytes: undefined,
    waitMs: 0,
    autoAck: false,
  };
  while (reader.next()) {
    if (reader.field === 1) request.subject = reader.string();
    else if (reader.field === 2 && hasConsumer) request.consumer = reader.string();
    else if (reader.field === 2) request.from = reader.string();
    else if (reader.field === 3) request.limit = reader.int32();
    else if (reader.field === 4) request.maxBytes = reader.uint64();
    else if (reader.field === 5) request.waitMs = reader.int64();
    else if (reader.field === 6) request.autoAck = reader.bool();
    else reader.skip();
  }
  return request;
};

export const readReadRequest = (bytes: Buffer): RawPageRequest => readPageRequest(bytes, false);
export const readFetchRequest = (bytes: Buffer): RawPageRequest => readPageRequest(bytes, true);

/** `AckRequest`; `NackRequest` has `delayMs` and `error`. */
export interface RawSettled {
  subject: string;
  consumer: string;
  sequence: number | undefined;
  readonly sequences: number[];
  delayMs: number;
  error: string | undefined;
}

const readSettled = (bytes: Buffer, isNack: boolean): RawSettled => {
  const reader = new ProtoReader(bytes);
  const settled: RawSettled = {
    subject: "",
    consumer: "",
    sequence: undefined,
    sequences: [],
    delayMs: 0,
    error: undefined,
  };
  while (reader.next()) {
    if (reader.field === 1) settled.subject = reader.string();
    else if (reader.field === 2) settled.consumer = reader.string();
    else if (reader.field === 3 && !isNack) settled.sequence = reader.uint64();
    else if (reader.field === (isNack ? 3 : 4)) reader.uint64s(settled.sequences);
    else if (reader.field === 4) settled.delayMs = reader.int64();
    else if (reader.field === 5 && isNack) settled.error = reader.string();
    else reader.skip();
  }
  return settled;
};

export const readAck = (bytes: Buffer): RawSettled => readSettled(bytes, false);
export const readNack = (bytes: Buffer): RawSettled => readSettled(bytes, true);

export const writeAck = (ackedThrough: Sequence, moved: boolean): Buffer =>
  new ProtoWriter(16).number(1, ackedThrough).bool(2, moved).done();

export const writeNack = (redeliver: number): Buffer => new ProtoWriter(16).number(1, redeliver).done();

/** Bytes of a `Message`. */
const messageSize = (message: Delivery): number => {
  const { subject, sequence, timestampMs, headers, deliveries, sha256, body, expiresAtMs } = message;
  let size = delimitedSize(Buffer.byteLength(subject)) + 3 + varintSize(sequence) + varintSize(timestampMs);
  size += varintSize(deliveries) + delimitedSize(sha256.length);
  for (const name in headers) size += mapEntrySize(name, headers[name] ?? "");
  if (expiresAtMs !== undefined) size += 1 + varintSize(expiresAtMs);
  return body.length === 0 ? size : size + delimitedSize(body.length);
};

const writeMessage = (writer: ProtoWriter, message: Delivery): void => {
  writer.string(1, message.subject).number(2, message.sequence).presentNumber(3, message.timestampMs);
  writer.map(4, message.headers).presentNumber(5, message.deliveries).presentBytes(6, message.sha256);
  writer.bytes(7, message.body);
  if (message.expiresAtMs !== undefined) writer.presentNumber(8, message.expiresAtMs);
};

const messagesSize = (messages: readonly Delivery[]): number => {
  let size = 0;
  for (const message of messages) size += delimitedSize(messageSize(message));
  return size;
};

const writeMessages = (writer: ProtoWriter, field: number, messages: readonly Delivery[]): void => {
  for (const message of messages) {
    writer.head(field, messageSize(message));
    writeMessage(writer, message);
  }
};

const writeDamaged = ({ subject, sequence, error }: DamagedMessage): Buffer =>
  new ProtoWriter().string(1, subject).number(2, sequence).bytes(3, writeError(error)).done();

export const writePage = (page: Page): Buffer => {
  const writer = new ProtoWriter(messagesSize(page.messages) + 256);
  writer.string(1, page.subject).string(2, page.epoch);
  writer.number(3, page.firstSequence).number(4, page.lastSequence).number(5, page.nextSequence);
  writeMessages(writer, 6, page.messages);
  for (const damaged of page.damaged) writer.presentBytes(7, writeDamaged(damaged));
  return writer.done();
};

/** `Start`. */
export interface RawStart {
  filter: string;
  from: string | undefined;
  mode: number;
  consumer: string | undefined;
  credit: number | undefined;
}

/** `SubscribeRequest`: one of the two, or neither. */
export type RawSubscribeRequest =
  | { readonly kind: "start"; readonly start: RawStart }
  | { readonly kind: "credit"; readonly messages: number }
  | { readonly kind: "none" };

const readStart = (bytes: Buffer): RawStart => {
  const reader = new ProtoReader(bytes);
  const start: RawStart = { filter: "", from: undefined, mode: 0, consumer: undefined, credit: undefined };
  while (reader.next()) {
    if (reader.field === 1) start.filter = reader.string();
    else if (reader.field === 2) start.from = reader.string();
    else if (reader.field === 3) start.mode = reader.int32();
    else if (reader.field === 4) start.consumer = reader.string();
    else if (reader.field === 5) start.credit = reader.int64();
    else reader.skip();
  }
  return start;
};

const readCredit = (bytes: Buffer): number => {
  const reader = new ProtoReader(bytes);
  let messages = 0;
  while (reader.next()) {
    if (reader.field === 1) messages = reader.int64();
    else reader.skip();
  }
  return messages;
};

export const readSubscribeRequest = (bytes: Buffer): RawSubscribeRequest => {
  const reader = new ProtoReader(bytes);
  let request: RawSubscribeRequest = { kind: "none" };
  while (reader.next()) {
    if (reader.field === 1) request = { kind: "start", start: readStart(reader.sub()) };
    else if (reader.field === 2) request = { kind: "credit", messages: readCredit(reader.sub()) };
    else reader.skip();
  }
  return request;
};

/** A framed `SubscribeResponse` around one member. */
const frameResponse = (field: number, member: Buffer): Buffer => {
  const length = delimitedSize(member.length);
  return new ProtoWriter(length + 16).framePrefix(length).presentBytes(field, member).done();
};

export const frameSubscribed = (epoch: string, lastSequence: Sequence | undefined): Buffer => {
  const subscribed = new ProtoWriter().string(1, epoch);
  if (lastSequence !== undefined) subscribed.presentNumber(2, lastSequence);
  return frameResponse(1, subscribed.done());
};

export const frameMessages = (messages: readonly Delivery[]): Buffer => {
  const size = messagesSize(messages);
  const length = delimitedSize(size);
  const writer = new ProtoWriter(length + 64).framePrefix(length).head(2, size);
  writeMessages(writer, 1, messages);
  return writer.done();
};

export const frameNotify = (subject: Subject, sequence: Sequence): Buffer =>
  frameResponse(3, new ProtoWriter().string(1, subject).number(2, sequence).done());

export const frameDamaged = (damaged: DamagedMessage): Buffer => frameResponse(4, writeDamaged(damaged));
