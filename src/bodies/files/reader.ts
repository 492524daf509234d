/**
 * Reads bodies out of files.
 * @module
 */
import { assert, StreamError } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import type { BodyFault, ByteRange } from "../contract.ts";
import { joinSpans, type Span } from "../spans.ts";
import { isAbsent } from "./faults.ts";
import type { ReadHandles } from "./handles.ts";
import type { FileHandle, FileIo } from "./io.ts";
import { LatencyGate } from "./latency-gate.ts";

/** A read of up to this size may happen on this thread: 0.1 ms from the page cache, half of what the hop costs. */
const readNowBytesMax = 1024 * 1024;
/** What one call may read on this thread before the others get their turn; a request counts as this much at least. */
const readNowBudgetBytes = 2 * 1024 * 1024;
const readNowCostMin = 32 * 1024;
/** Above this, reads leave the thread. */
const readNowMsMax = 1;
/**
 * Of a span of which less than half was asked for, this much is read at a time, and the bodies are copied out of it:
 * into memory that is used again, as new memory of such sizes costs more than the read, and is held for a few bodies.
 */
const sparseBytesMax = 256 * 1024;
/** Requests of one call that are under way at once. */
const parallelReadsMax = 4;
/** Largest chunk of a stream, as the contract says. */
const chunkBytesMax = 1024 * 1024;

const missing: BodyFault = { fault: "missing" };

/** What one call of `read` shares between its requests. */
interface Reading {
  readonly refs: readonly BodyRef[];
  readonly results: (Uint8Array | BodyFault)[];
  nowBudgetBytes: number;
}

/** The reading half of the store. */
export class BodyReader {
  readonly #io: FileIo;
  readonly #handles: ReadHandles;
  readonly #gate = new LatencyGate(readNowMsMax);
  /** Of `sparseBytesMax` each; nobody reads into them now. */
  readonly #scratches: Uint8Array[] = [];
  #scratchCount = 0;

  constructor(io: FileIo, handles: ReadHandles) {
    this.#io = io;
    this.#handles = handles;
  }

  /** See `BodyStore.read`. */
  async read(refs: readonly BodyRef[]): Promise<readonly (Uint8Array | BodyFault)[]> {
    const results = refs.map((ref) => (ref.length === 0 ? new Uint8Array(0) : missing));
    const reading: Reading = { refs, results, nowBudgetBytes: readNowBudgetBytes };
    const spans = joinSpans(refs)
      .flatMap((span) => [...piecesOf(span, refs)])
      .values();
    const work = async (): Promise<void> => {
      for (const span of spans) await this.#readSpan(reading, span);
    };
    // They share one iterator, so each span is read by one of them.
    await Promise.all(Array.from({ length: parallelReadsMax }, work));
    return results;
  }

  /** See `BodyStore.stream`. */
  async *stream(ref: BodyRef, range: ByteRange = { start: 0, end: ref.length }): AsyncIterable<Uint8Array> {
    assert(range.start >= 0 && range.end <= ref.length, "the range lies inside the body");
    for (let start = range.start; start < range.end; start += chunkBytesMax) {
      const length = Math.min(chunkBytesMax, range.end - start);
      yield await this.#chunk(ref, start, length);
    }
  }

