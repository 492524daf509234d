/**
 * Close codes. 3000–3499 mean "reconnect" (3005: with a fresh token), 3500–3999 "do not"; below 3000 is RFC 6455. Frames over the size limit
 * (1009) and text that is not UTF-8 (1007) are closed by Bun itself with just these codes.
 * @module
 */

/** Code and reason of each close that the server begins. */
export const closes = {
  wrongFrameType: { code: 1003, reason: "wrong frame type for the subprotocol" },
  unreadable: { code: 1007, reason: "the frame is not exactly one value" },
  tooLargeForUnknown: { code: 1009, reason: "too large before authentication" },
  stopping: { code: 3001, reason: "shutting down" },
  tooSlow: { code: 3008, reason: "too slow: too much is unsent" },
  expired: { code: 3005, reason: "the token has expired" },
  notAuthenticated: { code: 3501, reason: "not authenticated" },
  silent: { code: 3008, reason: "no answer to two pings" },
} as const;

/** A close code and its reason. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}
