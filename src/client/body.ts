/**
 * What a publish's body becomes.
 * @module
 */
import { MtsError } from "./errors.ts";
import type { Body, DraftOptions } from "./options.ts";
import { assertWellFormed } from "./wire.ts";

/** A message as it goes out. A string stays one: it is written as UTF-8 into the frame. */
export interface Content {
  readonly data: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>> | undefined;
}

const unsupported = (what: string): MtsError =>
  new MtsError(
    "invalid_parameter",
    `A body is a string, bytes, or what JSON can say: ${what} is none of them.`,
    false,
    { parameter: "body" },
  );

/** Whether JSON says all of it: a Blob, a Map or a Set would silently become `{}`. */
const isPlain = (value: object): boolean => {
  if (Array.isArray(value) || "toJSON" in value) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
};

const asJson = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw unsupported(typeof value);
  return text;
};

const withContentType = (headers: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> =>
  headers !== undefined && Object.keys(headers).some((name) => name.toLowerCase() === "content-type")
    ? headers
    : { ...headers, "content-type": "application/json" };

/** @throws MtsError `invalid_parameter` */
export const contentOf = (body: Body, { headers }: DraftOptions): Content => {
  for (const name in headers) {
    assertWellFormed(name, "headers");
    assertWellFormed(headers[name] ?? "", "headers");
  }
  if (typeof body === "string") {
    assertWellFormed(body, "body");
    return { data: body, headers };
  }
  if (body instanceof Uint8Array) return { data: body, headers };
  if (body instanceof ArrayBuffer) return { data: new Uint8Array(body), headers };
  if (ArrayBuffer.isView(body)) return { data: new Uint8Array(body.buffer, body.byteOffset, body.byteLength), headers };
  if (typeof body === "object" && body !== null && !isPlain(body)) throw unsupported("this object");
  return { data: asJson(body), headers: withContentType(headers) };
};
