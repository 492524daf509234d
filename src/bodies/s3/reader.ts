/**
 * Reads bodies out of objects.
 * @module
 */
import { assert } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import type { BodyFault, ByteRange } from "../contract.ts";
import { joinSpans, type Span } from "../spans.ts";
import { closedError, S3Fault, streamError } from "./faults.ts";
import type { RangeReader } from "./ranges.ts";

/** Requests of one call at once. */
const parallelReadsMax = 12;
/** Largest chunk of a stream, as the contract says. */
const chunkBytesMax = 1024 * 1024;
/** The first request of a stream is small, for a quick start, then each is twice the one before up to this. */
const windowBytesMax = 4 * 1024 * 1024;

const missing: BodyFault = { fault: "missing" };

/** The reading half of the store. */
export class BodyReader {
  readonly #ranges: RangeReader;
  #closed = false;

  constructor(ranges: RangeReader) {
    this.#ranges = ranges;
  }

  /** See `BodyStore.read`. */
  async read(refs: readonly BodyRef[]): Promise<readonly (Uint8Array | BodyFault)[]> {
    if (this.#closed) throw closedError();
    const results = refs.map((ref) => (ref.length === 0 ? new Uint8Array(0) : missing));
    const spans = joinSpans(refs).values();
    const work = async (): Promise<void> => {
      for (const span of spans) await this.#readSpan(refs, results, span);
    };
    // They share one iterator, so each span is read by one of them.
    await Promise.all(Array.from({ length: parallelReadsMax }, work));
    return results;
  }

  /**
   * See `BodyStore.stream`. It asks for window after window instead of leaving one answer open for as long as the
   * consumer takes: a few hundred slow ones would hold all connections of the process.
   */
  async *stream(ref: BodyRef, range: ByteRange = { start: 0, end: ref.length }): AsyncIterable<Uint8Array> {
    assert(range.start >= 0 && range.end <= ref.length, "the range lies inside the body");
    let windowBytes = chunkBytesMax;
    for (let start = range.start; start < range.end; ) {
      const length = Math.min(windowBytes, range.end - start);
      const window = await this.#window(ref, ref.offset + start, length);
      for (let at = 0; at < length; at += chunkBytesMax) yield window.subarray(at, at + chunkBytesMax);
      start += length;
      windowBytes = Math.min(windowBytesMax, windowBytes * 2);
    }
  }

  /** New reads are refused; those under way have a deadline of their own. */
  close(): void {
    this.#closed = true;
  }

  async #window(ref: BodyRef, position: number, length: number): Promise<Uint8Array> {
    if (this.#closed) throw closedError();
    try {
      const bytes = await this.#ranges.read(ref.object, position, position + length);
      if (bytes.length < length) throw new S3Fault("missing", `GET ${ref.object}: it ends before the range does`);
      return bytes;
    } catch (thrown) {
      throw streamError(thrown);
    }
  }

  async #readSpan(refs: readonly BodyRef[], results: (Uint8Array | BodyFault)[], span: Span): Promise<void> {
    let bytes: Uint8Array | undefined;
    let fault: BodyFault = missing;
    try {
      bytes = await this.#ranges.read(span.object, span.start, span.end);
    } catch (thrown) {
      const isMissing = thrown instanceof S3Fault && thrown.kind === "missing";
      fault = { fault: isMissing ? "missing" : "failed", cause: thrown };
    }
    for (const index of span.indices) {
      const ref = refs[index];
      if (ref === undefined) continue;
      const start = ref.offset - span.start;
      const end = start + ref.length;
      results[index] = bytes !== undefined && end <= bytes.length ? bytes.subarray(start, end) : fault;
    }
  }
}
