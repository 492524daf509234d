/**
 * The named schemas of the OpenAPI document: what answers and bodies look like, field for field.
 * @module
 */

import { errorCodes } from "../../../core/errors.ts";
import { batchMessagesMax, delayMsMax, messageIdBytesMax, sequenceMax, ttlMsMax } from "../../../core/limits.ts";
import { pointerFormat } from "../../../core/pointer.ts";
import { actorSchemas } from "./actors.ts";
import { eventSchemas } from "./events.ts";
import { consumerNameSchema, filterSchema, subjectSchema } from "./names.ts";
import { integer, ref, type Schema } from "./operation.ts";
import { lengthSchema, sha256Schema, uploadKeySchema } from "./uploads.ts";

const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };
const sequence = integer(1, sequenceMax);
const sequenceOrZero = integer(0, sequenceMax);
const nextSequence = integer(1, sequenceMax + 1);
const count = integer(0, sequenceMax);
const unixMs = integer(0, sequenceMax, { description: "Unix milliseconds." });
const code: Schema = { type: "string", enum: Object.keys(errorCodes) };

const object = (properties: Readonly<Record<string, Schema>>, optional: readonly string[] = [], more: Schema = {}) => ({
  type: "object",
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  properties,
  ...more,
});
const list = (items: Schema, more: Schema = {}): Schema => ({ type: "array", items, ...more });

const orNull = (schema: Schema): Schema => ({ ...schema, nullable: true });

const headers: Schema = {
  type: "object",
  description: "Headers as they were given; from HTTP the names come lower-case.",
  additionalProperties: { type: "string" },
};

const sha256: Schema = { type: "string", pattern: "^[0-9a-f]{64}$", description: "SHA-256 of the body in hex." };
const signedHeaders: Schema = {
  type: "object",
  description: "To be sent with the request: they are part of the signature.",
  additionalProperties: { type: "string" },
};
const format: Schema = { type: "string", enum: [pointerFormat] };
const signedUrl: Schema = {
  type: "string",
  format: "uri-reference",
  description: "A path alone is this server's own.",
};

const messageFields = {
  subject: text,
  sequence,
  timestamp: unixMs,
  headers,
  size: { ...count, description: "Bytes of the body." },
  sha256,
  expires_at: { ...unixMs, description: "Unix milliseconds until which it is there; left out without a time to live." },
  data: { type: "string", description: "The body when it is UTF-8 text; in msgpack always, as bin." },
  data_base64: { type: "string", format: "byte", description: "The body otherwise." },
  pointer: ref("Pointer"),
} satisfies Record<string, Schema>;
const messageOptional = ["expires_at", "data", "data_base64", "pointer"];
const deliveries = integer(1, sequenceMax, { description: "How often it was delivered under this name." });

const errorFields = { code, detail: text, retryable: flag } satisfies Record<string, Schema>;

const pageOf = (message: string) =>
  object(
    {
      subject: text,
      epoch: { type: "string", description: "Id of the metadata store; with another epoch sequences mean nothing." },
      messages: list(ref(message)),
      first_sequence: nextSequence,
      last_sequence: sequenceOrZero,
      next_sequence: { ...nextSequence, description: "Go on from here." },
      errors: {
        ...list(ref("DamagedMessage")),
        description: "Stored messages of the page whose bodies are damaged; left out when there are none.",
      },
    },
    ["errors"],
  );

const receipt = object({ subject: text, sequence, timestamp: unixMs, duplicate: flag });
const acknowledged = {
  acked: { ...orNull(count), description: "How many have acknowledged it; null when that could not be found out." },
  recipients_total: { ...orNull(count), description: "How many acknowledgements release it." },
  acknowledged: { ...flag, description: "Whether enough acknowledged it in time." },
};
const scheduled = object({
  subject: text,
  scheduled_id: { type: "string", description: "Opaque." },
  deliver_at: { ...unixMs, description: "Unix milliseconds at which it is published." },
  duplicate: flag,
});

const draft = (body: Readonly<Record<string, Schema>>): Schema =>
  object(
    {
      subject: ref("Subject"),
      ...body,
      headers: { type: "object", additionalProperties: { type: "string" } },
      message_id: { type: "string", minLength: 1, maxLength: messageIdBytesMax },
      expected_last_sequence: sequenceOrZero,
      ttl_ms: integer(1, ttlMsMax, { description: "It is gone so many milliseconds after its timestamp." }),
      delay_ms: integer(0, delayMsMax, { description: "Publish it later; not with `expected_last_sequence`." }),
      deliver_at: {
        description: "Publish it then: Unix milliseconds or an RFC 3339 time; not with `delay_ms`.",
        anyOf: [integer(0, sequenceMax), { type: "string" }],
      },
    },
    ["headers", "message_id", "expected_last_sequence", "ttl_ms", "delay_ms", "deliver_at"],
    { additionalProperties: false },
  );

const subjectFields = {
  subject: text,
  first_sequence: nextSequence,
  last_sequence: sequenceOrZero,
  messages: count,
  bytes: count,
} satisfies Record<string, Schema>;

/** What is wrong with one message of a batch is its result, so a batch may hold anything. */
const draftOrAnything: Schema = {
  anyOf: [ref("Draft"), { description: "Anything else is not published: its result is an error." }],
};

