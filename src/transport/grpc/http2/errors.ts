/**
 * Errors of the HTTP/2 protocol (RFC 9113 section 7).
 * @module
 */

/** Codes of RST_STREAM and GOAWAY. */
export const h2Error = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

/** Name of a code. */
export type H2ErrorName = keyof typeof h2Error;

/** Ends the connection with a GOAWAY. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";

  constructor(
    readonly code: H2ErrorName,
    message: string,
  ) {
    super(message);
  }
}

/** Ends one stream with an RST_STREAM. */
export class StreamReset extends Error {
  override readonly name = "StreamReset";

  constructor(
    readonly streamId: number,
    readonly code: H2ErrorName,
    message: string,
  ) {
    super(message);
  }
}
