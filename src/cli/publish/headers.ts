/**
 * Message headers of a publish: what was given, what a file says of itself, and which of them HTTP can carry.
 * @module
 */
import { basename } from "node:path";
import { UsageError } from "../command.ts";

/** String to string. */
export type MessageHeaders = Readonly<Record<string, string>>;

/** Reads `k=v`. @throws UsageError */
export const parseHeaderOptions = (raw: readonly string[]): MessageHeaders => {
  const headers = raw.map((text): readonly [string, string] => {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`--header must look like name=value, not ${JSON.stringify(text)}`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
  return Object.fromEntries(headers);
};

/** The name without its folders, and the type by its ending; what was given wins, whatever its case. */
export const fileHeaders = (path: string, given: MessageHeaders): MessageHeaders => {
  const isGiven = new Set(Object.keys(given).map((name) => name.toLowerCase()));
  const own = { filename: basename(path), "content-type": Bun.file(path).type };
  return { ...Object.fromEntries(Object.entries(own).filter(([name]) => !isGiven.has(name))), ...given };
};

/** HTTP makes names lower-case; what is not a token cannot be one. */
const httpName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** No control characters, and no space at the ends, which HTTP cuts off. */
const httpValue = /^(?!\s)[^\p{Cc}]*(?<!\s)$/u;
/** The server takes 16 KiB of them, other lines included. */
const httpBytesMax = 12 * 1024;

/** The headers of a request that keeps the message headers exactly as they are; undefined when there is none. */
export const httpHeaders = (headers: MessageHeaders): Headers | undefined => {
  const result = new Headers();
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (!httpName.test(name) || !httpValue.test(value)) return undefined;
    // Fetch takes bytes as Latin-1.
    const latin1 = Buffer.from(value, "utf8").toString("latin1");
    bytes += name.length + latin1.length;
    result.set(name === "content-type" ? name : `x-meta-${name}`, latin1);
  }
  return bytes <= httpBytesMax ? result : undefined;
};
