/**
 * Writes segments: each call becomes one object, sent in one PUT.
 * @module
 */
import { assert, StreamError } from "../../core/errors.ts";
import type { Placement } from "../contract.ts";
import type { Buffers } from "./buffers.ts";
import type { S3Connection } from "./connection.ts";
import { closedError, storeError } from "./faults.ts";
import { segmentName } from "./names.ts";
import type { Retry } from "./retry.ts";

/** Bodies on their way; more is refused, the committer above has its own, lower bound. A single larger call goes. */
const underWayBytesMax = 256 * 1024 * 1024;

/** What the writer is made of. */
export interface SegmentWriterParts {
  readonly connection: S3Connection;
  readonly retry: Retry;
  readonly newId: () => string;
  readonly buffers: Buffers;
}

/** See the module; calls overlap. */
export class SegmentWriter {
  readonly #parts: SegmentWriterParts;
  readonly #underWay = new Set<Promise<void>>();
  #underWayBytes = 0;
  #closed = false;

  constructor(parts: SegmentWriterParts) {
    this.#parts = parts;
  }

  /** @throws StreamError `storage_full`, `unavailable` */
  async write(bodies: readonly Uint8Array[]): Promise<readonly Placement[]> {
    if (this.#closed) throw closedError();
    if (bodies.length === 0) return [];
    const object = segmentName(this.#parts.newId());
    const { placements, bytes } = place(object, bodies);
    if (this.#underWay.size > 0 && this.#underWayBytes + bytes > underWayBytesMax) {
      throw new StreamError("unavailable", "Too many bodies wait to be written; try again.");
    }
    const put = this.#put(object, bodies, bytes);
    this.#underWay.add(put);
    this.#underWayBytes += bytes;
    try {
      await put;
    } catch (thrown) {
      throw storeError(thrown);
    } finally {
      this.#underWay.delete(put);
      this.#underWayBytes -= bytes;
    }
    return placements;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #put(object: string, bodies: readonly Uint8Array[], bytes: number): Promise<void> {
    const only = bodies.length === 1 ? bodies[0] : undefined;
    if (only !== undefined) return this.#putBytes(object, only);
    const buffer = this.#parts.buffers.take(bytes);
    let end = 0;
    for (const body of bodies) {
      buffer.set(body, end);
      end += body.length;
    }
    await this.#putBytes(object, buffer.subarray(0, bytes));
    // After a failure it is left to the collector.
    this.#parts.buffers.giveBack(buffer);
  }

  async #putBytes(object: string, body: Uint8Array): Promise<void> {
    // The same key and the same bytes each time: when a reply was lost, the object is written over by itself.
    const { connection, retry } = this.#parts;
    const bounds = { bytes: body.length };
    await retry.run((signal) => connection.send({ method: "PUT", object, body }, signal), bounds);
  }
}

const place = (
  object: string,
  bodies: readonly Uint8Array[],
): { readonly placements: readonly Placement[]; readonly bytes: number } => {
  let bytes = 0;
  const placements = bodies.map((body): Placement => {
    assert(body.length > 0, "a segment takes no empty body");
    const offset = bytes;
    bytes += body.length;
    return { object, offset };
  });
  return { placements, bytes };
};
