/**
 * Names of objects: what kind, a part by chance, when, and enough chance that none is ever used twice.
 *
 * ```
 * s/<2>/<17>   segments, `s/k3/0mh8x3k2p7d1v0aaq`
 * o/<2>/<17>   large bodies
 * u/<2>/<…>    bodies that publishers put by themselves, see `../uploads.ts`
 * ```
 * The part by chance comes first because S3 spreads its load by the front of the key, and because a server that keeps
 * folders gets 1296 middling ones in place of a huge one.
 * @module
 */
import { isUploadName, uploadPrefix } from "../uploads.ts";

/** Fronts of all names. */
export const namePrefixes: readonly string[] = ["s/", "o/", uploadPrefix];

const ownName = /^[so]\/[0-9a-z]{2}\/[0-9a-z]{17}$/;
const segmentOfDots = /(?:^|\/)\.{1,2}(?:\/|$)/;

const chanceMax = 36 ** 10;
const digits = (value: number, length: number): string => value.toString(36).padStart(length, "0");

/** 19 characters of 0-9a-z: 2 by chance, 9 of milliseconds, 8 by chance. */
export const randomId = (nowMs: number): string => {
  const chance = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
  const text = digits(Number(chance % BigInt(chanceMax)), 10);
  return text.slice(0, 2) + digits(nowMs, 9) + text.slice(2);
};

/** The name of a new segment. */
export const segmentName = (id: string): string => `s/${id.slice(0, 2)}/${id.slice(2)}`;

/** The name of a new large body. */
export const largeObjectName = (id: string): string => `o/${id.slice(0, 2)}/${id.slice(2)}`;

/** Whether this store made the name: others' objects in the same bucket are none of its business. */
export const isOwnName = (object: string): boolean => ownName.test(object) || isUploadName(object);

/** What S3 takes as a key: 1024 bytes, and no control characters, which its XML answers cannot carry. */
const keyPattern = /^[^\p{Cc}]{1,1024}$/u;

/**
 * Whether a name may become part of a URL: metadata that was tampered with must not lead out of the bucket. Old clients
 * choose the names of their objects themselves, so that more than our own names is read.
 */
export const isSafeName = (object: string): boolean =>
  keyPattern.test(object) && Buffer.byteLength(object) <= 1024 && !segmentOfDots.test(object);
