/**
 * How signed addresses appear in the OpenAPI document.
 * @module
 */
import { header, type Operation, pathParameterOf, problems } from "./operation.ts";

const token = pathParameterOf("token", "What is signed; it comes as part of an address of a pointer or an upload.", {
  type: "string",
  minLength: 1,
  pattern: "^[A-Za-z0-9._~-]+$",
});

const bytes = { "application/octet-stream": { schema: { type: "string", format: "binary" } } };

export const signedBodyOperation: Operation = {
  operationId: "getSignedBody",
  tags: ["read"],
  summary: "The bytes that a pointer's address leads to",
  description: "For stores without addresses of their own. No token is looked at: the signature is the permission.",
  parameters: [token],
  responses: {
    "200": { description: "Just these bytes of the object.", content: bytes },
    ...problems(["permission_denied", "not_found", "overloaded", "unavailable", "shutting_down", "data_loss"]),
  },
};

export const putSignedOperation: Operation = {
  operationId: "putSignedBody",
  tags: ["publish"],
  summary: "Put the bytes of an upload",
  description: "For stores without addresses of their own. No token is looked at: the signature is the permission.",
  parameters: [token],
  requestBody: { required: true, content: bytes },
  responses: {
    "200": { description: "They are stored.", headers: { ETag: header("The SHA-256 of the bytes in hex, quoted.") } },
    ...problems([
      "permission_denied",
      "not_found",
      "upload_mismatch",
      "body_too_large",
      "body_too_slow",
      "storage_full",
      "overloaded",
      "unavailable",
      "shutting_down",
    ]),
  },
};
