/**
 * How consumers appear in the OpenAPI document.
 * @module
 */
import type { ErrorCode } from "../../../core/errors.ts";
import {
  ackPendingDefault,
  ackWaitMsDefault,
  ackWaitMsMax,
  nackErrorBytesMax,
  pageMessagesDefault,
  pageMessagesMax,
  redriveDefault,
  redriveMax,
  sequenceMax,
  waitMsMax,
} from "../../../core/limits.ts";
import { ackPendingMax, deliverMax, sequencesMax } from "../consumer-limits.ts";
import { consumerStartSchema } from "./names.ts";
import {
  consumerInPath,
  contentOf,
  integer,
  type Operation,
  problems,
  type ResponseObject,
  ref,
  type Schema,
  storeErrors,
  structured,
  subjectInPath,
} from "./operation.ts";
import { deliverInQuery, deliverSchema, limitInQuery, pageOf } from "./read.ts";

const consumerPath = [subjectInPath, consumerInPath];
const pathErrors: readonly ErrorCode[] = [...storeErrors, "invalid_subject", "invalid_consumer", "not_acceptable"];
const bodyErrors: readonly ErrorCode[] = [
  ...pathErrors,
  "malformed_body",
  "body_too_large",
  "body_too_slow",
  "unsupported_media_type",
  "unknown_field",
  "invalid_parameter",
];

const map = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema => ({
  type: "object",
  additionalProperties: false,
  properties,
  ...(required.length === 0 ? {} : { required }),
});

const body = (schema: Schema, required: boolean, example: unknown): NonNullable<Operation["requestBody"]> => ({
  required,
  content: { ...contentOf(["json"], schema, example), ...contentOf(["msgpack"], schema) },
});

/** What can be done with a consumer whose state was answered. */
const consumerLinks: NonNullable<ResponseObject["links"]> = Object.fromEntries(
  [
    "fetchMessages",
    "peekMessages",
    "ackMessages",
    "nackMessages",
    "redriveMessages",
    "getConsumer",
    "deleteConsumer",
  ].map((operationId) => [
    operationId,
    {
      operationId,
      description: "On this consumer.",
      parameters: { subject: "$response.body#/subject", name: "$response.body#/name" },
    },
  ]),
);

const sequences: Schema = { type: "array", minItems: 1, maxItems: sequencesMax, items: integer(1, sequenceMax) };

export const listConsumersOperation: Operation = {
  operationId: "listConsumers",
  tags: ["consumers"],
  summary: "The consumers of a subject",
  parameters: [subjectInPath],
  responses: {
    "200": structured("All of them, in byte order of their names.", ref("ConsumerList")),
    ...problems([...storeErrors, "invalid_subject", "not_acceptable"]),
  },
};

const ackMode = (modes: readonly string[], otherwise?: string): Schema => ({
  type: "string",
  enum: modes,
  ...(otherwise === undefined ? {} : { default: otherwise }),
  description: "`all` acknowledges everything through a sequence, `explicit` message by message, under leases.",
});

const maxDeliver = (minimum: number): Schema => ({
  ...integer(minimum, deliverMax),
  ...(minimum === 0 ? { default: 0 } : {}),
  description: "Deliveries before giving up; 0 = no limit.",
});

const consumerFields: Readonly<Record<string, Schema>> = {
  start: consumerStartSchema(integer(0, sequenceMax)),
  ack_wait_ms: { ...integer(1, ackWaitMsMax), default: ackWaitMsDefault, description: "Lease in milliseconds." },
  max_ack_pending: {
    ...integer(1, ackPendingMax),
    default: ackPendingDefault,
    description: "Leased and nacked messages at once.",
  },
};

export const putConsumerOperation: Operation = {
  operationId: "putConsumer",
  tags: ["consumers"],
  summary: "Make a consumer",
  parameters: consumerPath,
  requestBody: body(
    {
      anyOf: [
        map({ ...consumerFields, ack: ackMode(["all", "explicit"], "all"), max_deliver: maxDeliver(0) }),
        map(
          {
            ...consumerFields,
            ack: ackMode(["explicit"]),
            max_deliver: maxDeliver(1),
            dead_letter: {
              allOf: [ref("Subject")],
              description: "Where messages go whose deliveries are used up; another subject than the consumer's own.",
            },
          },
          ["ack", "max_deliver", "dead_letter"],
        ),
      ],
    },
    false,
    { start: "first", ack: "explicit" },
  ),
  responses: {
    "201": { ...structured("Made.", ref("Consumer")), links: consumerLinks },
    "200": { ...structured("It was there with the same configuration.", ref("Consumer")), links: consumerLinks },
    ...problems([...bodyErrors, "consumer_exists"]),
  },
};

