/**
 * What the broker asks of a body store: durable bytes under opaque names. It knows nothing of subjects or sequences.
 * Every driver passes `src/bodies/cases.ts`.
 *
 * Rules for every driver:
 * - A promise that resolves means durable: the bytes survive a power cut.
 * - Object names are the driver's own choice, never contain a subject, are never reused, and fit `objectNamePattern`.
 * - A failed write leaves nothing that a later read could take for a body that was asked for; left-over bytes are
 *   orphans. Errors are `StreamError`: `storage_full`, `unavailable`.
 * - Stores do not verify checksums on reading (the one reader above them does), and never shorten a read: a range
 *   that is not wholly there is a fault of that range alone.
 * @module
 */
import type { BodyRef } from "../core/message.ts";
import type { BodyPointer, Upload, UploadClaim } from "../core/pointer.ts";

/** What an object name may look like, so that it is safe as a file name and as an S3 key. */
export const objectNamePattern = /^[a-z0-9][a-z0-9._/-]{0,200}$/;

/**
 * What a write is for: `publish` is waited for. A `copy`, of a body that is stored already, holds no publish up, and may
 * be kept apart from them: what has lived for so long mostly goes on to, and need not be copied again soon.
 */
export type WriteKind = "publish" | "copy";

/** Where one body of a segment write landed. */
export interface Placement {
  readonly object: string;
  readonly offset: number;
  /** See `BodyRef.storedLength`. */
  readonly storedLength?: number | undefined;
}

/** A range that could not be read: `missing` (no such object, or shorter than the range) or `failed` (try again). */
export interface BodyFault {
  readonly fault: "missing" | "failed";
  readonly cause?: unknown;
}

/** A half-open byte range inside a body. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** An object as a listing shows it. */
export interface StoredObject {
  readonly object: string;
  readonly bytes: number;
  /** Unix milliseconds of its last write; of an upload that may still be published, until when it may be. */
  readonly modifiedAtMs: number;
}

/** Durable bytes. */
export interface BodyStore {
  /**
   * Writes many bodies as one durable write; a driver may append to a segment it keeps open or make a new object each
   * time. Placements have the order of the bodies. Calls may overlap. No body is empty.
   * @param kind `publish` when left out
   * @throws StreamError `storage_full`, `unavailable`; then none of the bodies counts as written
   */
  writeSegment(bodies: readonly Uint8Array[], kind?: WriteKind): Promise<readonly Placement[]>;

  /**
   * Writes one large body as an object of its own, chunk by chunk; at most a few chunks are in memory at once. When
   * the source throws, or the signal aborts, the partial object is removed and the error passed on. A body that is in
   * memory anyway comes whole; nobody changes it until this settles.
   */
  writeObject(body: AsyncIterable<Uint8Array> | Uint8Array, signal?: AbortSignal): Promise<BodyRef>;

  /**
   * Reads whole bodies, neighbouring ranges of one object in one request; results have the order of the refs. The
   * results may share one buffer. A ref of length 0 yields an empty array without a read.
   */
  read(refs: readonly BodyRef[]): Promise<readonly (Uint8Array | BodyFault)[]>;

  /**
   * Streams a range of one body in chunks of at most 1 MiB. Rejects while iterating: `data_loss` when bytes are missing,
   * `unavailable` when the store does not answer.
   */
  stream(ref: BodyRef, range?: ByteRange): AsyncIterable<Uint8Array>;

  /** Bytes of an object, also of one that another program put there; null when there is none. */
  size(object: string): Promise<number | null>;

  /** All objects, in no certain order, page by page; for the sweeps. Objects written meanwhile may or may not come. */
  list(): AsyncIterable<readonly StoredObject[]>;

  /**
   * Deletes objects; one that is not there counts as deleted. Durable when it resolves. Reads that are under way end
   * with the bytes or with a fault, never with other bytes.
   * @returns those that could not be deleted now
   * @throws StreamError `unavailable` when nothing could be asked of the store
   */
  remove(objects: readonly string[]): Promise<readonly string[]>;

  /**
   * Ends appending to these objects: later writes go elsewhere. Undefined for a driver that never appends.
   */
  seal?(objects: readonly string[]): Promise<void>;

  /**
   * A pointer to one body, with an address that gives just its bytes (a range is part of the signature, as neighbours
   * in the object may belong to others) for so long. No request to the store is made. Of the codings it tells the
   * store's own; those of the publisher are not known here.
   */
  pointer(ref: BodyRef, validMs: number): Promise<BodyPointer>;

  /**
   * Opens an upload for a body that a client puts by itself; length and SHA-256 are conditions of the signature where
   * the store can check them. `parts`: in parts, for a body larger than one. When its time is over it can neither be
   * put nor completed nor taken, and what was never published is an orphan.
   * @throws StreamError `unavailable`
   */
  openUpload(claim: UploadClaim, validMs: number, parts: boolean): Promise<Upload>;

  /** Joins the parts of an upload; again is fine. @throws StreamError `upload_not_found`, `upload_mismatch` */
  completeUpload(claim: UploadClaim, key: string): Promise<void>;

  /**
   * The body of an upload, after its length and SHA-256 were checked against the stored bytes.
   * @throws StreamError `upload_not_found` (not put yet, or opened for another subject), `upload_mismatch`
   */
  takeUpload(claim: UploadClaim, key: string): Promise<BodyRef>;

  /**
   * The store's own addresses, for one that has none that clients could reach (files): what `pointer` and `openUpload`
   * signed, given back by whoever serves HTTP. Undefined where addresses lead to the store itself.
   */
  readonly addresses?: SignedAddresses | undefined;

  /** Resolves when the store answers; rejects with the reason when it does not. */
  ready(): Promise<void>;

  /** Finishes what is under way and lets go of files and sockets. */
  close(): Promise<void>;
}

/** Signed addresses that this server serves itself; `token` is what stood in the address. */
export interface SignedAddresses {
  /** @throws StreamError `permission_denied` when it is not signed, has expired, or is none for reading; `data_loss` */
  read(token: string): Promise<{ readonly length: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  /** Stores an upload. @throws StreamError as `read`, `upload_mismatch` when length or checksum differ */
  write(token: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
}

/** Whether a read result is a fault. */
export const isBodyFault = (result: Uint8Array | BodyFault): result is BodyFault => "fault" in result;
