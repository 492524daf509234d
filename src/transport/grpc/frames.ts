/**
 * Takes the byte stream of a call apart into messages: one byte that says whether it is compressed, four bytes of
 * length, the message. Nothing larger than its limit is ever collected, and memory is only taken for what has come.
 * @module
 */
import { gunzipSync } from "node:zlib";
import { StreamError } from "../../core/errors.ts";

const prefixBytes = 5;
/** What is reserved at once for a message that was only announced; it grows with what comes. */
const firstBytesMax = 256 * 1024;
const empty = Buffer.alloc(0);

/** Bounds and owner of the memory that messages on their way in take. */
export interface FrameLimits {
  /** Largest message in bytes, after decompression too. */
  readonly messageBytesMax: number;
  /** Asks for memory; throws StreamError `overloaded` when there is none. */
  reserve(bytes: number): void;
}

/** Collects messages out of chunks. */
export class FrameReader {
  /** `grpc-encoding` of the call. */
  encoding = "identity";
  #head = empty;
  /** The message that is being collected; undefined between two. */
  #body: Buffer | undefined;
  #compressed = false;
  #length = 0;
  #filled = 0;

  constructor(private readonly limits: FrameLimits) {}

  /** Whether a message has begun and not ended. */
  get partial(): boolean {
    return this.#body !== undefined || this.#head.length > 0;
  }

  /**
   * Takes a chunk and hands out the messages that are complete with it; small ones are views of the chunk.
   * @throws StreamError `body_too_large`, `overloaded`, `malformed_body`
   */
  push(chunk: Buffer, message: (bytes: Buffer) => void): void {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#body === undefined ? this.#begin(rest, message) : this.#collect(this.#body, rest, message);
    }
  }

  #begin(chunk: Buffer, message: (bytes: Buffer) => void): Buffer {
    const bytes = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    if (bytes.length < prefixBytes) {
      this.#head = Buffer.from(bytes);
      return empty;
    }
    this.#head = empty;
    const flag = bytes[0];
    const length = bytes.readUInt32BE(1);
    if (flag !== 0 && flag !== 1) throw new StreamError("malformed_body", "A message has an unknown flag.");
    if (length > this.limits.messageBytesMax) throw tooLarge(this.limits.messageBytesMax);
    const rest = bytes.subarray(prefixBytes);
    if (rest.length >= length) {
      message(this.#opened(rest.subarray(0, length), flag === 1));
      return rest.subarray(length);
    }
    const first = Math.min(length, firstBytesMax);
    this.limits.reserve(first);
    this.#body = Buffer.allocUnsafe(first);
    this.#compressed = flag === 1;
    this.#length = length;
    this.#filled = 0;
    return rest;
  }

  #collect(body: Buffer, chunk: Buffer, message: (bytes: Buffer) => void): Buffer {
    const taken = Math.min(chunk.length, this.#length - this.#filled);
    const target = this.#roomFor(body, this.#filled + taken);
    chunk.copy(target, this.#filled, 0, taken);
    this.#filled += taken;
    if (this.#filled === this.#length) {
      this.#body = undefined;
      message(this.#opened(target, this.#compressed));
    }
    return chunk.subarray(taken);
  }

  #roomFor(body: Buffer, bytes: number): Buffer {
    if (bytes <= body.length) return body;
    const size = Math.min(this.#length, Math.max(bytes, 2 * body.length));
    this.limits.reserve(size - body.length);
    const grown = Buffer.allocUnsafe(size);
    body.copy(grown, 0, 0, this.#filled);
    this.#body = grown;
    return grown;
  }

  #opened(bytes: Buffer, compressed: boolean): Buffer {
    if (!compressed) return bytes;
    if (this.encoding !== "gzip") {
      throw new StreamError("unsupported_media_type", "Messages may be compressed with gzip, or not at all.");
    }
    try {
      return gunzipSync(bytes, { maxOutputLength: this.limits.messageBytesMax });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(this.limits.messageBytesMax);
      throw new StreamError("malformed_body", "A compressed message cannot be read.", {}, error);
    }
  }
}

const tooLarge = (bytesMax: number): StreamError =>
  new StreamError("body_too_large", `A message of a call is at most ${bytesMax} bytes.`, {
    max_message_bytes: bytesMax,
  });
