/**
 * How the Event Hub appears in the OpenAPI document.
 * @module
 */
import { cloudBatchType, cloudEventType } from "../../../codec/cloud-event.ts";
import { userIdCharsMax } from "../../../codec/event.ts";
import { amountCentsMax, eventTypes } from "../../../core/event.ts";
import { batchMessagesMax, messageIdBytesMax, sequenceMax } from "../../../core/limits.ts";
import { mediaTypes } from "../accept.ts";
import {
  type Content,
  header,
  inHeader,
  inQuery,
  integer,
  type Operation,
  pathParameterOf,
  problems,
  type ResponseObject,
  ref,
  type Schema,
  storeErrors,
  structured,
} from "./operation.ts";

const type: Schema = { type: "string", enum: eventTypes };
const amount = { minimum: 0, maximum: amountCentsMax / 100 };
const instant: Schema = { type: "string", format: "date-time" };
const decimal: Schema = { type: "string", pattern: "^[0-9]+[.][0-9]{2}$" };
const count = integer(0, sequenceMax);

/** A day that every year has, and a time; 29 February, and times without seconds, are read too. */
const timestampPattern =
  "^(?:19[89][0-9]|2[01][0-9][0-9]|22[0-7][0-9])-" +
  "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)" +
  "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])?$";

const userId: Schema = {
  type: "string",
  minLength: 1,
  maxLength: userIdCharsMax,
  pattern: String.raw`^[^\u0000-\u001f\u007f-\u009f]+$`,
};

const idempotencyKey: Schema = { type: "string", minLength: 1, maxLength: messageIdBytesMax };

const eventFields = {
  user_id: { ...userId, description: "Whose event it is; no control characters." },
  event_type: type,
  amount: {
    description: "Exact to the cent: a number, or its digits, with at most two decimals.",
    anyOf: [
      { type: "number", multipleOf: 0.01, ...amount },
      { type: "string", pattern: "^[0-9]{1,13}(?:[.][0-9]{1,2})?$" },
    ],
  },
  timestamp: {
    type: "string",
    description: "When it happened, in ISO 8601, from 1970 to 2286; without a zone it is UTC.",
    pattern: timestampPattern,
  },
} satisfies Record<string, Schema>;

const shown = {
  id: { type: "string", description: "`{event_type}-{sequence}`." },
  user_id: { type: "string" },
  event_type: type,
  amount: { type: "number", ...amount },
  timestamp: { type: "string", description: "As it was sent." },
  subject: { type: "string", description: "Where its message is: `events.{event_type}`." },
  sequence: integer(1, sequenceMax),
  received_at: { ...instant, description: "When it was committed." },
} satisfies Record<string, Schema>;

const totals = {
  event_count: count,
  total_amount: { type: "number", description: "The number nearest to `total_amount_exact`." },
  total_amount_exact: decimal,
  late_count: { ...count, description: "Events that came too late to be counted." },
  late_amount: { type: "number" },
  late_amount_exact: decimal,
} satisfies Record<string, Schema>;

const object = (
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
  more: Schema = {},
): Schema => ({
  type: "object",
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  properties,
  ...more,
});

const fault = object({ field: { type: "string" }, detail: { type: "string" } });

const cloudFields = {
  specversion: { type: "string", enum: ["1.0"] },
  id: { type: "string", minLength: 1 },
  source: { type: "string", minLength: 1 },
  type: { type: "string", minLength: 1, description: "Its last token may stand for `event_type`." },
  time: { ...instant, description: "May stand for `timestamp`." },
  subject: { type: "string" },
  datacontenttype: { type: "string", enum: ["application/json"] },
} satisfies Record<string, Schema>;

const cloudOptional = ["time", "subject", "datacontenttype"];

