/**
 * Errors as RFC 9457 problem documents.
 * @module
 */
import { errorCodes, type StreamError } from "../core/errors.ts";
import type { View } from "./view.ts";

/** Media type of a problem document. */
export const problemContentType = "application/problem+json";

/**
 * The body of a problem document. `type` names the code, as a URN because it is not meant to be fetched; no cause and
 * no stack is in it.
 */
export const problemBody = (error: StreamError): View => ({
  ...error.fields,
  type: `urn:minitoolstream:error:${error.code}`,
  title: errorCodes[error.code].title,
  status: error.status,
  detail: error.message,
  code: error.code,
  retryable: error.retryable,
});
