/**
 * What a request must be to become a WebSocket, and the problem document for one that is not.
 * @module
 */
import { checkOrigin } from "../../codec/origin.ts";
import { problemBody, problemContentType } from "../../codec/problem.ts";
import { StreamError } from "../../core/errors.ts";

/** Known subprotocols. */
export const subprotocols = ["mts.msgpack.v1", "mts.json.v1"] as const;

/** Name of a subprotocol. */
export type Subprotocol = (typeof subprotocols)[number];

const isKnown = (name: string): name is Subprotocol => (subprotocols as readonly string[]).includes(name);

/** The subprotocols that a client offered, in its order of preference. */
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

/** @throws StreamError `method_not_allowed`, `upgrade_required`, `origin_not_allowed`, `unknown_parameter`, `unsupported_subprotocol` */
export const checkUpgrade = (request: Request, allowedOrigins: readonly string[]): Accepted => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new StreamError("method_not_allowed", "This path has GET only.");
  }
  const foreign = checkOrigin(request, allowedOrigins);
  if (foreign !== undefined) throw foreign;
  const [parameter] = new URL(request.url).searchParams.keys();
  if (parameter !== undefined) {
    throw new StreamError("unknown_parameter", "This path has no query parameters.", { parameter });
  }
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

const extraHeaders = (error: StreamError): Record<string, string> => {
  if (error.code === "upgrade_required") {
    return { upgrade: "websocket", connection: "upgrade", "sec-websocket-version": "13" };
  }
  if (error.code === "method_not_allowed") return { allow: "GET, HEAD" };
  return error.status === 503 ? { "retry-after": "1" } : {};
};

/** The answer to a request that does not become a WebSocket. */
export const refusal = (error: StreamError): Response =>
  new Response(JSON.stringify(problemBody(error)), {
    status: error.status,
    headers: { "content-type": problemContentType, "cache-control": "no-store", ...extraHeaders(error) },
  });
