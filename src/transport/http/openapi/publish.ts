/**
 * How the publishing paths appear in the OpenAPI document.
 * @module
 */
import { ackedWaitMsDefault, ackedWaitMsMax } from "../../../codec/deliver.ts";
import { messageIdBytesMax, sequenceMax } from "../../../core/limits.ts";
import { pointerMediaType } from "../../../core/pointer.ts";
import { mediaTypes } from "../accept.ts";
import {
  header,
  inHeader,
  inQuery,
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
  ...structured(description, ref("AwaitedReceipt")),
  headers: { Location: header("Where the message is.", { type: "string", format: "uri-reference" }) },
  links: {
    getMessage: {
      operationId: "getMessage",
      description: "The message itself.",
      parameters: { subject: "$response.body#/subject", sequence: "$response.body#/sequence" },
    },
  },
});

/** Digits that keep a duration within its bound: a hundred years, and one. */
const ttlPattern = "^[1-9](?:[0-9]{0,11}ms|[0-9]{0,8}s|[0-9]{0,6}m|[0-9]{0,4}h|[0-9]{0,3}d|[0-9]{0,2}w)$";
const delayPattern = "^(?:[0-9]{1,10}ms|[0-9]{1,7}s|[0-9]{1,5}m|[0-9]{1,3}h|[0-9]{1,2}d|[0-9]w)$";

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
    "`content-type`, Content-Encoding the header `content-encoding`; every `X-Meta-NAME` (UTF-8) becomes the header " +
    "`name`. X-Meta-Content-Type and X-Meta-Content-Encoding are refused. `Delay` and `Deliver-At` exclude each " +
    "other, Expected-Last-Sequence and `wait`. With Content-Type `application/vnd.s3-pointer+json` the body is the " +
    "pointer to an upload of this subject, whose bytes become the body.",
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
    inHeader("Message-TTL", "The message is gone so long after its timestamp: a duration, or whole seconds.", {
      type: "string",
      anyOf: [{ pattern: "^[1-9][0-9]{0,8}$" }, { pattern: ttlPattern }],
    }),
    inHeader("Delay", "Publish it later: a duration, or whole seconds.", {
      type: "string",
      anyOf: [{ pattern: "^[0-9]{1,7}$" }, { pattern: delayPattern }],
    }),
    inHeader("Deliver-At", "Publish it then: an RFC 3339 time, or Unix milliseconds. What is past is now.", {
      type: "string",
      anyOf: [
        { type: "string", format: "date-time" },
        { type: "string", pattern: "^[0-9]{1,16}$" },
      ],
    }),
    inQuery(
      "wait",
      "Wait until the message is acknowledged: by as many as release it (`acked`), or by N consumers (`acked:N`).",
      { type: "string", pattern: "^acked(?::(?:[1-9][0-9]{0,5}|1000000))?$" },
    ),
    inQuery("wait_ms", "How long to wait for acknowledgements, in milliseconds.", {
      ...integer(0, ackedWaitMsMax),
      default: ackedWaitMsDefault,
    }),
  ],
  requestBody: {
    required: false,
    description:
      "Any bytes under any content type: the first two stand for all, nothing is read into them. No body is an " +
      "empty message.",
    content: {
      "text/plain": { schema: { type: "string" }, example: "hello" },
      "application/octet-stream": { schema: { type: "string", format: "binary" } },
      [pointerMediaType]: { schema: ref("PublishedPointer") },
    },
  },
  responses: {
    "202": structured("Stored, to be published later.", ref("ScheduledReceipt")),
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
      "malformed_body",
      "invalid_pointer",
      "upload_not_found",
      "upload_mismatch",
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
