/**
 * How uploads appear in the OpenAPI document.
 * @module
 */
import type { ErrorCode } from "../../../core/errors.ts";
import { sequenceMax } from "../../../core/limits.ts";
import {
  contentOf,
  integer,
  type Operation,
  problems,
  ref,
  type Schema,
  storeErrors,
  structured,
  subjectInPath,
} from "./operation.ts";

/** SHA-256 in hex, as publishers write it. */
export const sha256Schema: Schema = {
  type: "string",
  pattern: "^[0-9A-Fa-f]{64}$",
  description: "SHA-256 of the body in hex.",
};
/** Length of a body that is not empty. */
export const lengthSchema = integer(1, sequenceMax, { description: "Bytes of the body." });
/** The key of an upload. */
export const uploadKeySchema: Schema = {
  type: "string",
  minLength: 1,
  maxLength: 1024,
  pattern: "^[!-~]+$",
  description: "Names the upload; only this subject takes it.",
};

const errors: readonly ErrorCode[] = [
  ...storeErrors,
  "invalid_subject",
  "not_acceptable",
  "malformed_body",
  "body_too_large",
  "body_too_slow",
  "unsupported_media_type",
  "unknown_field",
  "invalid_parameter",
];

const exampleSha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

const body = (
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
  example: unknown,
): NonNullable<Operation["requestBody"]> => {
  const schema = { type: "object", additionalProperties: false, required, properties };
  return { required: true, content: { ...contentOf(["json"], schema, example), ...contentOf(["msgpack"], schema) } };
};

export const openUploadOperation: Operation = {
  operationId: "openUpload",
  tags: ["publish"],
  summary: "Open an upload for a body that the publisher puts into the store by itself",
  description:
    "PUT the bytes to the addresses of the answer, each with its headers, then publish the pointer " +
    "(`Content-Type: application/vnd.s3-pointer+json`). What is never published is deleted after a while.",
  parameters: [subjectInPath],
  requestBody: body(
    {
      length: lengthSchema,
      sha256: sha256Schema,
      parts: {
        type: "boolean",
        default: false,
        description: "In parts, where the store has them; when all are there, complete the upload.",
      },
    },
    ["length", "sha256"],
    { length: 5, sha256: exampleSha256 },
  ),
  responses: {
    "201": structured("Where to put it.", ref("Upload")),
    ...problems(errors),
  },
};

export const completeUploadOperation: Operation = {
  operationId: "completeUpload",
  tags: ["publish"],
  summary: "Join the parts of an upload",
  description: "Again is fine. Uploads that are not `multipart` need it not.",
  parameters: [subjectInPath],
  requestBody: body({ key: uploadKeySchema, length: lengthSchema, sha256: sha256Schema }, ["key", "length", "sha256"], {
    key: "uploads/1",
    length: 5,
    sha256: exampleSha256,
  }),
  responses: {
    "200": structured("It is one object now.", {
      type: "object",
      required: ["key"],
      properties: { key: { type: "string" } },
    }),
    ...problems([...errors, "upload_not_found", "upload_mismatch"]),
  },
};