/** The named schemas of events. */
export const eventSchemas = {
  EventDraft: object({ ...eventFields, idempotency_key: idempotencyKey }, ["idempotency_key"], {
    additionalProperties: false,
  }),
  Event: object(shown),
  EventReceipt: object({ ...shown, duplicate: { type: "boolean" } }),
  EventResult: {
    oneOf: [ref("EventReceipt"), object({ error: ref("EventError") }, [], { additionalProperties: false })],
  },
  EventError: {
    allOf: [
      ref("ErrorResult"),
      { type: "object", properties: { errors: { type: "array", items: fault, description: "Each wrong field." } } },
    ],
  },
  EventResults: object({ results: { type: "array", items: ref("EventResult"), maxItems: batchMessagesMax } }),
  EventPage: object({
    events: { type: "array", items: ref("Event") },
    next_cursor: { type: "string", nullable: true, description: "`cursor` of the next page." },
    has_more: { type: "boolean", description: "A page may be short, or empty, and have more." },
  }),
  CloudEventDraft: object(
    { ...cloudFields, data: object(eventFields, [], { additionalProperties: false }) },
    cloudOptional,
    // Further attributes are those of somebody's extension.
    { additionalProperties: false },
  ),
  CloudEvent: object({ ...cloudFields, data: object({ ...eventFields, amount: { type: "number" } }) }, cloudOptional),
  EventMetrics: object({
    time_window: { type: "string", description: "ISO 8601 interval: whole minutes, the end is not in it." },
    ...totals,
    by_type: { type: "array", items: object({ event_type: type, ...totals }) },
    windows: {
      type: "array",
      description: "By minute and type; what has no events is left out.",
      items: object({ start: instant, event_type: type, ...totals }),
    },
  }),
} as const satisfies Record<string, Schema>;

const example = { user_id: "user123", event_type: "purchase", amount: 150.75, timestamp: "2024-01-15T10:30:00Z" };
const cloudExample = {
  specversion: "1.0",
  id: "order-1",
  source: "/shop",
  type: "event.purchase",
  time: "2024-01-15T10:30:00Z",
  data: example,
};

/** What is wrong with one event of a batch is its result, so a batch may hold anything beside one that is right. */
const arrayOf = (name: string): Schema => ({
  type: "array",
  minItems: 1,
  maxItems: batchMessagesMax,
  items: {
    anyOf: [ref(name), { description: "Anything else is not stored: its result is an error." }],
  },
});

const receipt = (description: string, more: readonly Schema[] = []): ResponseObject => ({
  ...structured(description, more.length === 0 ? ref("EventReceipt") : { anyOf: [ref("EventReceipt"), ...more] }),
  headers: { Location: header("Where the event is; not for a batch.", { type: "string", format: "uri-reference" }) },
  links: {
    getEvent: {
      operationId: "getEvent",
      description: "The event itself.",
      parameters: { id: "$response.body#/id" },
    },
  },
});

export const sendEventsOperation: Operation = {
  operationId: "sendEvents",
  tags: ["events"],
  summary: "Send one event, or an array of them",
  description:
    "An event becomes a message on `events.{event_type}`. Every wrong field is named in `errors`. In an array each " +
    "event has its own result, and is stored when it is right; when none is, the answer is 422. CloudEvents 1.0 come " +
    "in structured mode, as a batch, or in binary mode (headers `ce-specversion`, `ce-id`, `ce-source`, `ce-type`, " +
    "…, the event as the body); their `source` and `id` are the idempotency key.",
  parameters: [
    inHeader(
      "Idempotency-Key",
      "Within the dedupe window, the same key on the same type is the same event. Not for arrays, whose events have " +
        "`idempotency_key`.",
      idempotencyKey,
    ),
  ],
  requestBody: {
    required: true,
    content: {
      [mediaTypes.json[0]]: { schema: { anyOf: [ref("EventDraft"), arrayOf("EventDraft")] }, example },
      [cloudEventType]: { schema: ref("CloudEventDraft"), example: cloudExample },
      [cloudBatchType]: { schema: arrayOf("CloudEventDraft"), example: [cloudExample] },
    },
  },
  responses: {
    "201": receipt("Stored: the event is on stable storage."),
    "200": receipt("A duplicate, with the id of the first; or the results of a batch.", [ref("EventResults")]),
    ...problems([
      ...storeErrors,
      "malformed_body",
      "body_too_large",
      "body_too_slow",
      "unsupported_media_type",
      "not_acceptable",
      "invalid_event",
      "invalid_message_id",
      "invalid_header",
      "too_many_messages",
      "subject_full",
      "storage_full",
      "outcome_unknown",
    ]),
  },
};

