/**
 * CORS (Fetch standard, 3.2) for pages of the allowed origins; the origin itself was checked before.
 * @module
 */
import { corsHeaders, crossOrigin } from "../../codec/origin.ts";
import type { Route } from "./route.ts";

const preflightSeconds = 600;

/** The answer to a preflight request, undefined when the request is none. */
export const preflightResponse = (request: Request, routes: readonly Route[]): Response | undefined => {
  if (request.method !== "OPTIONS" || request.headers.get("access-control-request-method") === null) return undefined;
  const methods = new Set(["HEAD", ...routes.map((route) => route.method)]);
  const wanted = request.headers.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": [...methods].join(", "),
      "access-control-max-age": String(preflightSeconds),
      // Any X-Meta-NAME may be sent, so the names cannot be listed beforehand; Authorization must be named, `*` would
      // not cover it.
      ...(wanted === null ? {} : { "access-control-allow-headers": wanted }),
    },
  });
};

/** Lets the page of another, allowed origin see the answer; others get it as it is. */
export const withCors = (request: Request, answer: Response | Promise<Response>): Response | Promise<Response> => {
  if (crossOrigin(request) === undefined) return answer;
  return answer instanceof Promise ? answer.then((response) => expose(response, request)) : expose(answer, request);
};

const expose = (response: Response, request: Request): Response => {
  for (const [name, value] of Object.entries(corsHeaders(request))) {
    if (name === "vary") response.headers.append(name, value);
    else response.headers.set(name, value);
  }
  return response;
};
