/**
 * One stored message by its sequence: the body as it was published, whole or one range of it.
 * @module
 */

import type { StoredMessage } from "../../broker/contract.ts";
import { base64, hex } from "../../codec/view.ts";
import { assert, StreamError } from "../../core/errors.ts";
import { largeBodyBytesMin } from "../../core/limits.ts";
import type { Sequence } from "../../core/message.ts";
import type { BodyBudget } from "./body-budget.ts";
import { addMetaHeaders, storedContentType } from "./header.ts";
import { messageHeadOperation, messageOperation } from "./openapi/message.ts";
import { problemResponse } from "./problem.ts";
import { invalidParameter } from "./query.ts";
import { ifRangeHolds, noneMatchHits, parseRange } from "./range.ts";
import { type HttpCall, type HttpServices, pathParameter, type Route, subjectParameter } from "./route.ts";

/** The route of one message. */
export const messageRoutes = ({ budget }: HttpServices): readonly Route[] => [
  {
    method: "GET",
    path: "/v1/subjects/:subject/messages/:sequence",
    handle: async (call) => {
      const subject = subjectParameter(call);
      return messageResponse(call.request, await call.broker.message(subject, sequenceParameter(call)), budget);
    },
    operation: messageOperation,
    headOperation: messageHeadOperation,
  },
];

/** Digits beyond 2^53-1 are a sequence too, of a message that cannot exist. */
const sequenceParameter = (call: HttpCall): Sequence => {
  const raw = pathParameter(call, "sequence");
  if (!/^\d+$/.test(raw)) throw invalidParameter("sequence", "The sequence in the path must be decimal digits.");
  const sequence = Number(raw);
  if (sequence >= 1 && Number.isSafeInteger(sequence)) return sequence;
  throw new StreamError("message_not_found", "There is no message with this sequence.");
};

const messageResponse = async (request: Request, stored: StoredMessage, budget: BodyBudget): Promise<Response> => {
  const { length } = stored.envelope.body;
  const etag = `"${hex(stored.envelope.body.sha256)}"`;
  if (noneMatchHits(request.headers.get("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers: { etag, "cache-control": "no-cache" } });
  }
  const headers = describe(stored, etag);
  if (request.method === "HEAD") {
    headers.set("content-length", String(length));
    return new Response(null, { headers });
  }
  const ranged = ifRangeHolds(request.headers.get("if-range"), etag);
  const range = ranged ? parseRange(request.headers.get("range"), length) : ({ kind: "whole" } as const);
  if (range.kind === "unsatisfiable") return outOfRange(length);
  const bytes = range.kind === "whole" ? length : range.end - range.start;
  // Smaller ones are in memory anyway, beside many others.
  if (bytes >= largeBodyBytesMin) await budget.take(request, bytes);
  if (range.kind === "whole") return new Response(await wholeBody(await stored.body(), bytes), { headers });
  headers.set("content-range", `bytes ${range.start}-${range.end - 1}/${length}`);
  return new Response(await wholeBody(await stored.body(range), bytes), { status: 206, headers });
};

const describe = ({ envelope }: StoredMessage, etag: string): Headers => {
  const headers = new Headers({
    "content-type": storedContentType(envelope.headers),
    etag,
    "repr-digest": `sha-256=:${base64(envelope.body.sha256)}:`,
    "accept-ranges": "bytes",
    // It never changes but may be deleted: caches keep it and ask.
    "cache-control": "no-cache",
    "x-sequence": String(envelope.sequence),
    "x-timestamp": String(envelope.timestampMs),
    // A body is whatever a publisher sent: a browser must neither guess its type nor run it.
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
  });
  addMetaHeaders(headers, envelope.headers);
  return headers;
};

const outOfRange = (length: number): Response =>
  problemResponse(new StreamError("range_not_satisfiable", `The body has ${length} bytes.`, { size: length }), {
    "content-range": `bytes */${length}`,
  });

/**
 * The body in one piece: Bun 1.4 sends every stream chunked and drops its Content-Length, which clients are promised.
 * The budget bounds how much of this is in memory.
 */
const wholeBody = async (body: Uint8Array | AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> => {
  if (body instanceof Uint8Array) return body;
  const whole = new Uint8Array(length);
  let offset = 0;
  for await (const chunk of body) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  assert(offset === length, "a body has the length of its envelope");
  return whole;
};
