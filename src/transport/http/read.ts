/**
 * Reading a subject: pages, long polls, and the live tail when the client takes an event stream.
 * @module
 */

import type { ReadRequest } from "../../broker/contract.ts";
import { parseDeliver } from "../../codec/deliver.ts";
import { envelopeView } from "../../codec/view.ts";
import { pageBodyBytesMax, pageMessagesDefault, pageMessagesMax, sequenceMax, waitMsMax } from "../../core/limits.ts";
import { parseStartPosition, type StartPosition } from "../../core/start.ts";
import { readOperation } from "./openapi/read.ts";
import { pageForms, pageResponse, viewsResponse } from "./page.ts";
import { parseInteger, queryBoolean, queryInteger } from "./query.ts";
import { type HttpCall, type HttpServices, type Route, subjectParameter } from "./route.ts";
import { tailResponse } from "./tail.ts";

const limitBounds = { min: 1, max: pageMessagesMax };

/** The route that reads. */
export const readRoutes = (services: HttpServices): readonly Route[] => [
  {
    method: "GET",
    path: "/v1/subjects/:subject/messages",
    query: ["from", "limit", "max_bytes", "wait_ms", "headers_only", "deliver"],
    offers: [...pageForms, "events"],
    handle: (call) => (call.representation === "events" ? openTail(call, services) : readPage(call, services)),
    operation: readOperation,
  },
];

/** Bounds of a page, as reads have them in their query. */
const readRequest = (call: HttpCall): ReadRequest => ({
  subject: subjectParameter(call),
  from: parseStartPosition(call.query.get("from") ?? "first"),
  limit: queryInteger(call.query, "limit", limitBounds, pageMessagesDefault),
  bodyBytesMax: queryInteger(call.query, "max_bytes", { min: 1, max: sequenceMax }, pageBodyBytesMax),
  waitMs: queryInteger(call.query, "wait_ms", { min: 0, max: waitMsMax }, 0),
  deliver: parseDeliver(call.query.get("deliver")),
});

const readPage = async (call: HttpCall, { keepOpen }: HttpServices): Promise<Response> => {
  const request = readRequest(call);
  // It belongs to tails, but a wrong one is wrong everywhere.
  resumeAt(call.request);
  const headersOnly = queryBoolean(call.query, "headers_only");
  if (request.waitMs > 0) keepOpen(call.request);
  const signal = request.waitMs > 0 ? call.request.signal : undefined;
  if (headersOnly) return readEnvelopes(call, request, signal);
  return pageResponse(await call.broker.read(request, signal), call.representation, false);
};

const readEnvelopes = async (call: HttpCall, request: ReadRequest, signal: AbortSignal | undefined) => {
  const page = await call.broker.readEnvelopes(request, signal);
  return viewsResponse(page, page.envelopes.map(envelopeView), [], call.representation);
};

const openTail = async (call: HttpCall, services: HttpServices): Promise<Response> => {
  // The parameters of a page are checked but play no part: a tail waits by itself and has no size.
  const { subject, deliver } = readRequest(call);
  services.keepOpen(call.request);
  return tailResponse(services.tails, call, {
    subject,
    from: resumeAt(call.request) ?? parseStartPosition(call.query.get("from") ?? "new"),
    messagesMax: queryInteger(call.query, "limit", limitBounds, Infinity),
    headersOnly: queryBoolean(call.query, "headers_only"),
    deliver,
  });
};

/**
 * `Last-Event-ID` resumes behind it and wins over `from`: a browser reconnects to the address it first opened.
 * Undefined when the request has none.
 */
const resumeAt = (request: Request): StartPosition | undefined => {
  const lastEventId = request.headers.get("last-event-id");
  if (lastEventId === null) return undefined;
  const sequence = parseInteger("Last-Event-ID", lastEventId, { min: 0, max: sequenceMax - 1 });
  return { kind: "sequence", sequence: sequence + 1 };
};
