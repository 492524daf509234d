/**
 * What a request must be to become a WebSocket.
 * @module
 */
import { bearerToken, tokenInAddress } from "../../codec/bearer.ts";
import { checkOrigin } from "../../codec/origin.ts";
import { StreamError } from "../../core/errors.ts";

/** Known subprotocols. */
export const subprotocols = ["mts.msgpack.v1", "mts.json.v1"] as const;

/** Name of a subprotocol. */
export type Subprotocol = (typeof subprotocols)[number];

const isKnown = (name: string): name is Subprotocol => (subprotocols as readonly string[]).includes(name);

/** In front of a token among the subprotocols: the one place where browsers can put it. */
const tokenPrefix = "mts.token.";

/** What a client offered as subprotocols, in its order of preference. */
const offered = (request: Request): readonly string[] =>
  (request.headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

/** How a request may be upgraded. */
export interface Accepted {
  readonly subprotocol: Subprotocol;
  /** Names the subprotocol only when the client offered it; browsers end a connection otherwise. */
  readonly headers: Readonly<Record<string, string>>;
}

const upgradeRequired = (): StreamError =>
  new StreamError("upgrade_required", "This path speaks WebSocket, version 13: send an upgrade request.");

/**
 * Checks what comes before the token.
 * @throws StreamError `origin_not_allowed` before any other, `unknown_parameter`, `method_not_allowed`
 */
export const checkRequest = (request: Request, allowedOrigins: readonly string[]): void => {
  const foreign = checkOrigin(request, allowedOrigins);
  if (foreign !== undefined) throw foreign;
  const exposed = tokenInAddress(request.url);
  if (exposed !== undefined) throw exposed;
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new StreamError("method_not_allowed", "This path has GET only.");
  }
  const [parameter] = new URL(request.url).searchParams.keys();
  if (parameter !== undefined) {
    throw new StreamError("unknown_parameter", "This path has no query parameters.", { parameter });
  }
};

/**
 * The token of an upgrade: in its `Authorization` header or among its subprotocols; undefined when there is none.
 * @throws StreamError `unauthenticated` for a header that has none, and for more than one
 */
export const upgradeToken = (request: Request): string | undefined => {
  const header = request.headers.get("authorization");
  const tokens = offered(request)
    .filter((name) => name.startsWith(tokenPrefix))
    .map((name) => name.slice(tokenPrefix.length));
  if (header !== null) tokens.push(bearerToken(header));
  if (tokens.length > 1) throw new StreamError("unauthenticated", "The upgrade has more than one token; send one.");
  return tokens[0];
};

/**
 * Checks what makes a request an upgrade. A token among the subprotocols is none: it is never chosen.
 * @throws StreamError `upgrade_required`, `unsupported_subprotocol`
 */
export const checkUpgrade = (request: Request): Accepted => {
  const wanted = request.headers.get("upgrade") ?? "";
  if (request.method !== "GET" || wanted.toLowerCase() !== "websocket") throw upgradeRequired();
  const names = offered(request);
  if (names.length === 0) return { subprotocol: "mts.msgpack.v1", headers: {} };
  const subprotocol = names.find(isKnown);
  if (subprotocol === undefined) {
    throw new StreamError("unsupported_subprotocol", `The subprotocols are ${subprotocols.join(" and ")}.`, {
      supported: [...subprotocols],
    });
  }
  return { subprotocol, headers: { "sec-websocket-protocol": subprotocol } };
};

/** Upgrades a checked request. @throws StreamError `upgrade_required` when Bun finds the handshake incomplete */
export const assertUpgraded = (upgraded: boolean): void => {
  if (!upgraded) throw upgradeRequired();
};
