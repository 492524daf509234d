/**
 * One large body on its way to S3.
 * @module
 */
import type { S3Admin, UploadedPart } from "./admin.ts";
import type { Buffers } from "./buffers.ts";
import type { S3Answer, S3Connection } from "./connection.ts";
import { S3Fault, storeError } from "./faults.ts";
import { hexOf, sha256Hex } from "./hash.ts";
import { PartBuffer } from "./part-buffer.ts";
import type { Retry } from "./retry.ts";
import type { SendSlots } from "./send-slots.ts";
import { encodeQuery } from "./sigv4.ts";

/** Parts of one body on their way; beside them one is being filled. */
const partsUnderWayMax = 2;
/** Hashed at a time; this much takes 0.6 ms, during which nothing else runs. */
const hashedBytesMax = 1024 * 1024;

/** What an upload is made of. */
export interface UploadParts {
  readonly connection: S3Connection;
  readonly admin: S3Admin;
  readonly retry: Retry;
  readonly slots: SendSlots;
  readonly buffers: Buffers;
  readonly object: string;
  readonly partBytes: number;
  /** The caller's; ends the upload with the signal's reason. */
  readonly signal: AbortSignal | undefined;
}

/** `add` all, then `end`; after an error of either `abort`. */
export class Upload {
  readonly #parts: UploadParts;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();
  readonly #uploaded: UploadedPart[] = [];
  #buffer: PartBuffer;
  #uploadId: string | undefined;
  #partsSent = 0;
  #bytes = 0;
  #partHasFailed = false;

  constructor(parts: UploadParts) {
    this.#parts = parts;
    this.#buffer = new PartBuffer(parts.buffers, parts.partBytes);
    this.#signal =
      parts.signal === undefined ? this.#failed.signal : AbortSignal.any([this.#failed.signal, parts.signal]);
  }

  /** The chunk belongs to the source again when this resolves. */
  async add(chunk: Uint8Array): Promise<void> {
    for (let start = 0; start < chunk.length; ) {
      // Only when more comes: a body of exactly one part is no multipart upload.
      if (this.#buffer.isFull) await this.#sendPart();
      const piece = chunk.subarray(start, start + hashedBytesMax);
      const taken = this.#buffer.add(piece);
      this.#hasher.update(piece.subarray(0, taken));
      this.#bytes += taken;
      start += taken;
    }
  }

  /** Makes all of it an object, unless it is empty. */
  async end(): Promise<{ readonly length: number; readonly sha256: Uint8Array }> {
    const sha256 = new Uint8Array(this.#hasher.digest());
    if (this.#uploadId !== undefined) await this.#complete(this.#uploadId);
    else if (this.#bytes > 0) {
      // Of a body that goes at once the checksum is known already.
      await this.#step(this.#put(this.#buffer, "", hexOf(sha256)));
    }
    return { length: this.#bytes, sha256 };
  }

  /** Takes back what is there. What cannot be removed now is removed a day later, see `openS3Bodies`. */
  async abort(): Promise<void> {
    this.#failed.abort();
    // A part that arrives after the upload was removed would stay.
    await Promise.allSettled(this.#underWay);
    const { admin, object } = this.#parts;
    if (this.#uploadId !== undefined) await admin.abortUpload(object, this.#uploadId).catch(() => undefined);
  }

  async #complete(uploadId: string): Promise<void> {
    await this.#sendPart();
    await this.#step(Promise.all(this.#underWay));
    const { admin, object } = this.#parts;
    const parts = this.#uploaded.sort((a, b) => a.part - b.part);
    await this.#step(admin.completeUpload(object, uploadId, parts, this.#bytes, this.#signal));
  }

  /** Sends what was gathered; waits only when enough is under way. */
  async #sendPart(): Promise<void> {
    const { admin, buffers, object, partBytes } = this.#parts;
    // Not ended by an abort: an upload whose id is not known could not be removed.
    this.#uploadId ??= await this.#step(admin.startUpload(object));
    while (this.#partHasFailed || this.#underWay.size >= partsUnderWayMax)
      await this.#step(Promise.race(this.#underWay));
    const buffer = this.#buffer;
    this.#buffer = new PartBuffer(buffers, partBytes);
    this.#partsSent++;
    const sent = this.#putPart(buffer, this.#partsSent, this.#uploadId);
    this.#underWay.add(sent);
    sent.then(
      () => this.#underWay.delete(sent),
      () => {
        // It stays, so that whoever waits next learns of it.
        this.#partHasFailed = true;
      },
    );
  }

  async #putPart(buffer: PartBuffer, part: number, uploadId: string): Promise<void> {
    const query = `partNumber=${part}&uploadId=${encodeQuery(uploadId)}`;
    const { headers } = await this.#put(buffer, query, await sha256Hex(buffer.bytes));
    const etag = headers.get("etag")?.replaceAll('"', "") ?? "";
    if (etag === "") throw new S3Fault("refused", "PUT of a part: the answer has no ETag");
    this.#uploaded.push({ part, etag });
  }

  async #put(buffer: PartBuffer, query: string, bodySha256: string): Promise<S3Answer> {
    const { connection, retry, slots, object } = this.#parts;
    const body = buffer.bytes;
    // Sent again it is the same part of the same upload, or the same object.
    const request = { method: "PUT", object, query, body, bodySha256 } as const;
    const bounds = { bytes: body.length, signal: this.#signal };
    const answer = await slots.run(body.length, () => retry.run((signal) => connection.send(request, signal), bounds));
    // After a failure it is left to the collector.
    buffer.giveBack();
    return answer;
  }

  /** Awaits a step and turns its failure, but not an abort by the caller, into the error of the store. */
  async #step<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (thrown) {
      this.#parts.signal?.throwIfAborted();
      throw storeError(thrown);
    }
  }
}
