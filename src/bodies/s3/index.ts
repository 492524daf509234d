/**
 * Bodies in a bucket of any S3 server. Every segment write makes an object of its own, every large body too; objects
 * are never changed. Many nodes may share a bucket and a prefix.
 *
 * Uses PutObject, GetObject with ranges, HeadBucket, CreateBucket, ListObjectsV2, HeadObject, DeleteObjects (or, where
 * that is refused, DeleteObject) and multipart uploads; the user needs the rights to those. Signed addresses lead others
 * to GetObject, PutObject and UploadPart with the same rights. A bucket should have a rule that aborts incomplete
 * uploads; where there is none, each start and each listing removes those that nobody finishes any more.
 * @module
 */
import type { CallObserver } from "../../core/calls.ts";
import type { BodyStore } from "../contract.ts";
import { uploadKeyFrom, verifiedUpload } from "../uploads.ts";
import { S3Admin } from "./admin.ts";
import { BodyChecks, type ChecksumChoice } from "./body-checks.ts";
import { Buffers } from "./buffers.ts";
import { S3Connection } from "./connection.ts";
import { Endpoint, type S3Address } from "./endpoint.ts";
import { closedError, S3Fault, storeError } from "./faults.ts";
import { LargeObjectWriter } from "./large-objects.ts";
import { isSafeName, randomId } from "./names.ts";
import { Addresses } from "./pointers.ts";
import { RangeReader } from "./ranges.ts";
import { BodyReader } from "./reader.ts";
import { ObjectRemover } from "./remove.ts";
import { Retry } from "./retry.ts";
import { SegmentWriter } from "./segments.ts";
import { type Credentials, Signer } from "./sigv4.ts";

export type { ChecksumChoice } from "./body-checks.ts";
export { bucketPattern, prefixPattern } from "./endpoint.ts";

/** A request and its retries in milliseconds, beside 0.5 ms for every KiB that it moves. */
const deadlineMsDefault = 8000;
/** `ready` has to tell soon; less when the deadline is less. */
const readyMsMax = 2000;
/** Large enough that a request hardly counts, small enough that three of them may be in memory. */
const partBytesDefault = 8 * 1024 * 1024;
/** An upload that began this long ago is nobody's any more: a body is 64 MiB at most. */
const uploadMsMax = 24 * 60 * 60 * 1000;

/** Where, as whom, and how. `host` … `prefix` see `S3Address`. */
export interface S3BodiesOptions extends S3Address, Credentials {
  /** What is sent with a body so that the server can verify it; `auto`, see `body-checks.ts`. */
  readonly checksum?: ChecksumChoice | undefined;
  /** Certificates in PEM that are trusted in place of the system's, for a server with one of its own. */
  readonly ca?: string | undefined;
  /** A request and its retries, in milliseconds; 8000. */
  readonly deadlineMs?: number | undefined;
  /** Largest body that goes in one request, and the parts of larger ones; 8 MiB, 5 MiB at least. */
  readonly partBytes?: number | undefined;
  /** Unix milliseconds; requests are signed with it, and S3 refuses those that are 15 minutes off. */
  readonly nowMs?: () => number;
  /** 0 <= random < 1, for the delays between retries. */
  readonly random?: () => number;
  /** 19 characters of `0-9a-z`, never the same twice. */
  readonly newId?: () => string;
  /** Told of each request, repetitions included, by its method. */
  readonly observe?: CallObserver | undefined;
}

/**
 * Opens the store; makes the bucket when there is none.
 * @throws StreamError `unavailable` when the server cannot be reached within the deadline or refuses
 */
