/**
 * Appends bodies to segment files. One flush (write, then fdatasync) is under way at a time; calls that come meanwhile
 * share the next one. Copies have a writer of their own, so that no publish waits for a flush of theirs.
 * @module
 */
import { join } from "node:path";
import { assert, StreamError } from "../../core/errors.ts";
import type { Placement, WriteKind } from "../contract.ts";
import type { DiskTurns } from "./disk-turns.ts";
import { closedError, writeError } from "./faults.ts";
import type { Folders } from "./folders.ts";
import type { FileHandle, FileIo } from "./io.ts";
import { LatencyGate } from "./latency-gate.ts";
import { folderOf, segmentName } from "./names.ts";
import { writeAll, writeAllNow } from "./write-all.ts";

/** Bodies of one flush; a single larger call still goes alone. Keeps one sync short. */
const flushBytesMax = 8 * 1024 * 1024;
/** Bodies that wait for a flush; more is refused, the committer above has its own, lower bound. */
const waitingBytesMax = 256 * 1024 * 1024;
/** A flush of up to this size may be written and synced on this thread: it saves two hops, most of a lone write. */
const flushNowBytesMax = 16 * 1024;
/** Above this, flushes leave the thread; a quiet solid-state disk takes 0.15 ms. */
const flushNowMsMax = 0.5;

/** One call of `write`. */
interface Waiting {
  readonly bodies: readonly Uint8Array[];
  readonly bytes: number;
  readonly settled: PromiseWithResolvers<readonly Placement[]>;
}

/** The file that is appended to. */
interface Segment {
  readonly object: string;
  readonly path: string;
  readonly file: FileHandle;
  /** Everything before it is durable and may be referred to. */
  endBytes: number;
  isClosed: boolean;
}

/** What the writer is made of. */
export interface SegmentWriterParts {
  readonly io: FileIo;
  readonly folders: Folders;
  readonly path: string;
  readonly segmentBytesMax: number;
  readonly newId: () => string;
  readonly turns: DiskTurns;
}

