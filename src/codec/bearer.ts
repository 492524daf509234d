/**
 * Bearer tokens on HTTP requests (RFC 6750): where one may stand, and how a refusal asks for another. What a token
 * means is the authenticator's.
 * @module
 */
import { StreamError } from "../core/errors.ts";

const bearer = /^Bearer +(\S+)$/i;

/**
 * The token of an `Authorization` header.
 * @throws StreamError `unauthenticated` for anything but one bearer token
 */
export const bearerToken = (header: string): string => {
  const token = bearer.exec(header)?.[1];
  if (token !== undefined) return token;
  throw new StreamError("unauthenticated", "The header must be Authorization: Bearer TOKEN, with one token.");
};

/** Names under which people put tokens into addresses; none of them is a parameter of this server. */
const tokenNames: ReadonlySet<string> = new Set([
  "token",
  "access_token",
  "auth_token",
  "id_token",
  "jwt",
  "bearer",
  "authorization",
]);

const parameterName = (pair: string): string => {
  const raw = pair.split("=", 1)[0] ?? "";
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
};

/**
 * The error of an address with a token in its query, on any path and whether or not tokens are asked for: addresses
 * end up in histories, in logs and in the hands of other sites. Undefined when there is none.
 */
export const tokenInAddress = (url: string): StreamError | undefined => {
  const start = url.indexOf("?");
  if (start === -1) return undefined;
  for (const pair of url.slice(start + 1).split("&")) {
    const parameter = parameterName(pair);
    if (tokenNames.has(parameter.toLowerCase())) {
      return new StreamError(
        "unknown_parameter",
        "Addresses are logged: send a token as Authorization: Bearer, and take this one for known to others.",
        { parameter },
      );
    }
  }
  return undefined;
};

/** Where signed addresses begin; what follows is as good as a token. */
const signedPath = "/v1/bodies/";

/**
 * An address as it may be logged: the query is left out, because a token may be in it under any name, and so is what a
 * signed address is signed with.
 */
export const loggableAddress = (url: string): string => {
  const path = url.split("?", 1)[0] ?? "";
  const signed = path.indexOf(signedPath);
  return signed === -1 ? path : path.slice(0, signed + signedPath.length);
};

const realm = 'Bearer realm="minitoolstream"';

/** `WWW-Authenticate` of a request that showed no token: it says no more than that one is needed. */
export const bearerChallenge = realm;

/** `WWW-Authenticate` that belongs to an error; undefined for errors that are not about the token. */
export const challengeOf = ({ code, message }: StreamError): string | undefined => {
  // Quotes and backslashes would need escapes.
  const description = `error_description="${message.replaceAll(/[^\x20-\x7e]|["\\]/g, "'")}"`;
  if (code === "unauthenticated" || code === "token_expired") return `${realm}, error="invalid_token", ${description}`;
  return code === "permission_denied" ? `${realm}, error="insufficient_scope", ${description}` : undefined;
};
