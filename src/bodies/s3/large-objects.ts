/**
 * Writes a large body as an object of its own while its chunks come: in one PUT when it fits into a part, else as a
 * multipart upload with a few parts in memory. One that is in memory already is sent from where it is.
 * @module
 */

import type { BodyRef } from "../../core/message.ts";
import { chunksOf } from "../chunks.ts";
import { untilAborted } from "../until-aborted.ts";
import type { S3Admin } from "./admin.ts";
import type { Buffers } from "./buffers.ts";
import type { S3Connection } from "./connection.ts";
import { closedError, storeError } from "./faults.ts";
import { hexOf, sha256Of } from "./hash.ts";
import { largeObjectName } from "./names.ts";
import type { Retry } from "./retry.ts";
import { SendSlots } from "./send-slots.ts";
import { Upload } from "./upload.ts";

/** What the writer is made of. */
export interface LargeObjectWriterParts {
  readonly connection: S3Connection;
  readonly admin: S3Admin;
  readonly retry: Retry;
  readonly newId: () => string;
  readonly buffers: Buffers;
  /** At least 5 MiB, which S3 asks for. */
  readonly partBytes: number;
}

/** Writes objects; several at once. */
export class LargeObjectWriter {
  readonly #parts: LargeObjectWriterParts;
  readonly #slots = new SendSlots();
  readonly #underWay = new Set<Promise<BodyRef>>();
  #closed = false;

  constructor(parts: LargeObjectWriterParts) {
    this.#parts = parts;
  }

  /** See `BodyStore.writeObject`. */
  async write(body: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal | undefined): Promise<BodyRef> {
    if (this.#closed) throw closedError();
    const task = this.#write(body, signal);
    this.#underWay.add(task);
    try {
      return await task;
    } finally {
      this.#underWay.delete(task);
    }
  }

  /** Waits for the objects under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #write(body: AsyncIterable<Uint8Array> | Uint8Array, signal: AbortSignal | undefined): Promise<BodyRef> {
    if (!(body instanceof Uint8Array)) return this.#writeChunks(body, signal);
    return body.length > this.#parts.partBytes
      ? this.#writeChunks(chunksOf(body), signal)
      : this.#writeWhole(body, signal);
  }

  async #writeWhole(body: Uint8Array, signal: AbortSignal | undefined): Promise<BodyRef> {
    signal?.throwIfAborted();
    const length = body.length;
    // Sending waits for it only when it goes along.
    const hashing = sha256Of(body);
    if (length === 0) return { object: "", offset: 0, length, sha256: await hashing };
    const { connection, retry, newId } = this.#parts;
    const object = largeObjectName(newId());
    // Sent again it is the same object.
    const request = { method: "PUT", object, body, bodySha256: hashing.then(hexOf) } as const;
    try {
      await this.#slots.run(length, () =>
        retry.run((attempt) => connection.send(request, attempt), { bytes: length, signal }),
      );
    } catch (thrown) {
      signal?.throwIfAborted();
      throw storeError(thrown);
    }
    return { object, offset: 0, length, sha256: await hashing };
  }

  async #writeChunks(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<BodyRef> {
    const object = largeObjectName(this.#parts.newId());
    const upload = new Upload({ ...this.#parts, slots: this.#slots, object, signal });
    try {
      for await (const chunk of untilAborted(chunks, signal)) await upload.add(chunk);
      const { length, sha256 } = await upload.end();
      return { object: length === 0 ? "" : object, offset: 0, length, sha256 };
    } catch (thrown) {
      await upload.abort();
      throw thrown;
    }
  }
}
