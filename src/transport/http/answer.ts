/**
 * Structured answers in the form that was negotiated.
 * @module
 */
import { encodeMsgpack } from "../../codec/msgpack.ts";
import { mediaTypes, type Representation } from "./accept.ts";

/** Forms in which every structured answer can be written. */
export const structuredForms = ["json", "msgpack"] as const;

/** A 200, or another status, with a value as JSON or msgpack. */
export const structuredResponse = (
  value: unknown,
  form: Representation,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response =>
  form === "msgpack"
    ? new Response(encodeMsgpack(value), {
        status,
        headers: { "content-type": mediaTypes.msgpack[0], "cache-control": "no-store", ...headers },
      })
    : new Response(JSON.stringify(value), {
        status,
        headers: { "content-type": mediaTypes.json[0], "cache-control": "no-store", ...headers },
      });
