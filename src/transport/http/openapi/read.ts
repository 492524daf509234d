/**
 * How reading appears in the OpenAPI document.
 * @module
 */
import { deliverForms } from "../../../codec/deliver.ts";
import { pageMessagesDefault, pageMessagesMax, sequenceMax, waitMsMax } from "../../../core/limits.ts";
import { mediaTypes } from "../accept.ts";
import { startPositionSchema } from "./names.ts";
import {
  contentOf,
  header,
  inHeader,
  inQuery,
  integer,
  type Operation,
  problems,
  type ResponseObject,
  ref,
  type Schema,
  storeErrors,
  subjectInPath,
} from "./operation.ts";

/** The `limit` of a page. */
export const limitInQuery = inQuery("limit", "Messages at most.", {
  ...integer(1, pageMessagesMax),
  default: pageMessagesDefault,
});

/** `deliver`, as a value. */
export const deliverSchema: Schema = { type: "string", enum: deliverForms, default: "body" };

/** `deliver` of a page, and of one message. */
export const deliverInQuery = inQuery(
  "deliver",
  "`body` as it was published, `decoded` (its `content-encoding` undone), or a `pointer` to it.",
  deliverSchema,
);

/** A page in its three forms. */
export const pageOf = (schema: "Page" | "DeliveredPage"): ResponseObject => {
  const onlyNdjson = "In `application/x-ndjson` answers only.";
  const number = integer(0, sequenceMax);
  return {
    description: "A page. A short page is not the end: go on from `next_sequence`.",
    headers: {
      "X-Epoch": header(onlyNdjson),
      "X-First-Sequence": header(onlyNdjson, number),
      "X-Last-Sequence": header(onlyNdjson, number),
      "X-Next-Sequence": header(onlyNdjson, number),
      "X-Data-Loss": header(`${onlyNdjson} Sequences of damaged messages, if any, joined by commas.`),
    },
    content: {
      ...contentOf(["json", "msgpack"], ref(schema)),
      [mediaTypes.ndjson[0]]: { schema: { type: "string", description: "One message as JSON a line." } },
    },
  };
};

const page = pageOf("Page");

export const readOperation: Operation = {
  operationId: "readMessages",
  tags: ["read"],
  summary: "Read messages, wait for them, or follow them live",
  description:
    "`Accept` chooses the form. `text/event-stream` is a live tail: first `event: open` with `{epoch, subject, " +
    "last_sequence?}`, then one event a message (`id` = sequence, `data` = the message as JSON); `event: error` tells " +
    "of a damaged message, or of the end. There `from` defaults to `new`, `limit` ends the stream, and `max_bytes` " +
    "and `wait_ms` play no part.",
  parameters: [
    subjectInPath,
    inQuery(
      "from",
      "A sequence, `first` (default), `new`, `last`, an age such as `10m` (ms s m h d w), or an RFC 3339 time.",
      startPositionSchema,
    ),
    limitInQuery,
    inQuery("max_bytes", "Bytes of bodies at most; one message always comes. 8 MiB is the server's own cap.", {
      ...integer(1, sequenceMax),
    }),
    inQuery("wait_ms", "How long to wait when there is nothing yet, in milliseconds.", {
      ...integer(0, waitMsMax),
      default: 0,
    }),
    inQuery("headers_only", "Messages without their bodies.", {
      type: "string",
      enum: ["true", "false", "1", "0"],
      default: "false",
    }),
    deliverInQuery,
    inHeader(
      "Last-Event-ID",
      "Live tails only: resumes behind this sequence, whatever `from` says.",
      integer(0, sequenceMax - 1),
    ),
  ],
  responses: {
    "200": {
      ...page,
      content: {
        ...page.content,
        [mediaTypes.events[0]]: { schema: { type: "string", description: "Server-sent events." } },
      },
    },
    ...problems([...storeErrors, "invalid_subject", "invalid_parameter", "not_acceptable"]),
  },
};
