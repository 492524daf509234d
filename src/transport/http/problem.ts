/**
 * Errors as HTTP responses.
 * @module
 */
import { challengeOf } from "../../codec/bearer.ts";
import { problemBody, problemContentType } from "../../codec/problem.ts";
import type { StreamError } from "../../core/errors.ts";

/** The response of an error; `headers` are those that belong to its status (`Allow`, `Content-Range`). */
export const problemResponse = (error: StreamError, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(problemBody(error)), {
    status: error.status,
    headers: {
      "content-type": problemContentType,
      "cache-control": "no-store",
      ...(error.status === 503 || error.status === 429 ? { "retry-after": "1" } : {}),
      // What is left of the body would still come.
      ...(error.status === 408 ? { connection: "close" } : {}),
      ...challenge(error),
      ...headers,
    },
  });

const challenge = (error: StreamError): Readonly<Record<string, string>> => {
  const value = error.status === 401 || error.status === 403 ? challengeOf(error) : undefined;
  return value === undefined ? {} : { "www-authenticate": value };
};
