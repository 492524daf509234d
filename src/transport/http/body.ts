/**
 * Request bodies: counted while they are read, so that nothing larger than its limit is ever held, and read into
 * values for the paths that take JSON, msgpack or NDJSON.
 * @module
 */
import { decodeMsgpack } from "../../codec/msgpack.ts";
import { StreamError } from "../../core/errors.ts";
import { batchMessagesMax } from "../../core/limits.ts";
import type { Representation } from "./accept.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The `body_too_large` error for a body whose limit is `bytesMax`. */
export const bodyTooLarge = (bytesMax: number): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${bytesMax} bytes.`, { max_body_bytes: bytesMax });

/** What `Content-Length` says, undefined when the length is not known beforehand. */
export const contentLength = (request: Request): number | undefined => {
  const raw = request.headers.get("content-length");
  return raw === null ? undefined : Number(raw);
};

/** A client that stops in the middle of its body is no fault of the server. */
const cutShort = (cause: unknown): StreamError =>
  cause instanceof StreamError ? cause : new StreamError("malformed_request", "The body ended early.", {}, cause);

/**
 * The chunks of a body, counted; reading stops at the first byte too many.
 * @throws StreamError `body_too_large`, `malformed_request` (cut short)
 */
export async function* bodyChunks(request: Request, bytesMax: number): AsyncGenerator<Uint8Array, void, undefined> {
  if (request.body === null) return;
  let bytes = 0;
  try {
    for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw bodyTooLarge(bytesMax);
      yield chunk;
    }
  } catch (thrown) {
    throw cutShort(thrown);
  }
}

/**
 * A whole body in memory.
 * @throws StreamError `body_too_large` (by `Content-Length` before anything is read), `malformed_request`
 */
export const readBytes = async (request: Request, bytesMax: number): Promise<Uint8Array> => {
  const length = contentLength(request);
  if (length !== undefined) {
    if (length > bytesMax) throw bodyTooLarge(bytesMax);
    try {
      return await request.bytes();
    } catch (thrown) {
      throw cutShort(thrown);
    }
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of bodyChunks(request, bytesMax)) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const malformed = (detail: string, fields: { readonly line?: number } = {}): StreamError =>
  new StreamError("malformed_body", detail, fields);

/** @throws StreamError `malformed_body` */
const parseText = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed("The body is not UTF-8.");
  }
};

/** @throws StreamError `malformed_body` */
const parseJson = (bytes: Uint8Array): unknown => {
  const text = parseText(bytes);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed("The body is not JSON.");
  }
};

/**
 * The values of an NDJSON body, one a line; empty lines are passed over.
 * @throws StreamError `malformed_body` with `line` (counted from 1), `too_many_messages`
 */
export const parseNdjson = (bytes: Uint8Array): readonly unknown[] => {
  const values: unknown[] = [];
  for (const [index, line] of parseText(bytes).split("\n").entries()) {
    if (line.trim() === "") continue;
    if (values.length === batchMessagesMax) throw tooManyMessages();
    try {
      values.push(JSON.parse(line) as unknown);
    } catch {
      throw malformed(`Line ${index + 1} of the body is not JSON.`, { line: index + 1 });
    }
  }
  return values;
};

/** The `too_many_messages` error. */
export const tooManyMessages = (): StreamError =>
  new StreamError("too_many_messages", `A batch has at most ${batchMessagesMax} messages.`, {
    max_messages: batchMessagesMax,
  });

/** The value of a JSON or msgpack body. @throws StreamError `malformed_body` */
export const parseStructured = (bytes: Uint8Array, form: Representation): unknown =>
  form === "msgpack" ? decodeMsgpack(bytes) : parseJson(bytes);
