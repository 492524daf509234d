/**
 * Consumers: making, showing and deleting them, and fetching, peeking, acknowledging and refusing under their names.
 * @module
 */
import type { Broker } from "../../broker/contract.ts";
import { consumerView } from "../../codec/view.ts";
import {
  ackPendingDefault,
  ackWaitMsDefault,
  ackWaitMsMax,
  pageBodyBytesMax,
  pageMessagesDefault,
  pageMessagesMax,
  sequenceMax,
  waitMsMax,
} from "../../core/limits.ts";
import type { AckMode, ConsumerConfig, Sequence } from "../../core/message.ts";
import { parseConsumerStart } from "../../core/start.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { parseStructured } from "./body.ts";
import { ackPendingMax, consumerBodyBytesMax, deliverMax, sequencesMax } from "./consumer-limits.ts";
import { asInteger, asIntegers, type Fields, fieldBoolean, fieldInteger, parseFields } from "./fields.ts";
import { bodyForm, checkContentEncoding } from "./media.ts";
import * as operations from "./openapi/consumers.ts";
import { pageForms, pageResponse } from "./page.ts";
import { invalidParameter, queryInteger } from "./query.ts";
import { consumerParameter, type HttpCall, type HttpServices, type Route, subjectParameter } from "./route.ts";

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
    query: ["limit"],
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
];

/** The body as a map; without a body it is empty, and then its type does not matter. */
const readFields = async ({ request, intake }: HttpCall, known: readonly string[]): Promise<Fields> => {
  checkContentEncoding(request);
  const bytes = await intake.bytes(consumerBodyBytesMax);
  if (bytes.length === 0) return {};
  const form = bodyForm(request, structuredForms) ?? "json";
  return parseFields(parseStructured(bytes, form), known);
};

const listConsumers = async (call: HttpCall): Promise<Response> => {
  const states = await call.broker.consumers(subjectParameter(call));
  return structuredResponse({ consumers: states.map(consumerView) }, call.representation);
};

const putConsumer = async (call: HttpCall): Promise<Response> => {
  const subject = subjectParameter(call);
  const name = consumerParameter(call);
  const fields = await readFields(call, ["start", "ack", "ack_wait_ms", "max_deliver", "max_ack_pending"]);
  const { created, state } = await call.broker.putConsumer(subject, name, parseConfig(fields));
  return structuredResponse(consumerView(state), call.representation, created ? 201 : 200);
};

const parseConfig = (fields: Fields): ConsumerConfig => ({
  start: fields["start"] === undefined ? { kind: "first" } : parseConsumerStart(fields["start"]),
  ack: parseAckMode(fields["ack"] === undefined ? "all" : fields["ack"]),
  ackWaitMs: fieldInteger(fields, "ack_wait_ms", { min: 1, max: ackWaitMsMax }, ackWaitMsDefault),
  maxDeliver: fieldInteger(fields, "max_deliver", { min: 0, max: deliverMax }, 0),
  maxAckPending: fieldInteger(fields, "max_ack_pending", { min: 1, max: ackPendingMax }, ackPendingDefault),
});

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
  const fields = await readFields(call, ["limit", "max_bytes", "wait_ms", "auto_ack"]);
  const request = {
    subject,
    consumer,
    limit: fieldInteger(fields, "limit", limitBounds, pageMessagesDefault),
    bodyBytesMax: fieldInteger(fields, "max_bytes", { min: 1, max: sequenceMax }, pageBodyBytesMax),
    waitMs: fieldInteger(fields, "wait_ms", { min: 0, max: waitMsMax }, 0),
    autoAck: fieldBoolean(fields, "auto_ack", false),
  };
  if (request.waitMs > 0) keepOpen(call.request);
  return pageResponse(await call.broker.fetch(request, call.request.signal), call.representation, true);
};

const peekMessages = async (call: HttpCall): Promise<Response> => {
  const limit = queryInteger(call.query, "limit", limitBounds, pageMessagesDefault);
  const page = await call.broker.peek(subjectParameter(call), consumerParameter(call), limit);
  return pageResponse(page, call.representation, true);
};

const ackMessages = async (call: HttpCall): Promise<Response> => {
  const subject = subjectParameter(call);
  const name = consumerParameter(call);
  const settled = parseSettled(await readFields(call, ["sequence", "sequences"]));
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
  const fields = await readFields(call, ["sequences", "delay_ms"]);
  const sequences = parseSequences(fields["sequences"]);
  const delayMs = fieldInteger(fields, "delay_ms", { min: 0, max: ackWaitMsMax }, 0);
  const { redeliver } = await call.broker.nack(subject, name, sequences, delayMs);
  return structuredResponse({ redeliver }, call.representation);
};
