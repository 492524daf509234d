/**
 * Names of uploads, shared by the drivers. A name says itself whom it was made for: it ends in two MACs, one of the
 * subject, one of the body that was announced. So nothing is remembered of an upload, every node that has the same
 * secret knows it again, and nobody makes one up.
 *
 * ```
 * u/<2>/<9><8>-<32>-<32>    by chance; until when, in milliseconds; by chance; the MACs
 * ```
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { StreamError } from "../core/errors.ts";
import type { BodyRef } from "../core/message.ts";
import type { UploadClaim } from "../core/pointer.ts";
import type { BodyStore, StoredObject } from "./contract.ts";

/** Front of all names of uploads. */
export const uploadPrefix = "u/";

const uploadName = /^(u\/[0-9a-z]{2}\/([0-9a-z]{9})[0-9a-z]{8})-([0-9a-f]{32})-([0-9a-f]{32})$/;
const chanceMax = 36 ** 10;

/** Whether an upload has this name, forged or not. */
export const isUploadName = (object: string): boolean => uploadName.test(object);

/** Unix milliseconds until which an upload may be put and published, or undefined when it is not the name of one. */
export const uploadExpiresAtMs = (object: string): number | undefined => {
  const until = uploadName.exec(object)?.[2];
  return until === undefined ? undefined : Number.parseInt(until, 36);
};

/** An object for the listing. An upload counts as written until it can no longer be published: no orphan before. */
export const listedObject = (object: string, bytes: number, modifiedAtMs: number): StoredObject => ({
  object,
  bytes,
  modifiedAtMs: Math.max(modifiedAtMs, uploadExpiresAtMs(object) ?? 0),
});

/** A secret of so many bytes makes the key that uploads are named with. */
export const uploadKeyFrom = (secret: string | Uint8Array, scope: string): Uint8Array =>
  createHmac("sha256", secret).update(`minitoolstream uploads 1\n${scope}`).digest();

/** Makes and checks names. */
export class UploadNames {
  readonly #key: Uint8Array;
  readonly #nowMs: () => number;

  /** @param nowMs Unix milliseconds */
  constructor(key: Uint8Array, nowMs: () => number) {
    this.#key = key;
    this.#nowMs = nowMs;
  }

  /** A name for the claim, never the same twice. */
  create(claim: UploadClaim, expiresAtMs: number): string {
    const number = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
    const chance = Number(number % BigInt(chanceMax))
      .toString(36)
      .padStart(10, "0");
    const front = `${uploadPrefix}${chance.slice(0, 2)}/${expiresAtMs.toString(36).padStart(9, "0")}${chance.slice(2)}`;
    return `${front}-${this.#subjectMac(front, claim)}-${this.#bodyMac(front, claim)}`;
  }

  /**
   * Checks that a name was made for this claim and has not expired.
   * @throws StreamError `upload_not_found`, `upload_mismatch`
   */
  check(claim: UploadClaim, object: string): void {
    const [, front = "", , subjectMac = "", bodyMac = ""] = uploadName.exec(object) ?? [];
    if (front === "" || !isEqual(subjectMac, this.#subjectMac(front, claim))) throw uploadNotFound();
    if ((uploadExpiresAtMs(object) ?? 0) <= this.#nowMs()) {
      throw new StreamError("upload_not_found", "The upload has expired; open another one.");
    }
    if (!isEqual(bodyMac, this.#bodyMac(front, claim))) {
      throw new StreamError("upload_mismatch", "The upload was opened for a body of another length or checksum.");
    }
  }

  #subjectMac(front: string, { subject }: UploadClaim): string {
    return this.#mac(`subject\n${front}\n${subject}`);
  }

  #bodyMac(front: string, { length, sha256 }: UploadClaim): string {
    return this.#mac(`body\n${front}\n${length}\n${Buffer.from(sha256).toString("hex")}`);
  }

  #mac(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("hex").slice(0, 32);
  }
}

/** Of one length, compared in a time that tells nothing. */
const isEqual = (given: string, wanted: string): boolean =>
  given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted));

/**
 * The body of an upload whose name was checked, after its stored bytes were.
 * @throws StreamError `upload_not_found`, `upload_mismatch`, `unavailable`
 */
export const verifiedUpload = async (
  store: Pick<BodyStore, "size" | "stream">,
  { length, sha256 }: UploadClaim,
  object: string,
): Promise<BodyRef> => {
  const bytes = await store.size(object);
  if (bytes === null) throw uploadNotFound();
  if (bytes !== length) throw uploadMismatch(`It has ${bytes} bytes, ${length} were announced.`);
  const ref: BodyRef = { object, offset: 0, length, sha256 };
  const hasher = new Bun.CryptoHasher("sha256");
  try {
    for await (const chunk of store.stream(ref)) hasher.update(chunk);
  } catch (thrown) {
    // Removed meanwhile: until it expires it is no orphan, but others may have the key of the bucket.
    if (thrown instanceof StreamError && thrown.code === "data_loss") throw uploadNotFound(thrown);
    throw thrown;
  }
  if (Buffer.compare(hasher.digest(), sha256) !== 0) throw uploadMismatch("It has another SHA-256 than was announced.");
  return ref;
};

/** There is no such upload for this subject, or nothing was put there. */
export const uploadNotFound = (cause?: unknown): StreamError =>
  new StreamError("upload_not_found", "There is no such upload for this subject, or it was not put yet.", {}, cause);

/** What was put is not what was announced. */
export const uploadMismatch = (detail: string): StreamError => new StreamError("upload_mismatch", detail);