/** All named schemas. */
export const schemas = {
  Subject: subjectSchema,
  SubjectFilter: filterSchema,
  ConsumerName: consumerNameSchema,
  Problem: object(
    { type: text, title: text, status: { type: "integer", minimum: 400, maximum: 599 }, ...errorFields },
    [],
    { description: "RFC 9457. `code` is stable, text is for people. Some codes have further fields." },
  ),
  ErrorResult: object(errorFields, [], { description: "Some codes have further fields." }),
  DamagedMessage: object({ sequence, ...errorFields }),
  Receipt: receipt,
  AwaitedReceipt: {
    description: "With `wait`, also what became of the wait.",
    allOf: [ref("Receipt"), { type: "object", properties: acknowledged }],
  },
  ScheduledReceipt: scheduled,
  Receipts: object({
    subject: text,
    sequence,
    released: { ...flag, description: "It is not stored any more." },
    recipients_total: { ...count, description: "How many acknowledgements release it." },
    acked: { ...count, description: "How many have acknowledged it." },
    recipients: list(
      object({ name: text, status: { type: "string", enum: ["acked", "pending", "absent", "timed_out", "exempt"] } }),
    ),
  }),
  Pointer: object({
    format,
    bucket: text,
    key: text,
    offset: { ...count, description: "First byte in the object." },
    length: { ...count, description: "Bytes in the object." },
    sha256: { ...sha256, description: "SHA-256 in hex of the body as it was published." },
    size: { ...count, description: "Bytes of the body as it was published." },
    content_encoding: orNull({
      type: "string",
      description: "Codings of the bytes in the object, in the order in which they were applied.",
    }),
    url: signedUrl,
    headers: signedHeaders,
    expires_at: { ...unixMs, description: "Unix milliseconds until which the address works." },
  }),
  PublishedPointer: object(
    {
      format,
      key: uploadKeySchema,
      length: lengthSchema,
      sha256: sha256Schema,
      bucket: text,
      content_type: orNull({ type: "string", minLength: 1, maxLength: 1024, pattern: "^[ -~]+$" }),
      content_encoding: orNull({ type: "string", minLength: 1, maxLength: 1024, pattern: "^[ -~]+$" }),
    },
    ["bucket", "content_type", "content_encoding"],
    { description: "An upload in place of a body.", additionalProperties: false },
  ),
  Upload: object({
    format,
    bucket: text,
    key: text,
    length: count,
    sha256,
    method: { type: "string", enum: ["PUT"] },
    multipart: { ...flag, description: "Whether the upload is completed when all parts are there." },
    requests: list(object({ url: signedUrl, headers: signedHeaders, offset: count, length: count })),
    expires_at: unixMs,
  }),
  BatchResult: {
    oneOf: [
      ref("Receipt"),
      ref("ScheduledReceipt"),
      object({ error: ref("ErrorResult") }, [], { additionalProperties: false }),
    ],
  },
  BatchResults: object({ results: list(ref("BatchResult"), { maxItems: batchMessagesMax }) }),
  Draft: { description: "A message to publish.", oneOf: [ref("DataDraft"), ref("Base64Draft")] },
  DataDraft: draft({ data: { type: "string", description: "The body as text; in msgpack as bin or str." } }),
  Base64Draft: draft({
    data_base64: { type: "string", format: "byte", description: "The body as base64 with padding." },
  }),
  Batch: object({ messages: list(draftOrAnything, { maxItems: batchMessagesMax }) }, [], {
    additionalProperties: false,
  }),
  Message: object(messageFields, messageOptional),
  DeliveredMessage: object({ ...messageFields, deliveries }, messageOptional),
  Page: pageOf("Message"),
  DeliveredPage: pageOf("DeliveredMessage"),
  SubjectSummary: object(subjectFields),
  SubjectList: object({ subjects: list(ref("SubjectSummary")), has_more: flag }),
  SubjectDetails: object({
    epoch: text,
    ...subjectFields,
    created_at: orNull(unixMs),
    last_published_at: orNull(unixMs),
    consumers: count,
  }),
  Consumer: object(
    {
      name: text,
      subject: text,
      ack: { type: "string", enum: ["all", "explicit"] },
      acked_through: sequenceOrZero,
      delivered_through: sequenceOrZero,
      pending: { ...count, description: "Stored and not settled, leased included." },
      ack_pending: { ...count, description: "Leased or nacked." },
      redelivered: count,
      created_at: unixMs,
      dead_letter: {
        type: "string",
        description: "Where messages go that were given up; left out when there is none.",
      },
    },
    ["dead_letter"],
  ),
  ConsumerList: object({ consumers: list(ref("Consumer")) }),
  Policy: object({
    filter: text,
    max_age: orNull({ ...text, description: "A duration such as `24h`." }),
    max_messages: orNull(integer(1, sequenceMax)),
    max_bytes: orNull(integer(1, sequenceMax)),
    discard: { type: "string", enum: ["old", "new"] },
    retain: { type: "string", enum: ["limits", "acked"] },
    recipients: {
      description: "Names of consumers, or how many of any; null with `limits`.",
      anyOf: [orNull(list(text)), integer(1, sequenceMax)],
    },
    recipient_timeout: orNull({ ...text, description: "A duration such as `7d`." }),
  }),
  PolicyList: object({ policies: list(ref("Policy")) }),
  ...eventSchemas,
  ...actorSchemas,
  Readiness: object({
    ready: flag,
    dependencies: {
      type: "object",
      additionalProperties: object({ ready: flag, detail: text }, ["detail"]),
    },
  }),
} as const satisfies Record<string, Schema>;
