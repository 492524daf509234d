/**
 * Pointers and uploads (`s3-pointer-v1`) as they are written, and read from publishers.
 * @module
 */
import { StreamError } from "../core/errors.ts";
import type { Headers } from "../core/message.ts";
import { type BodyPointer, pointerFormat, type Upload, type UploadClaim } from "../core/pointer.ts";
import type { Subject } from "../core/subject.ts";
import { hex } from "./bytes.ts";
import type { View } from "./view.ts";

/** A pointer that a publisher sends in place of a body. */
export interface PublishedPointer {
  readonly claim: UploadClaim;
  readonly key: string;
  /** What the pointer says of the message: `content-type` and `content-encoding`. */
  readonly headers: Headers;
}

/** Keys are object names of the stores, with room to spare. */
const keyCharsMax = 1024;
/** A media type or a list of codings. */
const headerCharsMax = 1024;

const hexSha256 = /^[0-9a-f]{64}$/i;

const pointerFields = ["format", "bucket", "key", "length", "sha256", "content_encoding", "content_type"] as const;

/** A pointer to a stored body, for a reader. */
export const pointerView = (pointer: BodyPointer): View => ({
  format: pointerFormat,
  bucket: pointer.bucket,
  key: pointer.key,
  offset: pointer.offset,
  length: pointer.length,
  sha256: hex(pointer.sha256),
  size: pointer.size,
  content_encoding: pointer.contentEncoding ?? null,
  url: pointer.url,
  headers: pointer.headers,
  expires_at: pointer.expiresAtMs,
});

/** An upload that was opened. */
export const uploadView = (upload: Upload, claim: UploadClaim): View => ({
  format: pointerFormat,
  bucket: upload.bucket,
  key: upload.key,
  length: claim.length,
  sha256: hex(claim.sha256),
  method: "PUT",
  multipart: upload.multipart,
  requests: upload.requests.map(({ url, headers, offset, length }) => ({ url, headers, offset, length })),
  expires_at: upload.expiresAtMs,
});

/**
 * Reads the length and the checksum of a body that a client puts, or has put, by itself.
 * @throws StreamError `invalid_parameter`, `body_too_large`
 */
export const parseUploadClaim = (
  subject: Subject,
  { length, sha256 }: { readonly length: unknown; readonly sha256: unknown },
  bodyBytesMax: number,
): UploadClaim => {
  if (!isLength(length)) throw invalid("length", "length must be an integer from 1 on.");
  if (length > bodyBytesMax) throw tooLarge(bodyBytesMax);
  const digest = digestOf(sha256);
  if (digest === undefined) throw invalid("sha256", "sha256 must be 64 hex digits.");
  return { subject, length, sha256: digest };
};

/** @throws StreamError `invalid_parameter` */
export const parseUploadKey = (raw: unknown): string => {
  if (isKey(raw)) return raw;
  throw invalid("key", "key must be the key of an upload.");
};

/**
 * Reads the pointer that is published in place of a body.
 * @throws StreamError `invalid_pointer` with `field`, `body_too_large`
 */
export const parsePublishedPointer = (subject: Subject, raw: unknown, bodyBytesMax: number): PublishedPointer => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new StreamError("invalid_pointer", "A pointer is a JSON object.");
  }
  const fields = new Map<string, unknown>(Object.entries(raw));
  for (const field of fields.keys()) {
    if (!pointerFields.some((known) => known === field)) {
      const shown = field.toWellFormed().slice(0, 100);
      throw fault(shown, `A published pointer has no field "${shown}"; leave all but ${pointerFields.join(", ")} out.`);
    }
  }
  const [length, sha256, key] = [fields.get("length"), digestOf(fields.get("sha256")), fields.get("key")];
  if (fields.get("format") !== pointerFormat) throw fault("format", `format must be ${pointerFormat}.`);
  if (!isKey(key)) throw fault("key", "key must be the key of an upload.");
  if (!isLength(length)) throw fault("length", "length must be an integer from 1 on.");
  if (sha256 === undefined) throw fault("sha256", "sha256 must be 64 hex digits.");
  const bucket = fields.get("bucket");
  if (bucket !== undefined && typeof bucket !== "string") throw fault("bucket", "bucket must be a string.");
  if (length > bodyBytesMax) throw tooLarge(bodyBytesMax);
  return {
    claim: { subject, length, sha256 },
    key,
    headers: {
      ...headerOf("content-type", "content_type", fields),
      ...headerOf("content-encoding", "content_encoding", fields),
    },
  };
};

const headerOf = (name: string, field: string, fields: ReadonlyMap<string, unknown>): Headers => {
  const value = fields.get(field);
  if (value === undefined || value === null) return {};
  if (typeof value === "string" && value !== "" && value.length <= headerCharsMax && /^[\x20-\x7e]+$/.test(value)) {
    return { [name]: value };
  }
  throw fault(field, `${field} must be a string as ${name} has it.`);
};

const isLength = (raw: unknown): raw is number => typeof raw === "number" && Number.isSafeInteger(raw) && raw >= 1;

const isKey = (raw: unknown): raw is string =>
  typeof raw === "string" && raw.length >= 1 && raw.length <= keyCharsMax && /^[\x21-\x7e]+$/.test(raw);

const digestOf = (raw: unknown): Uint8Array | undefined =>
  typeof raw === "string" && hexSha256.test(raw) ? Uint8Array.fromHex(raw) : undefined;

const tooLarge = (bodyBytesMax: number): StreamError =>
  new StreamError("body_too_large", `The body is larger than ${bodyBytesMax} bytes.`, { max_body_bytes: bodyBytesMax });

const fault = (field: string, detail: string): StreamError => new StreamError("invalid_pointer", detail, { field });

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });
