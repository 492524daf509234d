/**
 * Publishing: one message a request, body as it is, on the hot path; or many in one structured body.
 * @module
 */

import type { Broker } from "../../broker/contract.ts";
import {
  ackedWaitMsDefault,
  ackedWaitMsMax,
  acknowledgements,
  parseWaitedFor,
  waitAndDelay,
} from "../../codec/deliver.ts";
import { parseDraft, parseMessageId } from "../../codec/draft.ts";
import { parseTimingHeaders, type Timing, timingHeaders } from "../../codec/timing.ts";
import { outcomeView, receiptView } from "../../codec/view.ts";
import { assert, StreamError, toStreamError } from "../../core/errors.ts";
import { batchMessagesMax, frameBytesMax, sequenceMax } from "../../core/limits.ts";
import { type Draft, isScheduled, type PublishOutcome } from "../../core/message.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { parseNdjson, parseStructured, tooManyMessages } from "./body.ts";
import { parseFields } from "./fields.ts";
import { decodeHeaderValue } from "./header.ts";
import { bodyForm, checkContentEncoding, unsupportedType } from "./media.ts";
import { publishBatchOperation, publishOperation } from "./openapi/publish.ts";
import { readPublished } from "./publish-body.ts";
import { invalidParameter, parseInteger, queryInteger } from "./query.ts";
import { type HttpCall, type HttpServices, type Route, subjectParameter } from "./route.ts";

/**
 * A batch body may be as large as the largest frame, and 16 MiB in any case: where an operator allows small bodies only,
 * a batch of several of them must still fit.
 */
const batchBytesMax = (bodyBytesMax: number): number => Math.max(frameBytesMax(bodyBytesMax), 16 * 1024 * 1024);

const batchForms = ["json", "msgpack", "ndjson"] as const;

/** The routes that publish. */
export const publishRoutes = (services: HttpServices): readonly Route[] => [
  {
    method: "POST",
    path: "/v1/subjects/:subject/messages",
    query: ["wait", "wait_ms"],
    offers: structuredForms,
    handle: (call) => publishOne(call, services),
    operation: publishOperation,
  },
  {
    method: "POST",
    path: "/v1/messages",
    offers: structuredForms,
    handle: publishBatch,
    operation: publishBatchOperation,
  },
];

const publishOne = async (call: HttpCall, { keepOpen }: HttpServices): Promise<Response> => {
  const { request, representation, broker, query } = call;
  const subject = subjectParameter(call);
  const waitedFor = parseWaitedFor(query.get("wait"));
  const waitMs = queryInteger(query, "wait_ms", { min: 0, max: ackedWaitMsMax }, ackedWaitMsDefault);
  const expectedLastSequence = expectedSequence(request);
  const timing = timingOf(request.headers, expectedLastSequence !== undefined);
  if (waitedFor !== undefined && timing.deliverAt !== undefined) throw waitAndDelay();
  const messageId = idempotencyKey(request);
  const { headers, body } = await readPublished(call, subject);
  const [outcome] = await broker.publish([{ subject, headers, body, messageId, expectedLastSequence, ...timing }]);
  assert(outcome !== undefined, "one outcome a draft");
  if (outcome instanceof StreamError) throw outcome;
  if (isScheduled(outcome)) return structuredResponse(receiptView(outcome), representation, 202);
  const view = receiptView(outcome);
  if (waitedFor !== undefined) {
    // It is under way until enough have acknowledged it, or the time is over; its body is not.
    call.intake.release();
    if (waitMs > 0) keepOpen(request);
    Object.assign(view, await acknowledgements(broker, outcome, { acked: waitedFor, waitMs }, request.signal));
  }
  return structuredResponse(view, representation, outcome.duplicate ? 200 : 201, {
    location: `/v1/subjects/${encodeURIComponent(subject)}/messages/${outcome.sequence}`,
  });
};

const timingOf = (headers: Headers, expected: boolean): Timing =>
  parseTimingHeaders({
    ttl: headers.get(timingHeaders.ttl) ?? undefined,
    delay: headers.get(timingHeaders.delay) ?? undefined,
    deliverAt: headers.get(timingHeaders.deliverAt) ?? undefined,
    expected,
  });

const idempotencyKey = (request: Request): string | undefined => {
  const raw = request.headers.get("idempotency-key");
  return raw === null ? undefined : parseMessageId(decodeMessageId(raw));
};

const decodeMessageId = (raw: string): string => {
  try {
    return decodeHeaderValue("Idempotency-Key", raw);
  } catch {
    throw new StreamError("invalid_message_id", "The Idempotency-Key is not UTF-8.");
  }
};

const expectedSequence = (request: Request): number | undefined => {
  const raw = request.headers.get("expected-last-sequence");
  return raw === null ? undefined : parseInteger("Expected-Last-Sequence", raw, { min: 0, max: sequenceMax });
};

const publishBatch = async ({ request, representation, broker, intake }: HttpCall): Promise<Response> => {
  checkContentEncoding(request);
  const form = bodyForm(request, batchForms);
  if (form === undefined) throw unsupportedType(batchForms);
  const bytes = await intake.bytes(batchBytesMax(broker.bodyBytesMax));
  const entries = form === "ndjson" ? parseNdjson(bytes) : batchEntries(parseStructured(bytes, form));
  const outcomes = await publishEntries(entries, broker);
  return structuredResponse({ results: outcomes.map(outcomeView) }, representation);
};

const batchEntries = (raw: unknown): readonly unknown[] => {
  const { messages } = parseFields(raw, ["messages"]);
  if (!Array.isArray(messages)) throw invalidParameter("messages", "messages must be an array.");
  if (messages.length > batchMessagesMax) throw tooManyMessages();
  return messages;
};

/** What is wrong with one entry is its own result; the others are published. */
const publishEntries = async (entries: readonly unknown[], broker: Broker): Promise<readonly PublishOutcome[]> => {
  const parsed = entries.map((entry): Draft | StreamError => {
    try {
      return parseDraft(entry, broker);
    } catch (thrown) {
      return toStreamError(thrown);
    }
  });
  const drafts = parsed.filter((entry): entry is Draft => !(entry instanceof StreamError));
  const published = drafts.length === 0 ? [] : await broker.publish(drafts);
  let next = 0;
  return parsed.map((entry) => {
    const outcome = entry instanceof StreamError ? entry : published[next++];
    assert(outcome !== undefined, "one outcome a draft");
    return outcome;
  });
};