const ageOrTime: Schema = {
  type: "string",
  anyOf: [
    { type: "string", pattern: "^(?:[0-9]{1,15}ms|[0-9]{1,12}s|[0-9]{1,11}m|[0-9]{1,9}h|[0-9]{1,8}d|[0-9]{1,7}w)$" },
    instant,
  ],
};

const typeInQuery = inQuery("event_type", "Only events of this type.", type);

const pageContent: Content = {
  ...structured("", ref("EventPage")).content,
  [cloudBatchType]: { schema: { type: "array", items: ref("CloudEvent") } },
  [mediaTypes.events[0]]: { schema: { type: "string", description: "Server-sent events." } },
};

export const listEventsOperation: Operation = {
  operationId: "listEvents",
  tags: ["events"],
  summary: "Stored events, newest first, or live ones",
  description:
    "Ordered by the time of the commit over all types. `Accept: text/event-stream` is a live tail: first `event: open` " +
    "with `{epoch, cursor}`, then one event each (`data` = the event as JSON, `id` = a cursor, for `Last-Event-ID`); " +
    "there `limit` ends the stream, `since` and `order` play no part. Where tokens are asked for, they must grant every " +
    "type that is asked for.",
  parameters: [
    inQuery("limit", "Events at most.", { ...integer(1, 1000), default: 100 }),
    inQuery("since", "Only what was committed then or later: an RFC 3339 time, or an age such as `10m`.", ageOrTime),
    typeInQuery,
    inQuery("user_id", "Only events of this user; a page looks at some ten thousand events at most.", userId),
    inQuery("order", "By the time of the commit.", {
      type: "string",
      enum: ["newest", "oldest"],
      default: "newest",
    }),
    inQuery("cursor", "`next_cursor` of the page before, with the same order and event_type.", { type: "string" }),
    inHeader("Last-Event-ID", "Live tails only: goes on behind this event, whatever `cursor` says.", {
      type: "string",
    }),
  ],
  responses: {
    "200": {
      description: "A page. With `oldest` there is always a `next_cursor`, for what comes later.",
      headers: {
        "X-Next-Cursor": header("In a batch of CloudEvents only: `next_cursor`."),
        "X-Has-More": header("In a batch of CloudEvents only: `has_more`."),
      },
      content: pageContent,
    },
    ...problems([...storeErrors, "invalid_parameter", "not_acceptable"]),
  },
};

export const eventMetricsOperation: Operation = {
  operationId: "getEventMetrics",
  tags: ["events"],
  summary: "Sums of events by the minute at which they happened",
  description: "What the actor `metrics` has counted, up to the minute that runs, which counts as one.",
  parameters: [inQuery("minutes", "How many.", { ...integer(1, 7 * 24 * 60), default: 1 }), typeInQuery],
  responses: {
    "200": structured("The sums.", ref("EventMetrics")),
    ...problems([...storeErrors, "actor_not_found", "invalid_parameter", "not_acceptable"]),
  },
};

export const getEventOperation: Operation = {
  operationId: "getEvent",
  tags: ["events"],
  summary: "One event",
  description:
    "Its CloudEvents attributes stand in `ce-…` headers (binary mode); with Accept `application/cloudevents+json` " +
    "the event comes in structured mode.",
  parameters: [
    {
      ...pathParameterOf("id", "The id of the event.", {
        type: "string",
        pattern: `^(?:${eventTypes.join("|")})-[1-9][0-9]{0,14}$`,
      }),
      example: "purchase-1",
    },
  ],
  responses: {
    "200": {
      description: "The event.",
      headers: {
        "Ce-Id": header("Its id as a CloudEvent."),
        "Ce-Source": header("Where it came from, `/events` when nobody said."),
        "Ce-Type": header("Its type as a CloudEvent."),
      },
      content: { ...structured("", ref("Event")).content, [cloudEventType]: { schema: ref("CloudEvent") } },
    },
    ...problems([...storeErrors, "event_not_found", "message_expired", "data_loss", "not_acceptable"]),
  },
};