export const getConsumerOperation: Operation = {
  operationId: "getConsumer",
  tags: ["consumers"],
  summary: "One consumer",
  parameters: consumerPath,
  responses: {
    "200": structured("Its state.", ref("Consumer")),
    ...problems([...pathErrors, "consumer_not_found"]),
  },
};

export const deleteConsumerOperation: Operation = {
  operationId: "deleteConsumer",
  tags: ["consumers"],
  summary: "Delete a consumer",
  parameters: consumerPath,
  responses: {
    "200": structured("The state it had.", ref("Consumer")),
    ...problems([...pathErrors, "consumer_not_found"]),
  },
};

export const fetchOperation: Operation = {
  operationId: "fetchMessages",
  tags: ["consumers"],
  summary: "Fetch messages under a consumer's name",
  description:
    "An unknown consumer is made: `ack: all`, from the first message. `all` answers from behind `acked_through`, and " +
    "the same again until acknowledged; `explicit` leases messages for `ack_wait_ms`.",
  parameters: consumerPath,
  requestBody: body(
    map({
      limit: { ...integer(1, pageMessagesMax), default: pageMessagesDefault },
      max_bytes: integer(1, sequenceMax, { description: "Bytes of bodies at most; one message always comes." }),
      wait_ms: { ...integer(0, waitMsMax), default: 0 },
      auto_ack: { type: "boolean", default: false },
      deliver: deliverSchema,
    }),
    false,
    { limit: 10 },
  ),
  responses: { "200": pageOf("DeliveredPage"), ...problems(bodyErrors) },
};

export const peekOperation: Operation = {
  operationId: "peekMessages",
  tags: ["consumers"],
  summary: "What a fetch would show; nothing changes",
  parameters: [...consumerPath, limitInQuery, deliverInQuery],
  responses: { "200": pageOf("DeliveredPage"), ...problems([...pathErrors, "invalid_parameter"]) },
};

export const ackOperation: Operation = {
  operationId: "ackMessages",
  tags: ["consumers"],
  summary: "Acknowledge messages",
  description: "`sequence` acknowledges everything through it; `sequences`, on `explicit` consumers, just these.",
  parameters: consumerPath,
  requestBody: body(
    {
      oneOf: [map({ sequence: integer(0, sequenceMax) }, ["sequence"]), map({ sequences }, ["sequences"])],
    },
    true,
    { sequence: 1 },
  ),
  responses: {
    "200": structured("Where it stands now; `moved` is false when it went nowhere.", {
      type: "object",
      required: ["acked_through", "moved"],
      properties: { acked_through: integer(0, sequenceMax), moved: { type: "boolean" } },
    }),
    ...problems([...bodyErrors, "consumer_not_found", "sequence_out_of_range", "wrong_ack_mode"]),
  },
};

export const nackOperation: Operation = {
  operationId: "nackMessages",
  tags: ["consumers"],
  summary: "Give leased messages back",
  parameters: consumerPath,
  requestBody: body(
    map(
      {
        sequences,
        delay_ms: {
          ...integer(0, ackWaitMsMax),
          default: 0,
          description: "When they may come again, in milliseconds.",
        },
        error: {
          type: "string",
          maxLength: nackErrorBytesMax,
          description: `Why, for the header of a dead letter; ${nackErrorBytesMax} bytes of UTF-8 at most.`,
        },
      },
      ["sequences"],
    ),
    true,
    { sequences: [1] },
  ),
  responses: {
    "200": structured("How many will come again.", {
      type: "object",
      required: ["redeliver"],
      properties: { redeliver: integer(0, sequenceMax) },
    }),
    ...problems([...bodyErrors, "consumer_not_found", "sequence_out_of_range", "wrong_ack_mode"]),
  },
};

export const redriveOperation: Operation = {
  operationId: "redriveMessages",
  tags: ["consumers"],
  summary: "Send dead letters of a consumer back to its subject",
  description: "The oldest first, without the headers of dead letters. Ends after a minute at the latest.",
  parameters: consumerPath,
  requestBody: body(
    map({
      limit: { ...integer(1, redriveMax), default: redriveDefault },
      rate: {
        type: "number",
        minimum: 0,
        exclusiveMinimum: true,
        description: "Messages a second; without it all go at once.",
      },
    }),
    false,
    { limit: 10 },
  ),
  responses: {
    "200": structured("How many went back; `more` says that there are more.", {
      type: "object",
      required: ["redriven", "more"],
      properties: { redriven: integer(0, sequenceMax), more: { type: "boolean" } },
    }),
    ...problems([...bodyErrors, "consumer_not_found", "no_dead_letters"]),
  },
};
