/**
 * JSON from strangers: `JSON.parse` behind a bound on how much memory a small text may turn into.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import { msgpackContainersMax, msgpackItemsMax } from "./msgpack-reader.ts";

/** Texts up to this many characters cannot grow into anything that hurts, and are not scanned. */
const scanCharsMin = 1024 * 1024;

const quote = 0x22;
const backslash = 0x5c;

/** The place behind the string that begins at `start` (its opening quote). */
const skipString = (text: string, start: number): number => {
  let at = start + 1;
  while (true) {
    const end = text.indexOf('"', at);
    if (end === -1) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
};

/** Counts what becomes objects and array slots, without making any. */
const checkSize = (text: string): void => {
  let containers = 0;
  let items = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = skipString(text, at);
      continue;
    }
    if (code === 0x7b || code === 0x5b) containers++;
    else if (code === 0x2c || code === 0x3a) items++;
    at++;
  }
  if (containers > msgpackContainersMax || items > msgpackItemsMax) {
    throw new StreamError("malformed_body", "The JSON text has too many objects, arrays or items.");
  }
};

/**
 * Parses one JSON text; `__proto__` is a field like any other.
 * @throws StreamError `malformed_body`
 */
export const parseJson = (text: string): unknown => {
  if (text.length > scanCharsMin) checkSize(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StreamError("malformed_body", "The text is not JSON.", {}, error);
  }
};
