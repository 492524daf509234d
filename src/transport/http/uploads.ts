/**
 * Uploads: places where a publisher puts a body by itself, to publish a pointer to it afterwards.
 * @module
 */
import { parseUploadClaim, parseUploadKey, uploadView } from "../../codec/pointer.ts";
import { structuredForms, structuredResponse } from "./answer.ts";
import { fieldBoolean } from "./fields.ts";
import { completeUploadOperation, openUploadOperation } from "./openapi/uploads.ts";
import { type HttpCall, type Route, subjectParameter } from "./route.ts";
import { readFields } from "./structured-body.ts";

const collection = "/v1/subjects/:subject/uploads";
/** A few short fields. */
const uploadBodyBytesMax = 64 * 1024;

/** The routes of uploads. */
export const uploadRoutes = (): readonly Route[] => [
  {
    method: "POST",
    path: collection,
    offers: structuredForms,
    handle: openUpload,
    operation: openUploadOperation,
  },
  {
    method: "POST",
    path: `${collection}/complete`,
    offers: structuredForms,
    handle: completeUpload,
    operation: completeUploadOperation,
  },
];

const openUpload = async (call: HttpCall): Promise<Response> => {
  const { broker, representation } = call;
  const subject = subjectParameter(call);
  const { length, sha256, ...fields } = await readFields(call, ["length", "sha256", "parts"], uploadBodyBytesMax);
  const claim = parseUploadClaim(subject, { length, sha256 }, broker.bodyBytesMax);
  const upload = await broker.openUpload(claim, fieldBoolean(fields, "parts", false));
  return structuredResponse(uploadView(upload, claim), representation, 201);
};

const completeUpload = async (call: HttpCall): Promise<Response> => {
  const { broker, representation } = call;
  const subject = subjectParameter(call);
  const { length, sha256, key: rawKey } = await readFields(call, ["key", "length", "sha256"], uploadBodyBytesMax);
  const key = parseUploadKey(rawKey);
  await broker.completeUpload(parseUploadClaim(subject, { length, sha256 }, broker.bodyBytesMax), key);
  return structuredResponse({ key }, representation);
};
