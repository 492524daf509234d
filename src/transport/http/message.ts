/**
 * One stored message by its sequence: the body as it was published, whole or one range of it; decoded for clients that
 * do not take its coding; or a pointer to it. And who has acknowledged it.
 * @module
 */

import type { StoredMessage } from "../../broker/contract.ts";
import { parseDeliver } from "../../codec/deliver.ts";
import { pointerView } from "../../codec/pointer.ts";
import { base64, hex, receiptsView } from "../../codec/view.ts";
import { StreamError } from "../../core/errors.ts";
import { largeBodyBytesMin } from "../../core/limits.ts";
import type { Sequence } from "../../core/message.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { codingsOf, takesCodings } from "./codings.ts";
import { addMetaHeaders, storedContentType } from "./header.ts";
import { messageHeadOperation, messageOperation, receiptsOperation } from "./openapi/message.ts";
import { problemResponse } from "./problem.ts";
import { invalidParameter } from "./query.ts";
import { ifRangeHolds, noneMatchHits, parseRange } from "./range.ts";
import { type HttpCall, type HttpServices, pathParameter, type Route, subjectParameter } from "./route.ts";
import { countedBytes, gatheredBody, wholeBody } from "./whole-body.ts";

const one = "/v1/subjects/:subject/messages/:sequence";

/** The routes of one message. */
export const messageRoutes = (services: HttpServices): readonly Route[] => [
  {
    method: "GET",
    path: one,
    query: ["deliver"],
    handle: (call) => showMessage(call, services),
    operation: messageOperation,
    headOperation: messageHeadOperation,
  },
  {
    method: "GET",
    path: `${one}/receipts`,
    offers: structuredForms,
    handle: async (call) => {
      const subject = subjectParameter(call);
      return structuredResponse(
        receiptsView(await call.broker.receipts(subject, sequenceParameter(call))),
        call.representation,
      );
    },
    operation: receiptsOperation,
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

const showMessage = async (call: HttpCall, services: HttpServices): Promise<Response> => {
  const subject = subjectParameter(call);
  const deliver = parseDeliver(call.query.get("deliver"));
  const stored = await call.broker.message(subject, sequenceParameter(call));
  if (deliver === "pointer") return structuredResponse(pointerView(await stored.pointer()), "json");
  const { request } = call;
  const codings = storedCodings(stored);
  const taken = deliver === "body" && takesCodings(request.headers.get("accept-encoding"), codings);
  const decoded = codings.length === 0 || taken ? undefined : await decodedResponse(call, stored, services);
  return decoded ?? messageResponse(request, stored, services);
};

/** Its codings, the first one innermost; none when its header is no list of them. */
const storedCodings = ({ envelope }: StoredMessage): readonly string[] =>
  codingsOf(envelope.headers["content-encoding"] ?? "") ?? [];

/**
 * The body without its codings; undefined when there is one that nobody here knows, or when it does not decode. Nothing
 * of it has a range, and its length and checksum are not known before all of it is there.
 */
const decodedResponse = async (
  { request, broker }: HttpCall,
  stored: StoredMessage,
  { budget }: HttpServices,
): Promise<Response | undefined> => {
  const etag = `"${hex(stored.envelope.body.sha256)}-decoded"`;
  // Who has the tag got a body that decoded.
  if (noneMatchHits(request.headers.get("if-none-match"), etag)) return notModified(stored, etag);
  const decoded = await stored.decoded();
  if (decoded === null) return undefined;
  const headers = describe(stored, etag);
  headers.set("accept-ranges", "none");
  if (request.method === "HEAD") {
    // Without it Bun would say that there is nothing.
    headers.set("content-length", String(await countedBytes(decoded)));
    return new Response(null, { headers });
  }
  return new Response(await gatheredBody(decoded, () => budget.take(request, broker.bodyBytesMax)), { headers });
};

const messageResponse = async (
  request: Request,
  stored: StoredMessage,
  { budget }: HttpServices,
): Promise<Response> => {
  const { length, sha256 } = stored.envelope.body;
  const etag = `"${hex(sha256)}"`;
  if (noneMatchHits(request.headers.get("if-none-match"), etag)) return notModified(stored, etag);
  const headers = describe(stored, etag);
  headers.set("repr-digest", `sha-256=:${base64(sha256)}:`);
  headers.set("accept-ranges", "bytes");
  const codings = storedCodings(stored);
  if (codings.length > 0) headers.set("content-encoding", codings.join(", "));
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

/** The answer depends on what the client takes, where there is a coding. */
const variesBy = (stored: StoredMessage): Readonly<Record<string, string>> =>
  storedCodings(stored).length === 0 ? {} : { vary: "Accept-Encoding" };

const notModified = (stored: StoredMessage, etag: string): Response =>
  new Response(null, { status: 304, headers: { etag, "cache-control": "no-cache", ...variesBy(stored) } });

const describe = (stored: StoredMessage, etag: string): Headers => {
  const { envelope } = stored;
  const headers = new Headers({
    "content-type": storedContentType(envelope.headers),
    etag,
    // It never changes but may be deleted: caches keep it and ask.
    "cache-control": "no-cache",
    "x-sequence": String(envelope.sequence),
    "x-timestamp": String(envelope.timestampMs),
    // A body is whatever a publisher sent: a browser must neither guess its type nor run it.
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
    ...(envelope.expiresAtMs === undefined ? {} : { "x-expires-at": String(envelope.expiresAtMs) }),
    ...variesBy(stored),
  });
  addMetaHeaders(headers, envelope.headers);
  return headers;
};

const outOfRange = (length: number): Response =>
  problemResponse(new StreamError("range_not_satisfiable", `The body has ${length} bytes.`, { size: length }), {
    "content-range": `bytes */${length}`,
  });
