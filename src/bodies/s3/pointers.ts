/**
 * Addresses that lead others to the bucket: of one body, and of a place to put one.
 * @module
 */
import type { BodyRef } from "../../core/message.ts";
import type { BodyPointer, Upload, UploadClaim, UploadRequest } from "../../core/pointer.ts";
import { UploadNames, uploadMismatch, uploadNotFound } from "../uploads.ts";
import type { S3Admin } from "./admin.ts";
import type { Endpoint } from "./endpoint.ts";
import { S3Fault, storeError } from "./faults.ts";
import type { Signer } from "./sigv4.ts";

/** What S3 signs for at most: a week. */
const validSMax = 7 * 24 * 60 * 60;
/** An empty body lies nowhere; this address has it. */
const emptyUrl = "data:application/octet-stream,";
/** What was signed a moment ago has no time to live that a clock a second behind could use up. */
const never = new AbortController().signal;

/** What the addresses are made of. */
export interface AddressesParts {
  readonly bucket: string;
  readonly endpoint: Endpoint;
  readonly signer: Signer;
  readonly admin: S3Admin;
  /** Made from the secret of the bucket, so that all nodes have the same. */
  readonly uploadKey: Uint8Array;
  /** Largest body that goes in one request, and the parts of larger ones. */
  readonly partBytes: number;
  readonly nowMs: () => number;
}

/** What is put in one request. */
interface Put {
  readonly object: string;
  readonly offset: number;
  readonly length: number;
  readonly validS: number;
  /** Of a part. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** See the module. */
export class Addresses {
  readonly #parts: AddressesParts;
  readonly #names: UploadNames;

  constructor(parts: AddressesParts) {
    this.#parts = parts;
    this.#names = new UploadNames(parts.uploadKey, parts.nowMs);
  }

  /** See `BodyStore.pointer`. The range is a signed header: with another one, or with none, the server refuses. */
  pointer({ object, offset, length: size, sha256, storedLength }: BodyRef, validMs: number): BodyPointer {
    const { bucket, endpoint, signer, nowMs } = this.#parts;
    const length = storedLength ?? size;
    const common = { bucket, offset, length, sha256, size };
    if (length === 0) {
      return { ...common, key: "", url: emptyUrl, headers: {}, expiresAtMs: nowMs() + validMs };
    }
    const { path } = endpoint.target(object);
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    const { query, expiresAtMs } = signer.presign({
      method: "GET",
      host: endpoint.publicHost,
      path,
      headers,
      validS: secondsOf(validMs),
    });
    const contentEncoding = storedLength === undefined ? undefined : "zstd";
    const url = endpoint.publicUrl(path, query);
    return { ...common, key: endpoint.keyOf(object), contentEncoding, url, headers, expiresAtMs };
  }

  /** See `BodyStore.openUpload`. */
  async open(claim: UploadClaim, validMs: number, parts: boolean): Promise<Upload> {
    const { bucket, endpoint, partBytes, nowMs } = this.#parts;
    const validS = secondsOf(validMs);
    // The addresses are signed after this, so none of them ends before the name does.
    const expiresAtMs = nowMs() - (nowMs() % 1000) + validS * 1000;
    const object = this.#names.create(claim, expiresAtMs);
    const multipart = parts && claim.length > partBytes;
    const requests = multipart ? await this.#partRequests(object, claim, validS) : [this.#whole(object, claim, validS)];
    return { bucket, key: endpoint.keyOf(object), requests, multipart, expiresAtMs };
  }

  /**
   * The object of an upload.
   * @throws StreamError `upload_not_found`, `upload_mismatch`
   */
  objectOf(claim: UploadClaim, key: string): string {
    const object = this.#parts.endpoint.objectOf(key) ?? "";
    this.#names.check(claim, object);
    return object;
  }

  /** See `BodyStore.completeUpload`. */
  async complete(claim: UploadClaim, key: string): Promise<void> {
    const object = this.objectOf(claim, key);
    try {
      await this.#complete(object, claim.length);
    } catch (thrown) {
      throw storeError(thrown);
    }
  }

  async #complete(object: string, length: number): Promise<void> {
    const { admin } = this.#parts;
    const uploadId = await admin.uploadIdOf(object);
    const parts = uploadId === undefined ? [] : await partsOf(admin, object, uploadId);
    if (uploadId === undefined || parts === undefined) {
      // It was completed before, or came in one piece.
      if ((await admin.sizeOf(object)) === undefined) throw uploadNotFound();
      return;
    }
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    if (bytes !== length) throw uploadMismatch(`Its parts have ${bytes} bytes, ${length} were announced.`);
    const sorted = parts.toSorted((a, b) => a.part - b.part).map(({ part, etag }) => ({ part, etag }));
    await admin.completeUpload(object, uploadId, sorted, length, never);
  }

  /** The server checks both conditions before it stores anything. */
  #whole(object: string, { length, sha256 }: UploadClaim, validS: number): UploadRequest {
    const headers = { "x-amz-checksum-sha256": Buffer.from(sha256).toString("base64") };
    return this.#put({ object, offset: 0, length, validS, headers });
  }

  async #partRequests(object: string, { length }: UploadClaim, validS: number): Promise<readonly UploadRequest[]> {
    const { admin, partBytes } = this.#parts;
    let uploadId: string;
    try {
      uploadId = await admin.startUpload(object);
    } catch (thrown) {
      throw storeError(thrown);
    }
    return Array.from({ length: Math.ceil(length / partBytes) }, (_, index) => {
      const offset = index * partBytes;
      const query = { partNumber: String(index + 1), uploadId };
      return this.#put({ object, offset, length: Math.min(partBytes, length - offset), validS, query });
    });
  }

  #put({ object, offset, length, validS, query = {}, headers = {} }: Put): UploadRequest {
    const { endpoint, signer } = this.#parts;
    const { path } = endpoint.target(object);
    const signed = { "content-length": String(length), ...headers };
    const presigned = signer.presign({
      method: "PUT",
      host: endpoint.publicHost,
      path,
      query,
      headers: signed,
      validS,
    });
    return { url: endpoint.publicUrl(path, presigned.query), headers: signed, offset, length };
  }
}

/** Undefined when the upload is over. */
const partsOf = async (
  admin: S3Admin,
  object: string,
  uploadId: string,
): Promise<Awaited<ReturnType<S3Admin["partsOf"]>> | undefined> => {
  try {
    return await admin.partsOf(object, uploadId);
  } catch (thrown) {
    if (thrown instanceof S3Fault && thrown.code === "NoSuchUpload") return undefined;
    throw thrown;
  }
};

const secondsOf = (validMs: number): number => Math.min(validSMax, Math.max(1, Math.ceil(validMs / 1000)));
