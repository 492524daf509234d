/**
 * Signed addresses of bodies in files, which the server itself serves at `/v1/bodies/{token}`: where an S3 store leads
 * clients to the bucket, this one leads them back here, under the same conditions.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import type { BodyPointer, Upload, UploadClaim } from "../../core/pointer.ts";
import { chunksOf } from "../chunks.ts";
import type { BodyStore, SignedAddresses } from "../contract.ts";
import { UploadNames, uploadKeyFrom, uploadNotFound, verifiedUpload } from "../uploads.ts";
import { writing } from "./faults.ts";
import type { LargeObjectWriter } from "./large-objects.ts";
import { readSecret } from "./secret.ts";
import { Tokens } from "./tokens.ts";

/** Where a bucket would stand. */
const bucket = "files";
const pathOf = (token: string): string => `/v1/bodies/${token}`;

/** What the addresses are made of. */
export interface AddressesParts {
  /** Folder of the store. */
  readonly path: string;
  readonly objects: LargeObjectWriter;
  readonly store: Pick<BodyStore, "size" | "stream">;
  /** Unix milliseconds. */
  readonly nowMs: () => number;
}

interface Keys {
  readonly tokens: Tokens;
  readonly names: UploadNames;
}

/** See the module. */
export class Addresses implements SignedAddresses {
  readonly #parts: AddressesParts;
  #keys: Promise<Keys> | undefined;

  constructor(parts: AddressesParts) {
    this.#parts = parts;
  }

  /** See `BodyStore.pointer`. */
  async pointer(ref: BodyRef, validMs: number): Promise<BodyPointer> {
    const { tokens } = await this.#opened();
    const { object, offset, length: size, sha256, storedLength } = ref;
    const length = storedLength ?? size;
    const expiresAtMs = this.#parts.nowMs() + validMs;
    const url = pathOf(tokens.forReading({ object, offset, length }, expiresAtMs));
    const contentEncoding = storedLength === undefined ? undefined : "zstd";
    return { bucket, key: object, offset, length, sha256, size, contentEncoding, url, headers: {}, expiresAtMs };
  }

  /** See `BodyStore.openUpload`; in one request, which this server streams whatever its length. */
  async open(claim: UploadClaim, validMs: number): Promise<Upload> {
    const { tokens, names } = await this.#opened();
    const { length, sha256 } = claim;
    const expiresAtMs = this.#parts.nowMs() + validMs;
    const key = names.create(claim, expiresAtMs);
    const url = pathOf(tokens.forPutting({ object: key, length, sha256 }, expiresAtMs));
    const headers = { "content-length": String(length) };
    return { bucket, key, requests: [{ url, headers, offset: 0, length }], multipart: false, expiresAtMs };
  }

  /** See `BodyStore.completeUpload`: there are no parts to be joined. */
  async complete(claim: UploadClaim, key: string): Promise<void> {
    const { names } = await this.#opened();
    names.check(claim, key);
    if ((await this.#parts.store.size(key)) === null) throw uploadNotFound();
  }

  /** See `BodyStore.takeUpload`. */
  async take(claim: UploadClaim, key: string): Promise<BodyRef> {
    const { names } = await this.#opened();
    names.check(claim, key);
    return verifiedUpload(this.#parts.store, claim, key);
  }

  async read(token: string): Promise<{ readonly length: number; readonly bytes: AsyncIterable<Uint8Array> }> {
    const { tokens } = await this.#opened();
    const { object, offset, length } = tokens.reading(token);
    if (length === 0) return { length, bytes: chunksOf(new Uint8Array(0)) };
    const { store } = this.#parts;
    // Told before the first byte is sent.
    if (((await store.size(object)) ?? 0) < offset + length) {
      throw new StreamError("data_loss", "The stored body is gone, or a part of it.");
    }
    return { length, bytes: store.stream({ object, offset, length, sha256: new Uint8Array(0) }) };
  }

  async write(token: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const { tokens } = await this.#opened();
    await this.#parts.objects.writeUpload(tokens.putting(token), source, signal);
  }

  /** The secret is read, or made, when the first address is wanted. */
  #opened(): Promise<Keys> {
    this.#keys ??= this.#open().catch((thrown: unknown) => {
      // Another try may succeed.
      this.#keys = undefined;
      throw thrown;
    });
    return this.#keys;
  }

  async #open(): Promise<Keys> {
    const { path, nowMs } = this.#parts;
    const secret = await writing(readSecret(path));
    return { tokens: new Tokens(secret, nowMs), names: new UploadNames(uploadKeyFrom(secret, ""), nowMs) };
  }
}
