/**
 * How the server ends a socket. 4400 to 4499 are of the protocol (graphql-transport-ws, `PROTOCOL.md` of graphql-ws) and
 * mean what they mean there; its clients connect again after 3001, 4008, 4403 and 4408, not after the others.
 * @module
 */

/** A close code and its reason. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

/** Code and reason of each close that the server begins. */
export const closes = {
  tooLarge: { code: 1009, reason: "the message is too large" },
  /** Too much is unsent, or two pings had no answer. */
  tooSlow: { code: 4008, reason: "too slow: too much is unsent" },
  silent: { code: 4008, reason: "no answer to two pings" },
  notAcknowledged: { code: 4401, reason: "Unauthorized" },
  /** Also when a token expires: the next connection_init may show another. */
  expired: { code: 4403, reason: "the token has expired" },
  noInit: { code: 4408, reason: "Connection initialisation timeout" },
  secondInit: { code: 4429, reason: "Too many initialisation requests" },
} as const satisfies Record<string, Close>;

/** Reasons are at most 123 bytes (RFC 6455, 5.5). */
const reasonCharsMax = 100;
const asciiOf = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, reasonCharsMax);

/** A message that is not one of the protocol. */
export const badMessage = (reason: string): Close => ({ code: 4400, reason: asciiOf(reason) });

/** A token that lets nobody in. */
export const forbidden = (reason: string): Close => ({ code: 4403, reason: asciiOf(reason) });

/** An operation with the id of one that still runs. */
export const alreadyThere = (id: string): Close => ({
  code: 4409,
  reason: asciiOf(`Subscriber for ${id} already exists`),
});