export const openS3Bodies = async (options: S3BodiesOptions): Promise<BodyStore> => {
  const { ca, checksum = "auto", deadlineMs = deadlineMsDefault, partBytes = partBytesDefault } = options;
  const { nowMs = Date.now, random = Math.random, newId = () => randomId(nowMs()) } = options;
  const { accessKey, secretKey, region, observe } = options;
  const credentials = { accessKey, secretKey, region };
  const endpoint = new Endpoint(options);
  const signer = new Signer(credentials, nowMs);
  const connection = new S3Connection(endpoint, signer, new BodyChecks(checksum, options), ca, observe);
  const retry = new Retry({ deadlineMs, random, elapsedMs: () => performance.now() });
  const admin = new S3Admin({ address: options, credentials, endpoint, ca, retry, requestMsMax: deadlineMs, observe });
  const buffers = new Buffers(partBytes);
  const segments = new SegmentWriter({ connection, retry, newId, buffers });
  const objects = new LargeObjectWriter({ connection, admin, retry, newId, buffers, partBytes });
  const reader = new BodyReader(new RangeReader({ connection, retry }));
  const remover = new ObjectRemover(admin);
  const { bucket, prefix } = options;
  const uploadKey = uploadKeyFrom(secretKey, `${bucket}/${prefix}`);
  const addresses = new Addresses({ bucket, endpoint, signer, admin, uploadKey, partBytes, nowMs });
  const readyMs = Math.min(readyMsMax, deadlineMs);
  const probe = (): Promise<void> => retry.run((signal) => probeBucket(connection, signal), { deadlineMs: readyMs });

  try {
    await admin.ensureBucket();
  } catch (thrown) {
    admin.close();
    throw await reasonOf(thrown, probe);
  }
  const closing = new AbortController();
  // Nobody waits for it, and it is tried again the next time.
  const sweepUploads = (): Promise<void> =>
    admin.abortUploads(nowMs() - uploadMsMax, nowMs(), closing.signal).catch(() => undefined);
  let swept = sweepUploads();
  let closed = false;
  const size = async (object: string): Promise<number | null> =>
    isSafeName(object) ? ((await admin.sizeOf(object)) ?? null) : null;
  const stream: BodyStore["stream"] = (ref, range) => reader.stream(ref, range);

  return {
    writeSegment: (bodies) => segments.write(bodies),
    writeObject: (body, signal) => objects.write(body, signal),
    read: (refs) => reader.read(refs),
    stream,
    size,
    list: () => {
      swept = Promise.all([swept, sweepUploads()]).then(() => undefined);
      return admin.list();
    },
    remove: async (objects) => {
      if (closed) throw closedError();
      return remover.remove(objects);
    },
    pointer: async (ref, validMs) => addresses.pointer(ref, validMs),
    openUpload: async (claim, validMs, parts) => {
      if (closed) throw closedError();
      return addresses.open(claim, validMs, parts);
    },
    completeUpload: (claim, key) => addresses.complete(claim, key),
    takeUpload: async (claim, key) => {
      const object = addresses.objectOf(claim, key);
      const asked = (): Promise<number | null> =>
        size(object).catch((thrown: unknown) => {
          throw storeError(thrown);
        });
      return verifiedUpload({ size: asked, stream }, claim, object);
    },
    ready: async () => {
      if (closed) throw closedError();
      await probe().catch((thrown: unknown) => {
        throw storeError(thrown);
      });
    },
    close: async () => {
      closed = true;
      closing.abort();
      reader.close();
      await Promise.all([segments.close(), objects.close(), swept]);
      admin.close();
    },
  };
};

/** HEAD is the cheapest question there is, but its answer has no body and so no reason; a listing of one has. */
const probeBucket = async (connection: S3Connection, signal: AbortSignal): Promise<void> => {
  try {
    await connection.send({ method: "HEAD", object: "" }, signal);
  } catch (thrown) {
    if (!(thrown instanceof S3Fault) || thrown.retryable) throw thrown;
    await connection.send({ method: "GET", object: "", query: "list-type=2&max-keys=1" }, signal);
  }
};

/** The same for an opening that failed: a HEAD that is refused does not say whether it was the key or the bucket. */
const reasonOf = async (thrown: unknown, probe: () => Promise<void>): Promise<Error> => {
  if (!(thrown instanceof S3Fault) || thrown.retryable) return storeError(thrown);
  return storeError(
    await probe().then(
      () => thrown,
      (reason: unknown) => reason,
    ),
  );
};
