/**
 * Errors as HTTP responses.
 * @module
 */
import { problemBody, problemContentType } from "../../codec/problem.ts";
import type { StreamError } from "../../core/errors.ts";

/** The response of an error; `headers` are those that belong to its status (`Allow`, `Content-Range`). */
export const problemResponse = (error: StreamError, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(problemBody(error)), {
    status: error.status,
    headers: {
      "content-type": problemContentType,
      "cache-control": "no-store",
      ...(error.status === 503 ? { "retry-after": "1" } : {}),
      ...headers,
    },
  });
