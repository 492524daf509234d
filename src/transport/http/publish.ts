/**
 * Publishing: one message a request, body as it is, on the hot path; or many in one structured body.
 * @module
 */

import type { Broker } from "../../broker/contract.ts";
import { parseDraft, parseMessageId } from "../../codec/draft.ts";
import { outcomeView, receiptView } from "../../codec/view.ts";
import { assert, StreamError, toStreamError } from "../../core/errors.ts";
import { batchMessagesMax, frameBytesMax, largeBodyBytesMin, sequenceMax } from "../../core/limits.ts";
import type { BodyRef, Draft, PublishOutcome } from "../../core/message.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { bodyTooLarge, contentLength, parseNdjson, parseStructured, tooManyMessages } from "./body.ts";
import { parseFields } from "./fields.ts";
import { decodeHeaderValue, messageHeaders } from "./header.ts";
import { bodyForm, checkContentEncoding, unsupportedType } from "./media.ts";
import { publishBatchOperation, publishOperation } from "./openapi/publish.ts";
import { invalidParameter, parseInteger } from "./query.ts";
import { type HttpCall, type Route, subjectParameter } from "./route.ts";

/**
 * A batch body may be as large as the largest frame, and 16 MiB in any case: where an operator allows small bodies only,
 * a batch of several of them must still fit.
 */
const batchBytesMax = (bodyBytesMax: number): number => Math.max(frameBytesMax(bodyBytesMax), 16 * 1024 * 1024);

const batchForms = ["json", "msgpack", "ndjson"] as const;

/** The routes that publish. */
export const publishRoutes = (): readonly Route[] => [
  {
    method: "POST",
    path: "/v1/subjects/:subject/messages",
    offers: structuredForms,
    handle: publishOne,
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

const publishOne = async (call: HttpCall): Promise<Response> => {
  const { request, representation, broker, caller } = call;
  const subject = subjectParameter(call);
  checkContentEncoding(request);
  const headers = messageHeaders(request.headers);
  const messageId = idempotencyKey(request);
  const expectedLastSequence = expectedSequence(request);
  const body = await readMessageBody(call, () => caller.publishRefusal(subject));
  const [outcome] = await broker.publish([{ subject, headers, body, messageId, expectedLastSequence }]);
  assert(outcome !== undefined, "one outcome a draft");
  if (outcome instanceof StreamError) throw outcome;
  return structuredResponse(receiptView(outcome), representation, outcome.duplicate ? 200 : 201, {
    location: `/v1/subjects/${encodeURIComponent(subject)}/messages/${outcome.sequence}`,
  });
};

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

/**
 * Small bodies in memory, large ones into the store as they come; the length may only show while reading.
 * @param refusal why a large one need not be taken in at all
 */
const readMessageBody = async (
  { request, broker, intake }: HttpCall,
  refusal: () => StreamError | undefined,
): Promise<Uint8Array | BodyRef> => {
  const { bodyBytesMax } = broker;
  const length = contentLength(request);
  if (length !== undefined && length > bodyBytesMax) throw bodyTooLarge(bodyBytesMax);
  if (length !== undefined && length < largeBodyBytesMin) return intake.bytes(bodyBytesMax);
  const refused = refusal();
  if (refused !== undefined) throw refused;
  const chunks = intake.chunks(bodyBytesMax);
  const { head, ended } = await readHead(chunks);
  return ended ? Buffer.concat(head) : broker.storeBody(rejoin(head, chunks), request.signal);
};

/** Collects chunks until the body has ended or is large. */
const readHead = async (chunks: AsyncIterator<Uint8Array>): Promise<{ head: Uint8Array[]; ended: boolean }> => {
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes < largeBodyBytesMin; ) {
    const next = await chunks.next();
    if (next.done === true) return { head, ended: true };
    bytes += next.value.length;
    head.push(next.value);
  }
  return { head, ended: false };
};

async function* rejoin(head: Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* head.splice(0);
  yield* rest;
}

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
