/**
 * Request bodies as values, for the paths that take JSON, msgpack or NDJSON; how their bytes come in is `intake.ts`.
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
