/**
 * Which browsers may talk to the server: the check of `Origin` and `Host` that every HTTP and WebSocket request passes.
 * A page of another site must not reach a server on the reader's own machine, neither directly (`Origin`) nor by
 * pointing its own name at this address (DNS rebinding, which shows in `Host`).
 * @module
 */
import { StreamError } from "../core/errors.ts";

/** Names that nobody can point somewhere else: `localhost` and IP literals. */
const ownHost = /^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;

const originOf = (raw: string): URL | undefined => {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  return url?.host === "" ? undefined : url;
};

/** Whether `origin` (as sent) is one of the allowed ones; `*` lets all in. */
const listed = (origin: string, allowedOrigins: readonly string[]): boolean =>
  allowedOrigins.some(
    (allowed) =>
      allowed === "*" ||
      allowed === origin ||
      (origin !== "null" && originOf(allowed)?.origin === originOf(origin)?.origin),
  );

const hostAllowed = (host: string, allowedOrigins: readonly string[]): boolean =>
  ownHost.test(host) ||
  allowedOrigins.some((allowed) => {
    const url = allowed === "*" ? undefined : originOf(allowed);
    return allowed === "*" || (url !== undefined && originOf(`${url.protocol}//${host}`)?.host === url.host);
  });

const sameOrigin = (origin: string, host: string): boolean => {
  if (origin === `http://${host}` || origin === `https://${host}`) return true;
  const url = originOf(origin);
  return url !== undefined && /^https?:$/.test(url.protocol) && originOf(`${url.protocol}//${host}`)?.host === url.host;
};

/**
 * The origin of a request that comes from a page of another, allowed origin and therefore needs CORS headers, else
 * undefined. Call it only for requests that passed `checkOrigin`.
 */
export const crossOrigin = (request: Request): string | undefined => {
  const origin = request.headers.get("origin");
  if (origin === null) return undefined;
  return sameOrigin(origin, request.headers.get("host") ?? "") ? undefined : origin;
};

/**
 * The headers with which an answer shows itself to a page of another, allowed origin (Fetch standard, 3.2); none for
 * other requests. Call it only for requests that passed `checkOrigin`.
 */
export const corsHeaders = (request: Request): Readonly<Record<string, string>> => {
  const origin = crossOrigin(request);
  if (origin === undefined) return {};
  // `*` covers everything as long as no cookies are sent; a token in a header is none.
  return { "access-control-allow-origin": origin, vary: "Origin", "access-control-expose-headers": "*" };
};

/**
 * Checks `Origin` and `Host`. A `Host` must be `localhost`, an IP literal, or the host of an allowed origin; an
 * `Origin`, when there is one, must be the server's own or an allowed one.
 * @param allowedOrigins origins such as `https://app.example`; `*` alone lets all in
 * @returns the `origin_not_allowed` error (403), or undefined when the request may pass
 */
export const checkOrigin = (request: Request, allowedOrigins: readonly string[]): StreamError | undefined => {
  const host = request.headers.get("host") ?? "";
  if (host !== "" && !hostAllowed(host, allowedOrigins)) {
    return new StreamError(
      "origin_not_allowed",
      "This Host is not the server's own; its origin must be in MTS_ALLOWED_ORIGINS.",
      {
        host,
      },
    );
  }
  const origin = request.headers.get("origin");
  if (origin === null || sameOrigin(origin, host) || listed(origin, allowedOrigins)) return undefined;
  return new StreamError(
    "origin_not_allowed",
    "Pages of this origin may not call the server; it must be in MTS_ALLOWED_ORIGINS.",
    {
      origin,
    },
  );
};
