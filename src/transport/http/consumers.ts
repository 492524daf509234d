/**
 * Consumers: making, showing and deleting them; fetching, peeking, acknowledging and refusing under their names; and
 * sending their dead letters back.
 * @module
 */
import type { Broker } from "../../broker/contract.ts";
import { parseDeliver, parseNackError } from "../../codec/deliver.ts";
import { consumerView } from "../../codec/view.ts";
import {
  ackPendingDefault,
  ackWaitMsDefault,
  ackWaitMsMax,
  pageBodyBytesMax,
  pageMessagesDefault,
  pageMessagesMax,
  redriveDefault,
  redriveMax,
  sequenceMax,
  waitMsMax,
} from "../../core/limits.ts";
import type { AckMode, ConsumerConfig, Sequence } from "../../core/message.ts";
import { parseConsumerStart } from "../../core/start.ts";
import { parseSubject, type Subject, serverSubjectPrefix } from "../../core/subject.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { ackPendingMax, consumerBodyBytesMax, deliverMax, sequencesMax } from "./consumer-limits.ts";
import { asInteger, asIntegers, type Fields, fieldBoolean, fieldInteger } from "./fields.ts";
import * as operations from "./openapi/consumers.ts";
import { pageForms, pageResponse } from "./page.ts";
import { invalidParameter, queryInteger } from "./query.ts";
import { consumerParameter, type HttpCall, type HttpServices, type Route, subjectParameter } from "./route.ts";
import { readFields } from "./structured-body.ts";

const collection = "/v1/subjects/:subject/consumers";
const one = `${collection}/:name`;
const limitBounds = { min: 1, max: pageMessagesMax };

/** The routes of consumers. */
export const consumerRoutes = (services: HttpServices): readonly Route[] => [
  {
    method: "GET",
    path: collection,
    offers: structuredForms,
    handle: listConsumers,
    operation: operations.listConsumersOperation,
  },
  {
    method: "PUT",
    path: one,
    offers: structuredForms,
    handle: putConsumer,
    operation: operations.putConsumerOperation,
  },
  {
    method: "GET",
    path: one,
    offers: structuredForms,
    handle: showConsumer,
    operation: operations.getConsumerOperation,
  },
  {
    method: "DELETE",
    path: one,
    offers: structuredForms,
    handle: deleteConsumer,
    operation: operations.deleteConsumerOperation,
  },
  {
    method: "POST",
    path: `${one}/fetch`,
    offers: pageForms,
    handle: (call) => fetchMessages(call, services),
    operation: operations.fetchOperation,
  },
  {
    method: "GET",
    path: `${one}/peek`,
    query: ["limit", "deliver"],
    offers: pageForms,
    handle: peekMessages,
    operation: operations.peekOperation,
  },
  {
    method: "POST",
    path: `${one}/ack`,
    offers: structuredForms,
    handle: ackMessages,
    operation: operations.ackOperation,
  },
  {
    method: "POST",
    path: `${one}/nack`,
    offers: structuredForms,
    handle: nackMessages,
    operation: operations.nackOperation,
  },
  {
    method: "POST",
    path: `${one}/redrive`,
    offers: structuredForms,
    handle: (call) => redriveMessages(call, services),
    operation: operations.redriveOperation,
  },
];

const readBody = (call: HttpCall, known: readonly string[]): Promise<Fields> =>
  readFields(call, known, consumerBodyBytesMax);

const listConsumers = async (call: HttpCall): Promise<Response> => {
  const states = await call.broker.consumers(subjectParameter(call));
  return structuredResponse({ consumers: states.map(consumerView) }, call.representation);
};

const putConsumer = async (call: HttpCall): Promise<Response> => {
  const subject = subjectParameter(call);
  const name = consumerParameter(call);
  const fields = await readBody(call, ["start", "ack", "ack_wait_ms", "max_deliver", "max_ack_pending", "dead_letter"]);
  const { created, state } = await call.broker.putConsumer(subject, name, parseConfig(fields, subject));
  return structuredResponse(consumerView(state), call.representation, created ? 201 : 200);
};

const parseConfig = (fields: Fields, subject: Subject): ConsumerConfig => {
  const config = {
    start: fields["start"] === undefined ? { kind: "first" as const } : parseConsumerStart(fields["start"]),
    ack: parseAckMode(fields["ack"] === undefined ? "all" : fields["ack"]),
    ackWaitMs: fieldInteger(fields, "ack_wait_ms", { min: 1, max: ackWaitMsMax }, ackWaitMsDefault),
    maxDeliver: fieldInteger(fields, "max_deliver", { min: 0, max: deliverMax }, 0),
    maxAckPending: fieldInteger(fields, "max_ack_pending", { min: 1, max: ackPendingMax }, ackPendingDefault),
  };
  const deadLetter = fields["dead_letter"];
  return deadLetter === undefined ? config : { ...config, deadLetter: parseDeadLetter(deadLetter, subject, config) };
};

