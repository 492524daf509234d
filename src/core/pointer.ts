/**
 * Pointers to stored bodies (`s3-pointer-v1`): who gets one fetches the bytes himself, from the bucket or from us.
 * @module
 */
import type { Headers } from "./message.ts";
import type { Subject } from "./subject.ts";

/** The format that pointers name. */
export const pointerFormat = "s3-pointer-v1";
/** Media type of a publish whose body is a pointer. */
export const pointerMediaType = "application/vnd.s3-pointer+json";

/** Where the bytes of a body are, and a signed address that gives just them for a while. */
export interface BodyPointer {
  readonly bucket: string;
  readonly key: string;
  /** First byte in the object, and how many there are in it (compressed ones, where the store compresses). */
  readonly offset: number;
  readonly length: number;
  /** SHA-256 of the body as it was published, 32 bytes. */
  readonly sha256: Uint8Array;
  /** Length of the body as it was published. */
  readonly size: number;
  /**
   * The codings of the bytes in the object, in the order in which they were applied: the publisher's own, which the
   * checksum includes, then `zstd` of the store, which it does not; undefined when there are none.
   */
  readonly contentEncoding?: string | undefined;
  /** GET it with `headers`, which are part of the signature. A path alone when it is our own and nobody knows where we are reached. */
  readonly url: string;
  readonly headers: Headers;
  /** Unix milliseconds until which the address works. */
  readonly expiresAtMs: number;
}

/** A place to put a body by oneself. */
export interface Upload {
  readonly bucket: string;
  /** Names the upload; only a publish to the subject that it was asked for accepts it. */
  readonly key: string;
  /** One request each, in any order; one of the whole body, or the parts of a large one. */
  readonly requests: readonly UploadRequest[];
  /** For parts: answered by `POST …/uploads/complete` when all of them are there. */
  readonly multipart: boolean;
  readonly expiresAtMs: number;
}

/** PUT the bytes from `offset` on, `length` of them, with these headers, which are part of the signature. */
export interface UploadRequest {
  readonly url: string;
  readonly headers: Headers;
  readonly offset: number;
  readonly length: number;
}

/** What a publisher says of a body that it is going to put, or has put, by itself. */
export interface UploadClaim {
  readonly subject: Subject;
  /** Length in bytes; 1 to the server's largest body. */
  readonly length: number;
  readonly sha256: Uint8Array;
}
