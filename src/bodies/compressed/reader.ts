/**
 * The reading half: bodies as they were published, whether they lie packed in the object or as they are.
 * @module
 */
import { assert, StreamError } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import { type BodyFault, type BodyStore, type ByteRange, isBodyFault } from "../contract.ts";
import { isDamage, unpack, unpackNow, unpackStream, unpacksNow } from "./zstd.ts";

/** Unpacked on the event loop's thread, in about 1 ms, before others get their turn. */
const turnBytesMax = 512 * 1024;
/** Large bodies unpacked at once, on other threads: there are no more of those. */
const parallelMax = 4;

/** See the module. */
export class DecompressingReader {
  readonly #store: BodyStore;

  constructor(store: BodyStore) {
    this.#store = store;
  }

  /** See `BodyStore.read`. Damaged bytes are a fault of their body alone. */
  async read(refs: readonly BodyRef[]): Promise<readonly (Uint8Array | BodyFault)[]> {
    if (!refs.some(isPacked)) return this.#store.read(refs);
    const results = [...(await this.#store.read(refs.map(storedRef)))];
    let turnBytes = 0;
    const large: number[] = [];
    for (const [index, ref] of refs.entries()) {
      const packed = results[index];
      if (!isPacked(ref) || packed === undefined || isBodyFault(packed)) continue;
      if (!unpacksNow(ref.length)) {
        large.push(index);
        continue;
      }
      if (turnBytes > turnBytesMax) {
        turnBytes = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
      turnBytes += ref.length;
      results[index] = unpackNow(packed, ref.length) ?? damaged;
    }
    const waiting = large.values();
    const work = async (): Promise<void> => {
      for (const index of waiting) {
        const [ref, packed] = [refs[index], results[index]];
        if (ref === undefined || packed === undefined || isBodyFault(packed)) continue;
        results[index] = (await unpack(packed, ref.length)) ?? damaged;
      }
    };
    // They share one iterator, so each body is unpacked by one of them.
    await Promise.all(Array.from({ length: parallelMax }, work));
    return results;
  }

  /** See `BodyStore.stream`. What lies before a range has to be unpacked too, chunk by chunk. */
  async *stream(ref: BodyRef, range: ByteRange = { start: 0, end: ref.length }): AsyncIterable<Uint8Array> {
    if (!isPacked(ref)) {
      yield* this.#store.stream(ref, range);
      return;
    }
    assert(range.start >= 0 && range.end <= ref.length, "the range lies inside the body");
    if (range.start >= range.end) return;
    let at = 0;
    try {
      for await (const chunk of unpackStream(this.#store.stream(storedRef(ref)))) {
        const start = at;
        at += chunk.length;
        if (at > ref.length) throw new StreamError("data_loss", "The stored body is longer than it was.");
        if (at > range.start) {
          yield chunk.subarray(Math.max(0, range.start - start), Math.min(chunk.length, range.end - start));
        }
        // The end of the whole body is looked at: there might be more.
        if (at >= range.end && range.end < ref.length) return;
      }
    } catch (thrown) {
      if (!isDamage(thrown)) throw thrown;
      throw new StreamError("data_loss", "The stored body cannot be unpacked.", {}, thrown);
    }
    if (at < ref.length) throw new StreamError("data_loss", "The stored body is shorter than it was.");
  }
}

const damaged: BodyFault = { fault: "missing", cause: new Error("The stored body cannot be unpacked.") };

const isPacked = ({ storedLength, length }: BodyRef): boolean => storedLength !== undefined && length > 0;

/** Where the packed bytes are. */
const storedRef = (ref: BodyRef): BodyRef =>
  ref.storedLength === undefined || ref.length === 0
    ? ref
    : { object: ref.object, offset: ref.offset, length: ref.storedLength, sha256: ref.sha256 };
