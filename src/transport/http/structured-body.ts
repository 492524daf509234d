/**
 * Small structured request bodies: one map with known fields, in JSON or msgpack.
 * @module
 */
import { structuredForms } from "./answer.ts";
import { parseStructured } from "./body.ts";
import { type Fields, parseFields } from "./fields.ts";
import { bodyForm, checkContentEncoding } from "./media.ts";
import type { HttpCall } from "./route.ts";

/**
 * The body as a map; without a body it is empty, and then its type does not matter.
 * @throws StreamError `unsupported_media_type`, `body_too_large`, `malformed_body`, `invalid_parameter`,
 *   `unknown_field`
 */
export const readFields = async (
  { request, intake }: Pick<HttpCall, "request" | "intake">,
  known: readonly string[],
  bytesMax: number,
): Promise<Fields> => {
  checkContentEncoding(request);
  const bytes = await intake.bytes(bytesMax);
  if (bytes.length === 0) return {};
  const form = bodyForm(request, structuredForms) ?? "json";
  return parseFields(parseStructured(bytes, form), known);
};