/** The one writer of segments of its kind. It starts with a file of its own: what an earlier process left is never appended to. */
export class SegmentWriter {
  readonly #parts: SegmentWriterParts;
  readonly #io: FileIo;
  readonly #gate = new LatencyGate(flushNowMsMax);
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #segment: Segment | undefined;
  #draining: Promise<void> | undefined;
  /** The flush under way, settled or not. */
  #flushing: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    parts: SegmentWriterParts,
    private readonly kind: WriteKind,
  ) {
    this.#parts = parts;
    this.#io = parts.io;
  }

  /** @throws StreamError `storage_full`, `unavailable` */
  async write(bodies: readonly Uint8Array[]): Promise<readonly Placement[]> {
    if (this.#closed) throw closedError();
    if (bodies.length === 0) return [];
    const bytes = sumOfLengths(bodies);
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > waitingBytesMax) {
      throw new StreamError("unavailable", "Too many bodies wait to be written; try again.");
    }
    const settled = Promise.withResolvers<readonly Placement[]>();
    this.#waiting.push({ bodies, bytes, settled });
    this.#waitingBytes += bytes;
    this.#draining ??= this.#drain();
    return settled.promise;
  }

  /** Writes what waits, then closes the file. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment !== undefined) await this.#end(segment);
  }

  /** Nothing is appended to these objects any more, and no write to them is under way, when this resolves. */
  async seal(objects: ReadonlySet<string>): Promise<void> {
    const segment = this.#segment;
    const isOpen = segment !== undefined && objects.has(segment.object);
    // The next flush takes a new file.
    if (isOpen) this.#segment = undefined;
    await this.#flushing;
    if (isOpen) await this.#end(segment).catch(() => undefined);
  }

  async #drain(): Promise<void> {
    // Calls of the same turn share the first flush too.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup();
      try {
        const flushing = this.#run(() => this.#flush(group));
        this.#flushing = flushing.catch(() => undefined);
        settle(group, await flushing);
      } catch (thrown) {
        const error = writeError(thrown);
        this.#parts.folders.forget();
        for (const call of group) call.settled.reject(error);
      }
    }
    this.#draining = undefined;
  }

  #run<T>(flush: () => Promise<T>): Promise<T> {
    // Who copies lets publishes go first by itself, and does not hold back large bodies.
    return this.kind === "copy" ? flush() : this.#parts.turns.small(flush);
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0;
    let calls = 0;
    for (const call of this.#waiting) {
      if (calls > 0 && bytes + call.bytes > flushBytesMax) break;
      bytes += call.bytes;
      calls++;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, calls);
  }

  /** Resolves to where the first body is. */
  async #flush(group: readonly Waiting[]): Promise<Placement> {
    const only = group.length === 1 ? group[0] : undefined;
    const bodies = only?.bodies ?? group.flatMap((call) => call.bodies);
    const bytes = group.reduce((sum, call) => sum + call.bytes, 0);
    const segment = await this.#segmentFor(bytes);
    const offset = segment.endBytes;
    try {
      await this.#append(segment, bodies, bytes);
      // The name of a new file becomes durable with its first bytes.
      if (offset === 0) await this.#io.syncFolder(join(this.#parts.path, folderOf(segment.object)));
    } catch (thrown) {
      await this.#abandon(segment);
      throw thrown;
    }
    segment.endBytes += bytes;
    return { object: segment.object, offset };
  }

  async #append(segment: Segment, bodies: readonly Uint8Array[], bytes: number): Promise<void> {
    const startMs = this.#io.nowMs();
    if (bytes <= flushNowBytesMax && this.#gate.quick && !this.#parts.turns.isLargeUnderWay) {
      writeAllNow(this.#io, segment.file, bodies, segment.endBytes);
      this.#io.syncNow(segment.file);
    } else {
      await writeAll(this.#io, segment.file, bodies, segment.endBytes);
      await this.#io.sync(segment.file);
    }
    // Larger flushes take long because they are large, which says nothing of a small one.
    if (bytes <= flushNowBytesMax) this.#gate.record(this.#io.nowMs() - startMs);
  }

  async #segmentFor(bytes: number): Promise<Segment> {
    const current = this.#segment;
    if (current !== undefined) {
      if (current.endBytes + bytes <= this.#parts.segmentBytesMax) return current;
      this.#segment = undefined;
      await this.#end(current);
    }
    const object = segmentName(this.#parts.newId());
    await this.#parts.folders.make(folderOf(object));
    const path = join(this.#parts.path, object);
    this.#segment = { object, path, file: await this.#io.open(path, "create"), endBytes: 0, isClosed: false };
    return this.#segment;
  }

  /** Closes the file, once. */
  async #end(segment: Segment): Promise<void> {
    if (segment.isClosed) return;
    segment.isClosed = true;
    await this.#io.close(segment.file);
  }

  /**
   * After a failed write or sync nobody knows what of the tail is on the disk, and a later sync that succeeds proves
   * nothing, so the file is never appended to again. Its tail is cut off to give the space back; when that fails too it
   * stays as bytes that nothing refers to.
   */
  async #abandon(segment: Segment): Promise<void> {
    if (this.#segment === segment) this.#segment = undefined;
    const steps = [
      () => this.#io.truncate(segment.file, segment.endBytes),
      () => this.#end(segment),
      () => (segment.endBytes === 0 ? this.#io.unlink(segment.path) : Promise.resolve()),
    ];
    for (const step of steps) await step().catch(() => undefined);
  }
}

const sumOfLengths = (bodies: readonly Uint8Array[]): number => {
  let bytes = 0;
  for (const body of bodies) {
    assert(body.length > 0, "a segment takes no empty body");
    bytes += body.length;
  }
  return bytes;
};

/** Tells every call where its bodies are. */
const settle = (group: readonly Waiting[], first: Placement): void => {
  let offset = first.offset;
  for (const call of group) {
    const placements = call.bodies.map((body): Placement => {
      const placement = { object: first.object, offset };
      offset += body.length;
      return placement;
    });
    call.settled.resolve(placements);
  }
};
