/**
 * How single messages appear in the OpenAPI document.
 * @module
 */
import { sequenceMax } from "../../../core/limits.ts";
import {
  header,
  inHeader,
  integer,
  type Operation,
  problems,
  ref,
  storeErrors,
  structured,
  subjectInPath,
} from "./operation.ts";
import { deliverInQuery } from "./read.ts";

const headers = {
  ETag: header("The SHA-256 of the body in hex, quoted; another one when it is decoded."),
  "Repr-Digest": header("RFC 9530: `sha-256=:…:`; left out when it is decoded."),
  "Accept-Ranges": header("`bytes`, or `none` when it is decoded."),
  "Content-Encoding": header("What the body was published with; left out when it is decoded."),
  Vary: header("`Accept-Encoding`, for a body that was published with a Content-Encoding."),
  "X-Expires-At": header(
    "Unix milliseconds until which it is there, for a message with a time to live.",
    integer(0, sequenceMax),
  ),
  "X-Sequence": header("The sequence.", integer(1, sequenceMax)),
  "X-Timestamp": header("Unix milliseconds.", integer(0, sequenceMax)),
  "X-Content-Type-Options": header("`nosniff`."),
  "Content-Security-Policy": header("`sandbox`."),
};
const sequenceInPath = {
  name: "sequence",
  in: "path",
  required: true,
  description: "The sequence of the message.",
  schema: integer(0, sequenceMax),
  example: 1,
} as const;
const body = { "*/*": { schema: { type: "string", format: "binary" } } };
/** What is JSON may be a body or a pointer. */
const bodyOrPointer = { ...body, "application/json": { schema: { description: "The body, or a `Pointer`." } } };

export const messageOperation: Operation = {
  operationId: "getMessage",
  tags: ["read"],
  summary: "One message: its body as it was published",
  description:
    "Content-Type is the one it was published with, or `application/octet-stream`; the other headers come as " +
    "`X-Meta-NAME`. One byte range works; several are answered with the whole body. HEAD answers the headers. With " +
    "`deliver=pointer` the answer is a `Pointer` as JSON in place of the body.",
  parameters: [
    subjectInPath,
    sequenceInPath,
    deliverInQuery,
    inHeader(
      "Accept-Encoding",
      "A body that was published with a Content-Encoding comes as it is when that is accepted, else decoded.",
      { type: "string" },
    ),
    inHeader("Range", "One byte range, such as `bytes=0-499`.", { type: "string" }),
    inHeader("If-Range", "The ETag that the range belongs to.", { type: "string" }),
    inHeader("If-None-Match", "ETags that the client has.", { type: "string" }),
  ],
  responses: {
    "200": { description: "The body, or the pointer to it.", headers, content: bodyOrPointer },
    "206": {
      description: "The range of the body.",
      headers: { ...headers, "Content-Range": header("`bytes first-last/length`.") },
      content: body,
    },
    "304": { description: "The client has it.", headers: { ETag: headers.ETag } },
    ...problems([
      ...storeErrors,
      "message_not_found",
      "message_expired",
      "range_not_satisfiable",
      "invalid_subject",
      "invalid_parameter",
      "data_loss",
    ]),
  },
};

export const receiptsOperation: Operation = {
  operationId: "getReceipts",
  tags: ["read"],
  summary: "Who has acknowledged a message, and who has not",
  parameters: [subjectInPath, sequenceInPath],
  responses: {
    "200": structured("How its recipients stand to it.", ref("Receipts")),
    ...problems([...storeErrors, "message_not_found", "invalid_subject", "invalid_parameter", "not_acceptable"]),
  },
};

/** HEAD answers the same without bodies, and knows no ranges. */
export const messageHeadOperation: Operation = {
  operationId: "headMessage",
  tags: ["read"],
  summary: "One message: its headers",
  description: "What GET answers, without the body; nothing is read but metadata.",
  parameters: (messageOperation.parameters ?? []).filter(({ name }) => !/range$/i.test(name)),
  responses: Object.fromEntries(
    Object.entries(messageOperation.responses)
      .filter(([status]) => status !== "206" && status !== "416")
      .map(([status, { description, headers: sent }]) => [
        status,
        { description, ...(sent === undefined ? {} : { headers: sent }) },
      ]),
  ),
};
