/**
 * What a request must be to become a WebSocket.
 * @module
 */
import { tokenInAddress } from "../../../codec/bearer.ts";
import { checkOrigin } from "../../../codec/origin.ts";
import { StreamError } from "../../../core/errors.ts";

/** The subprotocol of graphql-ws. */
export const subprotocol = "graphql-transport-ws";

/** Whether a request asks to become a WebSocket. */
export const asksForUpgrade = (request: Request): boolean =>
  request.method === "GET" && (request.headers.get("upgrade") ?? "").toLowerCase() === "websocket";

/**
 * Checks what comes before the token.
 * @throws StreamError `origin_not_allowed` before any other, `unknown_parameter`
 */
export const checkRequest = (request: Request, allowedOrigins: readonly string[]): void => {
  const refused = checkOrigin(request, allowedOrigins) ?? tokenInAddress(request.url);
  if (refused !== undefined) throw refused;
  const [parameter] = new URL(request.url).searchParams.keys();
  if (parameter !== undefined) {
    throw new StreamError("unknown_parameter", "The upgrade has no query parameters.", { parameter });
  }
};

/** The headers with which a checked request is upgraded. @throws StreamError `unsupported_subprotocol` */
export const checkUpgrade = (request: Request): Readonly<Record<string, string>> => {
  const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
  if (offered.includes(subprotocol)) return { "sec-websocket-protocol": subprotocol };
  throw new StreamError("unsupported_subprotocol", `The subprotocol is ${subprotocol}; offer it.`, {
    supported: [subprotocol],
  });
};

/** @throws StreamError `upgrade_required` when Bun finds the handshake incomplete */
export const assertUpgraded = (upgraded: boolean): void => {
  if (!upgraded) throw new StreamError("upgrade_required", "The upgrade is incomplete: WebSocket, version 13.");
};