const parseDeadLetter = (raw: unknown, subject: Subject, { ack, maxDeliver }: ConsumerConfig): Subject => {
  if (ack !== "explicit" || maxDeliver < 1) {
    throw invalidParameter("dead_letter", "dead_letter needs ack: explicit and max_deliver from 1 on.");
  }
  const deadLetter = subjectOf(raw);
  if (deadLetter === undefined || deadLetter.startsWith(serverSubjectPrefix)) {
    throw invalidParameter(
      "dead_letter",
      `dead_letter must be a subject that does not begin with ${serverSubjectPrefix}.`,
    );
  }
  if (deadLetter !== subject) return deadLetter;
  throw invalidParameter("dead_letter", "dead_letter must be another subject than the consumer's own.");
};

const subjectOf = (raw: unknown): Subject | undefined => {
  try {
    return parseSubject(raw);
  } catch {
    return undefined;
  }
};

const parseAckMode = (raw: unknown): AckMode => {
  if (raw === "all" || raw === "explicit") return raw;
  throw invalidParameter("ack", "ack must be all or explicit.");
};

const showConsumer = async (call: HttpCall): Promise<Response> =>
  structuredResponse(
    consumerView(await call.broker.consumer(subjectParameter(call), consumerParameter(call))),
    call.representation,
  );

const deleteConsumer = async (call: HttpCall): Promise<Response> =>
  structuredResponse(
    consumerView(await call.broker.deleteConsumer(subjectParameter(call), consumerParameter(call))),
    call.representation,
  );

const fetchMessages = async (call: HttpCall, { keepOpen }: HttpServices): Promise<Response> => {
  const subject = subjectParameter(call);
  const consumer = consumerParameter(call);
  const fields = await readBody(call, ["limit", "max_bytes", "wait_ms", "auto_ack", "deliver"]);
  const request = {
    subject,
    consumer,
    limit: fieldInteger(fields, "limit", limitBounds, pageMessagesDefault),
    bodyBytesMax: fieldInteger(fields, "max_bytes", { min: 1, max: sequenceMax }, pageBodyBytesMax),
    waitMs: fieldInteger(fields, "wait_ms", { min: 0, max: waitMsMax }, 0),
    autoAck: fieldBoolean(fields, "auto_ack", false),
    deliver: parseDeliver(fields["deliver"]),
  };
  if (request.waitMs > 0) keepOpen(call.request);
  return pageResponse(await call.broker.fetch(request, call.request.signal), call.representation, true);
};

const peekMessages = async (call: HttpCall): Promise<Response> => {
  const limit = queryInteger(call.query, "limit", limitBounds, pageMessagesDefault);
  const deliver = parseDeliver(call.query.get("deliver"));
  const page = await call.broker.peek(subjectParameter(call), consumerParameter(call), limit, deliver);
  return pageResponse(page, call.representation, true);
};

const ackMessages = async (call: HttpCall): Promise<Response> => {
  const subject = subjectParameter(call);
  const name = consumerParameter(call);
  const settled = parseSettled(await readBody(call, ["sequence", "sequences"]));
  const { ackedThrough, moved } = await call.broker.ack(subject, name, settled);
  return structuredResponse({ acked_through: ackedThrough, moved }, call.representation);
};

const parseSettled = ({ sequence, sequences }: Fields): Parameters<Broker["ack"]>[2] => {
  if ((sequence === undefined) === (sequences === undefined)) {
    throw invalidParameter("sequence", "Give either sequence or sequences.");
  }
  return sequence === undefined
    ? { sequences: parseSequences(sequences) }
    : { through: asInteger("sequence", sequence, { min: 0, max: sequenceMax }) };
};

const parseSequences = (raw: unknown): readonly Sequence[] =>
  asIntegers("sequences", raw, { min: 1, max: sequenceMax }, sequencesMax);

const nackMessages = async (call: HttpCall): Promise<Response> => {
  const subject = subjectParameter(call);
  const name = consumerParameter(call);
  const fields = await readBody(call, ["sequences", "delay_ms", "error"]);
  const sequences = parseSequences(fields["sequences"]);
  const delayMs = fieldInteger(fields, "delay_ms", { min: 0, max: ackWaitMsMax }, 0);
  const error = parseNackError(fields["error"]);
  const { redeliver } = await call.broker.nack(subject, name, sequences, delayMs, error);
  return structuredResponse({ redeliver }, call.representation);
};

const redriveMessages = async (call: HttpCall, { keepOpen }: HttpServices): Promise<Response> => {
  const subject = subjectParameter(call);
  const consumer = consumerParameter(call);
  const fields = await readBody(call, ["limit", "rate"]);
  const limit = fieldInteger(fields, "limit", { min: 1, max: redriveMax }, redriveDefault);
  const request = { subject, consumer, limit, perSecond: parseRate(fields["rate"]) };
  keepOpen(call.request);
  const { redriven, more } = await call.broker.redrive(request, call.request.signal);
  return structuredResponse({ redriven, more }, call.representation);
};

/** Messages a second; without it all go at once. */
const parseRate = (raw: unknown): number => {
  if (raw === undefined) return Number.POSITIVE_INFINITY;
  if (typeof raw === "number" && Number.isFinite(raw) && raw > 0) return raw;
  throw invalidParameter("rate", "rate must be a number above 0: messages a second.");
};
