/**
 * The rules for the headers of a request (RFC 9113 section 8.2 and 8.3).
 * @module
 */
import { StreamReset } from "./errors.ts";
import type { HeaderField } from "./hpack.ts";

/** Headers by name; those that came several times are joined with commas. */
export type RequestHeaders = Readonly<Record<string, string>>;

const requestPseudo: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);
const connectionSpecific: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
const nameRule = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const isClean = (value: string): boolean => !/[\0\r\n]/.test(value);

const malformed = (streamId: number, detail: string): StreamReset =>
  new StreamReset(streamId, "PROTOCOL_ERROR", detail);

/** @throws StreamReset PROTOCOL_ERROR */
export const parseRequest = (streamId: number, fields: readonly HeaderField[]): RequestHeaders => {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  let regular = false;
  for (const [name, value] of fields) {
    if (name.startsWith(":")) {
      if (regular) throw malformed(streamId, "A pseudo-header comes after a header.");
      if (!requestPseudo.has(name)) throw malformed(streamId, "A pseudo-header is unknown.");
      if (headers[name] !== undefined) throw malformed(streamId, "A pseudo-header comes twice.");
    } else {
      regular = true;
      checkField(streamId, name, value);
    }
    if (!isClean(value)) throw malformed(streamId, "A header has a control character.");
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before},${value}`;
  }
  if (headers[":method"] === undefined || headers[":scheme"] === undefined || !headers[":path"]) {
    throw malformed(streamId, "A request needs a method, a scheme and a path.");
  }
  return headers;
};

const checkField = (streamId: number, name: string, value: string): void => {
  if (!nameRule.test(name)) throw malformed(streamId, "A header has a name that is none.");
  if (connectionSpecific.has(name)) throw malformed(streamId, "A header belongs to HTTP/1.1.");
  if (name === "te" && value !== "trailers") throw malformed(streamId, "te says something else than trailers.");
};

/** Trailers of a request say nothing to us, but they must be none that are not allowed. @throws StreamReset */
export const checkTrailers = (streamId: number, fields: readonly HeaderField[]): void => {
  for (const [name, value] of fields) {
    if (name.startsWith(":")) throw malformed(streamId, "A pseudo-header is among the trailers.");
    checkField(streamId, name, value);
  }
};
