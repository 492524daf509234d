/**
 * Pointers and uploads as publishers write them.
 * @module
 */
import { expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { parseSubject } from "../core/subject.ts";
import { parsePublishedPointer, parseUploadClaim, parseUploadKey } from "./pointer.ts";

const subject = parseSubject("s");
const sha256 = "ab".repeat(32);
const valid = { format: "s3-pointer-v1", key: "uploads/x", length: 5, sha256 };

const faultOf = (parse: () => unknown): unknown => {
  try {
    parse();
  } catch (error) {
    if (error instanceof StreamError) return [error.code, error.fields["field"] ?? error.fields["parameter"]];
    throw error;
  }
  return "accepted";
};

test("a pointer, with what it says of the message", () => {
  const claim = { subject, length: 5, sha256: new Uint8Array(32).fill(0xab) };
  expect(parsePublishedPointer(subject, valid, 5)).toEqual({ claim, key: "uploads/x", headers: {} });
  const full = {
    ...valid,
    sha256: sha256.toUpperCase(),
    bucket: "b",
    content_type: "text/plain",
    content_encoding: "br",
  };
  expect(parsePublishedPointer(subject, full, 5)).toEqual({
    claim,
    key: "uploads/x",
    headers: { "content-type": "text/plain", "content-encoding": "br" },
  });
  expect(faultOf(() => parsePublishedPointer(subject, valid, 4))).toEqual(["body_too_large", undefined]);
});

test.each([
  [[], undefined],
  [null, undefined],
  ["text", undefined],
  [{ ...valid, url: "http://elsewhere/" }, "url"],
  [{ ...valid, format: "s3-pointer-v2" }, "format"],
  [{ ...valid, key: "" }, "key"],
  [{ ...valid, key: "a b" }, "key"],
  [{ ...valid, length: 0 }, "length"],
  [{ ...valid, length: "5" }, "length"],
  [{ ...valid, sha256: "ab" }, "sha256"],
  [{ ...valid, bucket: 5 }, "bucket"],
  [{ ...valid, content_type: "a\r\nb" }, "content_type"],
  [{ ...valid, content_encoding: "" }, "content_encoding"],
  [JSON.parse('{"__proto__": 1}'), "__proto__"],
])("%j is no pointer", (raw, field) => {
  expect(faultOf(() => parsePublishedPointer(subject, raw, 100))).toEqual(["invalid_pointer", field]);
});

test("claims and keys of uploads", () => {
  expect(parseUploadClaim(subject, { length: 1, sha256 }, 1)).toMatchObject({ length: 1 });
  expect(faultOf(() => parseUploadClaim(subject, { length: 2, sha256 }, 1))).toEqual(["body_too_large", undefined]);
  expect(faultOf(() => parseUploadClaim(subject, { length: 0, sha256 }, 1))).toEqual(["invalid_parameter", "length"]);
  expect(faultOf(() => parseUploadClaim(subject, { length: 1, sha256: 5 }, 1))).toEqual([
    "invalid_parameter",
    "sha256",
  ]);
  expect(faultOf(() => parseUploadKey(undefined))).toEqual(["invalid_parameter", "key"]);
});
