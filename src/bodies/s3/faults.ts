/**
 * What a request to S3 can fail with, which failures are worth another try, and what the store makes of them.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 * @module
 */
import { StreamError } from "../../core/errors.ts";

/**
 * - `unreachable`: no whole answer came; the request may have been carried out
 * - `busy`: the server says that it cannot now
 * - `damaged`: the request did not arrive as it was sent
 * - `full`: no room, or a quota
 * - `missing`: no such object, or it ends before the range
 * - `no bucket`, `refused`: nothing will change before somebody changes the configuration
 */
export type S3FaultKind = "unreachable" | "busy" | "damaged" | "full" | "missing" | "no bucket" | "refused";

const retryableKinds: ReadonlySet<S3FaultKind> = new Set(["unreachable", "busy", "damaged"]);

/** A failed request. The message is for the log and holds neither keys nor signatures. */
export class S3Fault extends Error {
  override readonly name = "S3Fault";
  readonly kind: S3FaultKind;
  /** S3's error code, or "" when there was none. */
  readonly code: string;

  constructor(kind: S3FaultKind, message: string, code = "", cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.code = code;
  }

  /** Whether the same request may succeed a moment later. */
  get retryable(): boolean {
    return retryableKinds.has(this.kind);
  }
}

const kindOfCode: Readonly<Record<string, S3FaultKind>> = {
  NoSuchKey: "missing",
  NoSuchVersion: "missing",
  InvalidRange: "missing",
  NoSuchBucket: "no bucket",
  // Full disks and quotas have no common code: MinIO, Ceph, and what others chose.
  XMinioStorageFull: "full",
  XMinioAdminBucketQuotaExceeded: "full",
  QuotaExceeded: "full",
  InsufficientStorage: "full",
  InsufficientCapacity: "full",
  StorageFull: "full",
  EntityTooLarge: "refused",
  NotImplemented: "refused",
  // The answers to a body whose checksum is another, or that ends early.
  BadDigest: "damaged",
  InvalidDigest: "damaged",
  XAmzContentSHA256Mismatch: "damaged",
  XAmzContentChecksumMismatch: "damaged",
  IncompleteBody: "damaged",
  // 400, 403 or 409 with some servers, though they pass.
  RequestTimeout: "busy",
  SlowDown: "busy",
  SlowDownRead: "busy",
  SlowDownWrite: "busy",
  InternalError: "busy",
  ServiceUnavailable: "busy",
  OperationAborted: "busy",
};

const busyStatuses: ReadonlySet<number> = new Set([408, 425, 429, 499]);

/** The kind of an answer; `code` is "" when its body had none. */
export const faultKind = (status: number, code: string): S3FaultKind => {
  const known = kindOfCode[code];
  if (known !== undefined) return known;
  if (status === 507) return "full";
  if (status === 416) return "missing";
  return status >= 500 || busyStatuses.has(status) ? "busy" : "refused";
};

/** The error code of an answer's XML, or "". */
export const codeOf = (xml: string): string => /<Code>\s*([A-Za-z0-9._-]{1,64})\s*<\/Code>/.exec(xml)?.[1] ?? "";

/** Whatever was thrown; what nobody knows is a connection that broke. */
export const toFault = (thrown: unknown, what: string): S3Fault => {
  if (thrown instanceof S3Fault) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new S3Fault("unreachable", `${what}: ${reason}`, "", thrown);
};

/** Why a request failed, in one word. */
export const outcomeOf = (thrown: unknown): string => toFault(thrown, "S3").kind.replace(" ", "_");

const details: Readonly<Record<S3FaultKind, string>> = {
  unreachable: "The S3 store cannot be reached; the server's log has the cause.",
  busy: "The S3 store is too busy; try again.",
  damaged: "Requests to the S3 store arrive damaged; the server's log has the cause.",
  full: "The S3 store is full; free or add space, or raise its quota.",
  missing: "The object is gone from the S3 store, or a part of it.",
  "no bucket": "The bucket of the S3 store does not exist (any more).",
  refused: "The S3 store refuses the request; check its keys, region, bucket and the rights of its user.",
};

/** The error of a write, of `ready` and of `open`: `storage_full` or `unavailable`; a `StreamError` stays. */
export const storeError = (thrown: unknown): StreamError => {
  if (thrown instanceof StreamError) return thrown;
  const fault = toFault(thrown, "S3");
  const detail = fault.code === "" ? details[fault.kind] : `${details[fault.kind]} (${fault.code})`;
  return new StreamError(fault.kind === "full" ? "storage_full" : "unavailable", detail, {}, fault);
};

/** The error of a stream: `data_loss` when bytes are missing, else `unavailable`. */
export const streamError = (thrown: unknown): StreamError =>
  thrown instanceof S3Fault && thrown.kind === "missing"
    ? new StreamError("data_loss", details.missing, {}, thrown)
    : storeError(thrown);

/** The store was closed. */
export const closedError = (): StreamError => new StreamError("unavailable", "The body store is closed.");
