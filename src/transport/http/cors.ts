/**
 * CORS (Fetch standard, 3.2) for pages of the allowed origins; the origin itself was checked before.
 * @module
 */
import { crossOrigin } from "../../codec/origin.ts";
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
      // Any X-Meta-NAME may be sent, so the names cannot be listed beforehand.
      ...(wanted === null ? {} : { "access-control-allow-headers": wanted }),
    },
  });
};

/** Lets the page of another, allowed origin see the answer; others get it as it is. */
export const withCors = (request: Request, answer: Response | Promise<Response>): Response | Promise<Response> => {
  const origin = crossOrigin(request);
  if (origin === undefined) return answer;
  return answer instanceof Promise ? answer.then((response) => expose(response, origin)) : expose(answer, origin);
};

const expose = (response: Response, origin: string): Response => {
  response.headers.set("access-control-allow-origin", origin);
  response.headers.append("vary", "Origin");
  // `*` would not do for Authorization, but nothing here needs credentials.
  response.headers.set("access-control-expose-headers", "*");
  return response;
};
