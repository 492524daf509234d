/**
 * Frames of HTTP/2 (RFC 9113 section 4 and 6): taking the byte stream apart, and writing the small ones.
 * @module
 */
import { ConnectionError, type H2ErrorName, h2Error } from "./errors.ts";

/** Types of frames. */
export const frameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Flags of frames; END_STREAM and ACK are the same bit. */
export const frameFlag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 } as const;

/** Settings by their number. */
export const setting = {
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

export const windowMax = 2 ** 31 - 1;
export const windowDefault = 65_535;
/** The smallest that a peer may ask for, and what we leave it at: SETTINGS_MAX_FRAME_SIZE. */
export const frameBytesMin = 16_384;
export const frameBytesCeiling = 2 ** 24 - 1;
const headBytes = 9;
const empty: Buffer = Buffer.alloc(0);

/** A frame; `payload` may be a view of the chunk it came in. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Puts chunks of a connection together to frames. */
export class FrameSplitter {
  #rest = empty;

  /**
   * Hands out every frame that is complete.
   * @throws ConnectionError FRAME_SIZE_ERROR, and whatever `take` throws
   */
  push(chunk: Buffer, take: (frame: Frame) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = empty;
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const length = bytes.readUIntBE(at, 3);
      if (length > frameBytesMin) throw new ConnectionError("FRAME_SIZE_ERROR", "A frame is too large.");
      const end = at + headBytes + length;
      if (end > bytes.length) break;
      take({
        type: bytes[at + 3] ?? 0,
        flags: bytes[at + 4] ?? 0,
        streamId: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
        payload: bytes.subarray(at + headBytes, end),
      });
      at = end;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }
}

/** The nine bytes before a payload. */
export const frameHead = (type: number, flags: number, streamId: number, length: number): Buffer => {
  const head = Buffer.allocUnsafe(headBytes);
  head[0] = length >>> 16;
  head[1] = length >>> 8;
  head[2] = length;
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return head;
};

const withNumber = (type: number, streamId: number, value: number): Buffer => {
  const frame = Buffer.allocUnsafe(headBytes + 4);
  frameHead(type, 0, streamId, 4).copy(frame);
  frame.writeUInt32BE(value, headBytes);
  return frame;
};

export const rstStreamFrame = (streamId: number, code: H2ErrorName): Buffer =>
  withNumber(frameType.RST_STREAM, streamId, h2Error[code]);

export const windowUpdateFrame = (streamId: number, bytes: number): Buffer =>
  withNumber(frameType.WINDOW_UPDATE, streamId, bytes);

export const settingsFrame = (values: readonly (readonly [number, number])[]): Buffer => {
  const payload = Buffer.alloc(6 * values.length);
  for (const [index, [name, value]] of values.entries()) {
    payload.writeUInt16BE(name, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return Buffer.concat([frameHead(frameType.SETTINGS, 0, 0, payload.length), payload]);
};

export const settingsAckFrame = (): Buffer => frameHead(frameType.SETTINGS, frameFlag.ACK, 0, 0);

export const pingFrame = (flags: number, payload: Buffer): Buffer =>
  Buffer.concat([frameHead(frameType.PING, flags, 0, payload.length), payload]);

export const goawayFrame = (lastStreamId: number, code: H2ErrorName, detail: string): Buffer => {
  const text = Buffer.from(detail, "utf8");
  const numbers = Buffer.allocUnsafe(8);
  numbers.writeUInt32BE(lastStreamId, 0);
  numbers.writeUInt32BE(h2Error[code], 4);
  return Buffer.concat([frameHead(frameType.GOAWAY, 0, 0, 8 + text.length), numbers, text]);
};

/**
 * A payload without its padding.
 * @throws ConnectionError PROTOCOL_ERROR when there is more padding than payload
 */
export const unpadded = ({ flags, payload }: Frame): Buffer => {
  if ((flags & frameFlag.PADDED) === 0) return payload;
  const padding = payload[0];
  if (padding === undefined || padding >= payload.length) {
    throw new ConnectionError("PROTOCOL_ERROR", "A frame has more padding than payload.");
  }
  return payload.subarray(1, payload.length - padding);
};
