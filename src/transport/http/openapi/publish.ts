/**
 * How the publishing paths appear in the OpenAPI document.
 * @module
 */
import { messageIdBytesMax, sequenceMax } from "../../../core/limits.ts";
import { mediaTypes } from "../accept.ts";
import {
  header,
  inHeader,
  integer,
  type Operation,
  problems,
  type ResponseObject,
  ref,
  storeErrors,
  structured,
  subjectInPath,
} from "./operation.ts";

const publishErrors = [
  ...storeErrors,
  "subject_full",
  "storage_full",
  "not_acceptable",
  "unsupported_media_type",
] as const;

const receiptResponse = (description: string): ResponseObject => ({
  ...structured(description, ref("Receipt")),
  headers: { Location: header("Where the message is.", { type: "string", format: "uri-reference" }) },
  links: {
    getMessage: {
      operationId: "getMessage",
      description: "The message itself.",
      parameters: { subject: "$response.body#/subject", sequence: "$response.body#/sequence" },
    },
  },
});

/** What Swagger UI offers to send; two subjects, so that a listing shows more than one. */
const batchExample = {
  messages: [
    { subject: "orders.eu", data: "first" },
    { subject: "orders.us", data_base64: "/wA=", headers: { "content-type": "application/octet-stream" } },
  ],
};

export const publishOperation: Operation = {
  operationId: "publishMessage",
  tags: ["publish"],
  summary: "Publish one message",
  description:
    "The body of the request is the body of the message, byte for byte. Content-Type becomes the header " +
    "`content-type`; every `X-Meta-NAME` (UTF-8) becomes the header `name`. X-Meta-Content-Type is refused.",
  parameters: [
    subjectInPath,
    inHeader(
      "Idempotency-Key",
      "Message id: within the window, a retry with the same id answers the first sequence. 1 to 128 bytes.",
      { type: "string", minLength: 1, maxLength: messageIdBytesMax },
    ),
    inHeader(
      "Expected-Last-Sequence",
      "Publish only when the last sequence of the subject is this one.",
      integer(0, sequenceMax),
    ),
  ],
  requestBody: {
    required: false,
    description:
      "Any bytes under any content type: these two stand for all, nothing is read into them. No body is an empty message.",
    content: {
      "text/plain": { schema: { type: "string" }, example: "hello" },
      "application/octet-stream": { schema: { type: "string", format: "binary" } },
    },
  },
  responses: {
    "201": receiptResponse("Published: the message is on stable storage."),
    "200": receiptResponse("A duplicate: the message id was published before, nothing was stored."),
    ...problems([
      ...publishErrors,
      "wrong_last_sequence",
      "body_too_large",
      "body_too_slow",
      "invalid_subject",
      "invalid_header",
      "invalid_message_id",
      "invalid_parameter",
      "outcome_unknown",
    ]),
  },
};

export const publishBatchOperation: Operation = {
  operationId: "publishBatch",
  tags: ["publish"],
  summary: "Publish up to 10,000 messages",
  description:
    "Messages of one subject are committed in the order given. The batch is not atomic: each message has its own " +
    "result. What is wrong with one message is its result; what is wrong with the whole body stores nothing.",
  requestBody: {
    required: true,
    content: {
      [mediaTypes.json[0]]: { schema: ref("Batch"), example: batchExample },
      [mediaTypes.msgpack[0]]: { schema: ref("Batch") },
      [mediaTypes.ndjson[0]]: { schema: { type: "string", description: "One Draft as JSON a line." } },
    },
  },
  responses: {
    "200": structured("One result a message, in the order given.", ref("BatchResults")),
    ...problems([
      ...publishErrors,
      "malformed_body",
      "body_too_large",
      "body_too_slow",
      "unknown_field",
      "invalid_parameter",
      "too_many_messages",
    ]),
  },
};
