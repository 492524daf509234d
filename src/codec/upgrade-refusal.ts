/**
 * The answer to a request that does not become a WebSocket, the same on every path that takes them.
 * @module
 */
import type { StreamError } from "../core/errors.ts";
import { challengeOf } from "./bearer.ts";
import { corsHeaders } from "./origin.ts";
import { problemBody, problemContentType } from "./problem.ts";

/**
 * A problem document. Pages of allowed origins may read it: a failed upgrade tells a browser nothing, so its client asks
 * again with a plain request.
 */
export const upgradeRefusal = (request: Request, error: StreamError): Response =>
  new Response(JSON.stringify(problemBody(error)), {
    status: error.status,
    headers: {
      "content-type": problemContentType,
      "cache-control": "no-store",
      ...extraHeaders(error),
      ...(error.code === "origin_not_allowed" ? {} : corsHeaders(request)),
    },
  });

const extraHeaders = (error: StreamError): Record<string, string> => {
  if (error.code === "upgrade_required") {
    return { upgrade: "websocket", connection: "upgrade", "sec-websocket-version": "13" };
  }
  if (error.code === "method_not_allowed") return { allow: "GET, HEAD" };
  const challenge = challengeOf(error);
  if (challenge !== undefined) return { "www-authenticate": challenge };
  return error.status === 503 || error.status === 429 ? { "retry-after": "1" } : {};
};
