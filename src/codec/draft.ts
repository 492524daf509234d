/**
 * One message map on its way in: `{subject, data or data_base64, headers?, message_id?, expected_last_sequence?,
 * ttl_ms?, delay_ms? or deliver_at?}`, as it stands in a batch of any transport and in a WebSocket frame.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import { headersBytesMax, headersCountMax, messageIdBytesMax } from "../core/limits.ts";
import type { Draft, Headers, Sequence } from "../core/message.ts";
import { parseSubject } from "../core/subject.ts";
import { parseTimingFields, type Timing } from "./timing.ts";

/** A UTF-16 code unit is at most this many bytes of UTF-8. */
const utf8BytesPerUnitMax = 3;

const noHeaders: Headers = Object.freeze({});

/** Bounds that the operator may set. */
export interface DraftLimits {
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;
}

const fits = (text: string, bytesMax: number): boolean =>
  text.length * utf8BytesPerUnitMax <= bytesMax || Buffer.byteLength(text, "utf8") <= bytesMax;

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });

const tooLarge = (limits: DraftLimits): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${limits.bodyBytesMax} bytes.`, {
    max_body_bytes: limits.bodyBytesMax,
  });

/** @throws StreamError `invalid_message_id` unless it is a well-formed string of 1–128 UTF-8 bytes */
export const parseMessageId = (raw: unknown): string => {
  if (typeof raw === "string" && raw.length > 0 && fits(raw, messageIdBytesMax) && raw.isWellFormed()) return raw;
  throw new StreamError("invalid_message_id", `A message id is a string of 1 to ${messageIdBytesMax} bytes.`);
};

/**
 * Checks a map of strings to strings and returns it as it is.
 * @throws StreamError `invalid_header`, with `header` where one name is at fault
 */
export const parseHeaders = (raw: unknown): Headers => {
  if (!isMap(raw)) throw new StreamError("invalid_header", "headers must be a map of strings to strings.");
  const names = Object.keys(raw);
  if (names.length > headersCountMax)
    throw new StreamError("invalid_header", `A message has at most ${headersCountMax} headers.`);
  let units = 0;
  for (const name of names) {
    const value = raw[name];
    if (typeof value !== "string") throw headerFault(name, "is not a string");
    if (name === "") throw headerFault(name, "has an empty name");
    if (!value.isWellFormed() || !name.isWellFormed()) throw headerFault(name, "has a lone surrogate");
    units += name.length + value.length;
  }
  if (units * utf8BytesPerUnitMax > headersBytesMax && headersBytes(raw as Headers) > headersBytesMax)
    throw new StreamError("invalid_header", `The headers of a message are at most ${headersBytesMax} bytes.`);
  return raw as Headers;
};

const headerFault = (name: string, fault: string): StreamError => {
  const shown = name.toWellFormed().slice(0, 100);
  return new StreamError("invalid_header", `The header "${shown}" ${fault}.`, { header: shown });
};

const headersBytes = (headers: Headers): number => {
  let bytes = 0;
  for (const name of Object.keys(headers)) {
    bytes += Buffer.byteLength(name, "utf8") + Buffer.byteLength(headers[name] ?? "", "utf8");
  }
  return bytes;
};

const isMap = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw) && !(raw instanceof Uint8Array);

/** The bytes of `data`: a string's UTF-8, or bytes as they are (a view of the frame or body they came in). */
const parseData = (raw: unknown, limits: DraftLimits): Uint8Array => {
  if (raw instanceof Uint8Array) {
    if (raw.length > limits.bodyBytesMax) throw tooLarge(limits);
    return raw;
  }
  if (typeof raw !== "string") throw invalid("data", "data must be a string or bytes.");
  if (!fits(raw, limits.bodyBytesMax)) throw tooLarge(limits);
  // A lone surrogate has no UTF-8; storing U+FFFD in its place would change the body silently.
  if (!raw.isWellFormed()) throw invalid("data", "data has a lone surrogate; send it as data_base64.");
  return Buffer.from(raw, "utf8");
};

/** The bytes of `data_base64`: RFC 4648 section 4 with padding, nothing else in between. */
const parseBase64 = (raw: unknown, limits: DraftLimits): Uint8Array => {
  if (typeof raw !== "string") throw invalid("data_base64", "data_base64 must be a string.");
  const padding = raw.endsWith("==") ? 2 : raw.endsWith("=") ? 1 : 0;
  const bytes = (raw.length / 4) * 3 - padding;
  if (bytes > limits.bodyBytesMax) throw tooLarge(limits);
  const body = decodeBase64(raw);
  // The native decoder skips white space; a length that does not fit shows that there was some.
  if (body?.length !== bytes) {
    throw invalid("data_base64", "data_base64 must be base64 with padding, in the standard alphabet.");
  }
  return body;
};

const decodeBase64 = (raw: string): Uint8Array | undefined => {
  try {
    return Uint8Array.fromBase64(raw, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
};

const parseExpected = (raw: unknown): Sequence => {
  if (typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 0) return raw;
  throw invalid("expected_last_sequence", "expected_last_sequence must be an integer from 0 to 2^53-1.");
};

/**
 * Parses one message map. A body given as bytes is not copied.
 * @param ignore further fields that may stand in the map, e.g. `op` and `id` of a frame
 * @throws StreamError `unknown_field` with `field`, `invalid_subject`, `invalid_parameter` with `parameter` (also when
 *   it is no map), `body_too_large`, `invalid_header`, `invalid_message_id`
 */
export const parseDraft = (raw: unknown, limits: DraftLimits, ignore?: ReadonlySet<string>): Draft => {
  if (!isMap(raw)) throw invalid("messages", "A message must be a map.");
  let timed = false;
  for (const key in raw) {
    switch (key) {
      case "subject":
      case "data":
      case "data_base64":
      case "headers":
      case "message_id":
      case "expected_last_sequence":
        break;
      case "ttl_ms":
      case "delay_ms":
      case "deliver_at":
        timed = true;
        break;
      default:
        if (ignore?.has(key) !== true) throw unknownField(key);
    }
  }
  const { data, data_base64: base64, headers, message_id: messageId, expected_last_sequence: expected } = raw;
  const subject = parseSubject(raw["subject"]);
  if ((data === undefined) === (base64 === undefined)) {
    throw invalid("data", "A message has either data or data_base64.");
  }
  return {
    subject,
    headers: headers === undefined ? noHeaders : parseHeaders(headers),
    body: data === undefined ? parseBase64(base64, limits) : parseData(data, limits),
    messageId: messageId === undefined ? undefined : parseMessageId(messageId),
    expectedLastSequence: expected === undefined ? undefined : parseExpected(expected),
    ...(timed ? timingOf(raw) : undefined),
  };
};

const timingOf = (raw: Readonly<Record<string, unknown>>): Timing =>
  parseTimingFields({
    ttl: raw["ttl_ms"],
    delay: raw["delay_ms"],
    deliverAt: raw["deliver_at"],
    expected: raw["expected_last_sequence"] !== undefined,
  });

/**
 * The error for a field that is not in the contract.
 * @param known the fields that are, to be named
 */
export const unknownField = (field: string, known: readonly string[] = []): StreamError => {
  const shown = field.toWellFormed().slice(0, 100);
  const others = known.length === 0 ? "" : `; there are ${known.join(", ")}`;
  return new StreamError("unknown_field", `There is no field "${shown}" here${others}.`, { field: shown });
};
