/**
 * `minitoolstream.v1.StreamService`: the whole stream, with the words and rules of the other transports.
 * @module
 */
import type { Page } from "../../../broker/contract.ts";
import { parseNackError } from "../../../codec/deliver.ts";
import { type DraftLimits, parseDraft } from "../../../codec/draft.ts";
import { StreamError, toStreamError } from "../../../core/errors.ts";
import {
  ackWaitMsMax,
  batchMessagesMax,
  pageBodyBytesMax,
  pageMessagesDefault,
  pageMessagesMax,
  sequenceMax,
  waitMsMax,
} from "../../../core/limits.ts";
import { type Draft, isScheduled, type PublishOutcome } from "../../../core/message.ts";
import { parseStartPosition } from "../../../core/start.ts";
import { parseConsumerName, parseSubject } from "../../../core/subject.ts";
import type { GrpcCall, Route } from "../method.ts";
import { deliverOf, scheduledTrailers, timingOf, writable } from "../request-metadata.ts";
import {
  type RawPageRequest,
  type RawSettled,
  readAck,
  readFetchRequest,
  readNack,
  readPublish,
  readPublishBatch,
  readReadRequest,
  writeAck,
  writeNack,
  writePage,
  writePublishBatch,
  writeReceipt,
} from "../stream-messages.ts";
import { openSubscription } from "./subscription.ts";

/** So that a page fits what clients take unless they are told otherwise, which is 4 MiB. */
const pageBytesDefault = 3 * 1024 * 1024;

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });

/** An integer within bounds. @throws StreamError `invalid_parameter` */
const bounded = (name: string, value: number, min: number, max: number): number => {
  if (value >= min && value <= max) return value;
  throw invalid(name, `${name} must be an integer from ${min} to ${max}.`);
};

const limitsOf = ({ broker }: GrpcCall): DraftLimits => ({ bodyBytesMax: broker.bodyBytesMax });

const publish = async (request: Buffer, call: GrpcCall): Promise<Uint8Array> => {
  const draft = parseDraft(readPublish(request), limitsOf(call));
  const [outcome] = await call.broker.publish([withMetadata(draft, call)]);
  if (outcome === undefined) throw new StreamError("internal", "A publish was not answered.");
  if (outcome instanceof StreamError) throw outcome;
  if (isScheduled(outcome)) call.addTrailers(scheduledTrailers(outcome));
  return writeReceipt(outcome);
};

/** What the message itself says wins. */
const withMetadata = (draft: Draft, { metadata }: GrpcCall): Draft => {
  const { ttlMs, deliverAt } = timingOf(metadata, draft.expectedLastSequence !== undefined);
  if (ttlMs === undefined && deliverAt === undefined) return draft;
  return { ...draft, ttlMs: draft.ttlMs ?? ttlMs, deliverAt: draft.deliverAt ?? deliverAt };
};

const publishBatch = async (request: Buffer, call: GrpcCall): Promise<Uint8Array> => {
  const limits = limitsOf(call);
  const parsed = readPublishBatch(request).map((bytes) => draftOrError(bytes, limits));
  const drafts = parsed.filter((draft): draft is Draft => !(draft instanceof StreamError));
  const published = (await call.broker.publish(drafts)).values();
  const outcomes = parsed.map((draft): PublishOutcome => {
    if (draft instanceof StreamError) return draft;
    return published.next().value ?? new StreamError("internal", "A publish was not answered.");
  });
  return writePublishBatch(outcomes);
};

/** A message that is wrong holds up no other. */
const draftOrError = (bytes: Buffer, limits: DraftLimits): Draft | StreamError => {
  try {
    return parseDraft(readPublish(bytes), limits);
  } catch (error) {
    return toStreamError(error);
  }
};

const pageBounds = ({ subject, limit, maxBytes, waitMs }: RawPageRequest, { metadata }: GrpcCall) => ({
  subject: parseSubject(subject),
  limit: bounded("limit", limit ?? pageMessagesDefault, 1, pageMessagesMax),
  bodyBytesMax: Math.min(bounded("max_bytes", maxBytes ?? pageBytesDefault, 1, sequenceMax), pageBodyBytesMax),
  waitMs: bounded("wait_ms", waitMs, 0, waitMsMax),
  deliver: deliverOf(metadata),
});

const asAnswer = (page: Page): Uint8Array => writePage({ ...page, messages: writable(page.messages) });

const read = async (request: Buffer, call: GrpcCall): Promise<Uint8Array> => {
  const raw = readReadRequest(request);
  const from = parseStartPosition(raw.from ?? "first");
  return asAnswer(await call.broker.read({ ...pageBounds(raw, call), from }, call.signal));
};

const fetch = async (request: Buffer, call: GrpcCall): Promise<Uint8Array> => {
  const raw = readFetchRequest(request);
  const consumer = parseConsumerName(raw.consumer);
  return asAnswer(await call.broker.fetch({ ...pageBounds(raw, call), consumer, autoAck: raw.autoAck }, call.signal));
};

const peek = async (request: Buffer, call: GrpcCall): Promise<Uint8Array> => {
  const raw = readFetchRequest(request);
  const { subject, limit, deliver } = pageBounds(raw, call);
  return asAnswer(await call.broker.peek(subject, parseConsumerName(raw.consumer), limit, deliver));
};

const checkSequences = ({ sequences }: RawSettled): readonly number[] => {
  if (sequences.length === 0 || sequences.length > batchMessagesMax) {
    throw invalid("sequences", `sequences has 1 to ${batchMessagesMax} items.`);
  }
  return sequences.map((sequence) => bounded("sequences", sequence, 1, sequenceMax));
};

const ack = async (request: Buffer, { broker }: GrpcCall): Promise<Uint8Array> => {
  const raw = readAck(request);
  const subject = parseSubject(raw.subject);
  const consumer = parseConsumerName(raw.consumer);
  if ((raw.sequence === undefined) === (raw.sequences.length === 0)) {
    throw invalid("sequence", "Give either sequence or sequences.");
  }
  const settled =
    raw.sequence === undefined
      ? { sequences: checkSequences(raw) }
      : { through: bounded("sequence", raw.sequence, 0, sequenceMax) };
  const { ackedThrough, moved } = await broker.ack(subject, consumer, settled);
  return writeAck(ackedThrough, moved);
};

const nack = async (request: Buffer, { broker }: GrpcCall): Promise<Uint8Array> => {
  const raw = readNack(request);
  const delayMs = bounded("delay_ms", raw.delayMs, 0, ackWaitMsMax);
  const sequences = checkSequences(raw);
  const { redeliver } = await broker.nack(
    parseSubject(raw.subject),
    parseConsumerName(raw.consumer),
    sequences,
    delayMs,
    parseNackError(raw.error),
  );
  return writeNack(redeliver);
};

const service = "/minitoolstream.v1.StreamService";

/** The methods. */
export const streamRoutes: readonly Route[] = [
  { path: `${service}/Publish`, method: { kind: "unary", handle: publish } },
  { path: `${service}/PublishBatch`, method: { kind: "unary", handle: publishBatch } },
  { path: `${service}/Read`, method: { kind: "unary", handle: read } },
  { path: `${service}/Fetch`, method: { kind: "unary", handle: fetch } },
  { path: `${service}/Peek`, method: { kind: "unary", handle: peek } },
  { path: `${service}/Ack`, method: { kind: "unary", handle: ack } },
  { path: `${service}/Nack`, method: { kind: "unary", handle: nack } },
  { path: `${service}/Subscribe`, method: { kind: "bidi", open: openSubscription } },
];
