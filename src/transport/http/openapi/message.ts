/**
 * How single messages appear in the OpenAPI document.
 * @module
 */
import { sequenceMax } from "../../../core/limits.ts";
import { header, inHeader, integer, type Operation, problems, storeErrors, subjectInPath } from "./operation.ts";

const headers = {
  ETag: header("The SHA-256 of the body in hex, quoted."),
  "Repr-Digest": header("RFC 9530: `sha-256=:…:`."),
  "Accept-Ranges": header("`bytes`."),
  "X-Sequence": header("The sequence.", integer(1, sequenceMax)),
  "X-Timestamp": header("Unix milliseconds.", integer(0, sequenceMax)),
  "X-Content-Type-Options": header("`nosniff`."),
  "Content-Security-Policy": header("`sandbox`."),
};
const body = { "*/*": { schema: { type: "string", format: "binary" } } };

export const messageOperation: Operation = {
  operationId: "getMessage",
  tags: ["read"],
  summary: "One message: its body as it was published",
  description:
    "Content-Type is the one it was published with, or `application/octet-stream`; the other headers come as " +
    "`X-Meta-NAME`. One byte range works; several are answered with the whole body. HEAD answers the headers.",
  parameters: [
    subjectInPath,
    {
      name: "sequence",
      in: "path",
      required: true,
      description: "The sequence of the message.",
      schema: integer(0, sequenceMax),
      example: 1,
    },
    inHeader("Range", "One byte range, such as `bytes=0-499`.", { type: "string" }),
    inHeader("If-Range", "The ETag that the range belongs to.", { type: "string" }),
    inHeader("If-None-Match", "ETags that the client has.", { type: "string" }),
  ],
  responses: {
    "200": { description: "The body.", headers, content: body },
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