  async #chunk(ref: BodyRef, start: number, length: number): Promise<Uint8Array> {
    let chunk: Uint8Array;
    try {
      chunk = await this.#handles.with(ref.object, (file) => this.#fill(file, ref.offset + start, length, false));
    } catch (thrown) {
      if (thrown instanceof StreamError) throw thrown;
      if (isAbsent(thrown)) throw new StreamError("data_loss", "The file of the body is gone.", {}, thrown);
      throw new StreamError("unavailable", "The body file cannot be read.", {}, thrown);
    }
    if (chunk.length < length) throw new StreamError("data_loss", "The file of the body is too short.");
    return chunk;
  }

  async #readSpan(reading: Reading, span: Span): Promise<void> {
    const isCopied = isSparse(span) && span.end - span.start <= sparseBytesMax;
    const scratch = isCopied ? this.#takeScratch() : undefined;
    try {
      const bytes = await this.#handles.with(span.object, (file) => this.#fillSpan(reading, span, file, scratch));
      for (const index of span.indices) {
        const ref = reading.refs[index];
        if (ref === undefined) continue;
        const start = ref.offset - span.start;
        const end = start + ref.length;
        if (end > bytes.length) continue;
        reading.results[index] = isCopied ? bytes.slice(start, end) : bytes.subarray(start, end);
      }
    } catch (thrown) {
      await this.#fault(reading, span, thrown);
    } finally {
      if (scratch !== undefined) this.#scratches.push(scratch);
    }
  }

  /** Undefined when many read at once: then memory of the size of the read costs less than one more of these. */
  #takeScratch(): Uint8Array | undefined {
    const free = this.#scratches.pop();
    if (free !== undefined || this.#scratchCount === parallelReadsMax) return free;
    this.#scratchCount++;
    return uninitialized(sparseBytesMax);
  }

  async #fault(reading: Reading, span: Span, thrown: unknown): Promise<void> {
    const absent = isAbsent(thrown);
    if (!absent && span.indices.length > 1) {
      // A bad sector is the fault of the bodies on it only.
      for (const index of span.indices) {
        const ref = reading.refs[index];
        if (ref === undefined) continue;
        const { object, offset, length } = ref;
        await this.#readSpan(reading, {
          object,
          start: offset,
          end: offset + length,
          wantedBytes: length,
          indices: [index],
        });
      }
      return;
    }
    const fault: BodyFault = { fault: absent ? "missing" : "failed", cause: thrown };
    for (const index of span.indices) reading.results[index] = fault;
  }

  #fillSpan(reading: Reading, span: Span, file: FileHandle, into?: Uint8Array): Promise<Uint8Array> {
    const length = span.end - span.start;
    const cost = Math.max(length, readNowCostMin);
    const now = this.#gate.quick && length <= readNowBytesMax && cost <= reading.nowBudgetBytes;
    if (now) reading.nowBudgetBytes -= cost;
    return this.#fill(file, span.start, length, now, into);
  }

  /** Fewer bytes come when the file ends before. */
  async #fill(
    file: FileHandle,
    position: number,
    length: number,
    now: boolean,
    into = uninitialized(length),
  ): Promise<Uint8Array> {
    const bytes = into.subarray(0, length);
    const startMs = this.#io.nowMs();
    let filled = 0;
    while (filled < length) {
      const rest = filled === 0 ? bytes : bytes.subarray(filled);
      const got = now
        ? this.#io.readNow(file, rest, position + filled)
        : await this.#io.read(file, rest, position + filled);
      if (got === 0) break;
      filled += got;
    }
    if (length <= readNowBytesMax) this.#gate.record(this.#io.nowMs() - startMs);
    return filled === length ? bytes : bytes.subarray(0, filled);
  }
}

/** Whether less than half of a span was asked for. */
const isSparse = ({ start, end, wantedBytes }: Span): boolean => wantedBytes * 2 < end - start;

/** A sparse span in pieces, each with whole bodies. */
function* piecesOf(span: Span, refs: readonly BodyRef[]): Generator<Span> {
  if (!isSparse(span)) {
    yield span;
    return;
  }
  let piece: Span | undefined;
  for (const index of span.indices) {
    const { offset, length } = refs[index] ?? { offset: span.start, length: 0 };
    if (piece === undefined || offset + length - piece.start > sparseBytesMax) {
      if (piece !== undefined) yield piece;
      piece = { object: span.object, start: offset, end: offset + length, wantedBytes: 0, indices: [] };
    }
    piece.wantedBytes += length;
    piece.end = Math.max(piece.end, offset + length);
    piece.indices.push(index);
  }
  if (piece !== undefined) yield piece;
}

/** Not zeroed, because the read fills it; and not a `Buffer`, whose `slice` behaves otherwise. */
const uninitialized = (length: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(length).buffer, 0, length);
