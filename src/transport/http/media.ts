/**
 * What a request says its body is: `Content-Type` and `Content-Encoding`.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import { mediaTypes, type Representation } from "./accept.ts";

const is = (form: Representation, type: string): boolean => (mediaTypes[form] as readonly string[]).includes(type);

/** The type without its parameters in lower case, and its charset when it names one. */
export const parseContentType = (raw: string): { readonly type: string; readonly charset?: string } => {
  const [type = "", ...parameters] = raw.split(";");
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(parameter)?.[1])
    .find((value) => value !== undefined);
  return { type: type.trim().toLowerCase(), ...(charset === undefined ? {} : { charset: charset.toLowerCase() }) };
};

/**
 * The form of a structured request body, undefined when the request does not say.
 * @throws StreamError `unsupported_media_type` when it is none of `read`
 */
export const bodyForm = (request: Request, read: readonly Representation[]): Representation | undefined => {
  const raw = request.headers.get("content-type");
  if (raw === null) return undefined;
  const { type, charset } = parseContentType(raw);
  const form = read.find((candidate) => is(candidate, type));
  if (form !== undefined && (charset === undefined || charset === "utf-8" || charset === "utf8")) return form;
  throw unsupportedType(read);
};

/** The `unsupported_media_type` error that names what is read. */
export const unsupportedType = (read: readonly Representation[]): StreamError => {
  const types = read.map((form) => mediaTypes[form][0]);
  return new StreamError("unsupported_media_type", `Send a Content-Type of ${types.join(", ")} (in UTF-8).`, {
    supported: types,
  });
};

/**
 * Refuses compressed bodies where the server itself reads them.
 * @throws StreamError `unsupported_media_type`
 */
export const checkContentEncoding = (request: Request): void => {
  const encoding = request.headers.get("content-encoding");
  if (encoding === null || encoding.trim() === "" || encoding.trim().toLowerCase() === "identity") return;
  throw new StreamError(
    "unsupported_media_type",
    "Bodies with a Content-Encoding are not read; send them as they are.",
  );
};
