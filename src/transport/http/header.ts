/**
 * Message headers in HTTP headers: `X-Meta-NAME` in both directions, and UTF-8 over Bun's Latin-1 strings.
 * @module
 */
import { parseHeaders } from "../../codec/draft.ts";
import { StreamError } from "../../core/errors.ts";
import type { Headers as MessageHeaders } from "../../core/message.ts";
import { codingsOf } from "./codings.ts";

const metaPrefix = "x-meta-";
/** Message headers that are headers of HTTP under their own names. */
const ownNames: ReadonlySet<string> = new Set(["content-type", "content-encoding"]);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ascii = /^[\x00-\x7f]*$/;
const controls = /[\x00-\x1f\x7f]/;
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** A received header value as text: its bytes, which come as Latin-1, are UTF-8. @throws StreamError `invalid_header` */
export const decodeHeaderValue = (name: string, latin1: string): string => {
  if (ascii.test(latin1)) return latin1;
  try {
    return utf8.decode(Buffer.from(latin1, "latin1"));
  } catch {
    throw new StreamError("invalid_header", `The value of ${name} is not UTF-8.`, { header: name });
  }
};

/** Text as a header value whose bytes on the wire are UTF-8; undefined when HTTP cannot carry it. */
export const encodeHeaderValue = (text: string): string | undefined => {
  if (controls.test(text)) return undefined;
  return ascii.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
};

/**
 * The message headers of a publish: `content-type` and `content-encoding` as sent, and `X-Meta-NAME` as `name`.
 * @throws StreamError `invalid_header`
 */
export const messageHeaders = (received: Headers): MessageHeaders => {
  const headers: [name: string, value: string][] = [];
  received.forEach((value, name) => {
    if (name === "content-type") headers.push([name, decodeHeaderValue(name, value)]);
    else if (name === "content-encoding") headers.push(...contentEncoding(value));
    else if (name.startsWith(metaPrefix)) headers.push([metaName(name), decodeHeaderValue(name, value)]);
  });
  // Not by assignment: a header may be called __proto__.
  return parseHeaders(Object.fromEntries(headers));
};

/** `identity` says that there is none. @throws StreamError `invalid_header` */
const contentEncoding = (value: string): [name: string, value: string][] => {
  const codings = codingsOf(value);
  if (codings === undefined) {
    throw new StreamError("invalid_header", "Content-Encoding must be the names of codings, with commas between.", {
      header: "content-encoding",
    });
  }
  return codings.length === 0 ? [] : [["content-encoding", value]];
};

const metaName = (received: string): string => {
  const name = received.slice(metaPrefix.length);
  if (name === "") throw new StreamError("invalid_header", "X-Meta- needs a name behind it.", { header: received });
  if (ownNames.has(name)) {
    throw new StreamError("invalid_header", `Send ${name} itself instead of ${received}.`, { header: name });
  }
  return name;
};

const mediaType = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*(?:;.*)?$/;

/** The `Content-Type` of a stored message: its own where it is one, else `application/octet-stream`. */
export const storedContentType = (headers: MessageHeaders): string => {
  const stored = headers["content-type"];
  const value = stored === undefined ? undefined : encodeHeaderValue(stored);
  return value !== undefined && mediaType.test(value) ? value : "application/octet-stream";
};

/** Adds the other message headers as `X-Meta-*`; names that are no token and values with controls are left out. */
export const addMetaHeaders = (target: Headers, headers: MessageHeaders): void => {
  for (const [name, text] of Object.entries(headers)) {
    if (ownNames.has(name.toLowerCase()) || !token.test(name)) continue;
    const value = encodeHeaderValue(text);
    if (value !== undefined) target.append(`${metaPrefix}${name}`, value);
  }
};
