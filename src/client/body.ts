/**
 * What a publish's body becomes.
 * @module
 */
import { invalid } from "./errors.ts";
import type { Body, DraftOptions } from "./options.ts";

export const jsonType = "application/json";

/** A message as it goes out. A string stays one: it is written as UTF-8 into the frame. */
export interface Content {
  readonly data: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

/** Whether JSON says all of it: a Blob, a Map or a Set would silently become `{}`. */
const isJson = (value: unknown): boolean =>
  /(?:Object|Array|Number|Boolean|Null|Date)\]$/.test({}.toString.call(value));

/** Whether UTF-8 has bytes for all of it: what has none would be stored as something else. */
const isWellFormed = (text: unknown): boolean => typeof text !== "string" || text.isWellFormed();

/** @throws MtsError `invalid_parameter` */
export const contentOf = (body: Body, { headers }: DraftOptions): Content => {
  if (![body, ...Object.entries(headers ?? {}).flat()].every(isWellFormed)) {
    throw invalid("body", "has lone surrogates.");
  }
  if (typeof body === "string") return { data: body, headers };
  if (body instanceof ArrayBuffer) body = new Uint8Array(body);
  if (ArrayBuffer.isView(body)) return { data: new Uint8Array(body.buffer, body.byteOffset, body.byteLength), headers };
  if (!isJson(body)) throw invalid("body", "must be text, bytes or JSON.");
  const typed = Object.keys(headers ?? {}).some((name) => name.toLowerCase() === "content-type");
  return { data: JSON.stringify(body), headers: typed ? headers : { ...headers, "content-type": jsonType } };
};
