/**
 * Writes a large body as an object of its own while its chunks come: in one PUT when it fits into a part, else as a
 * multipart upload with a few parts in memory.
 * @module
 */
import type { S3Admin } from "./admin.ts";
import type { Buffers } from "./buffers.ts";
import type { S3Connection } from "./connection.ts";
import { closedError } from "./faults.ts";
import { largeObjectName } from "./names.ts";
import type { Retry } from "./retry.ts";
import { Slots } from "./slots.ts";
import { untilAborted } from "./until-aborted.ts";
import { Upload } from "./upload.ts";

/** Parts and whole bodies of all uploads on their way at once: 64 MiB, and enough for any line. */
const sendsMax = 8;

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

/** What was stored. */
export interface WrittenObject {
  readonly object: string;
  readonly length: number;
  readonly sha256: Uint8Array;
}

/** Writes objects; several at once. */
export class LargeObjectWriter {
  readonly #parts: LargeObjectWriterParts;
  readonly #slots = new Slots(sendsMax);
  readonly #underWay = new Set<Promise<WrittenObject>>();
  #closed = false;

  constructor(parts: LargeObjectWriterParts) {
    this.#parts = parts;
  }

  /** See `BodyStore.writeObject`. */
  async write(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<WrittenObject> {
    if (this.#closed) throw closedError();
    const task = this.#write(chunks, signal);
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

  async #write(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<WrittenObject> {
    const object = largeObjectName(this.#parts.newId());
    const upload = new Upload({ ...this.#parts, slots: this.#slots, object, signal });
    try {
      for await (const chunk of untilAborted(chunks, signal)) await upload.add(chunk);
      const { length, sha256 } = await upload.end();
      return { object: length === 0 ? "" : object, length, sha256 };
    } catch (thrown) {
      await upload.abort();
      throw thrown;
    }
  }
}
