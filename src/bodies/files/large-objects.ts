/**
 * Writes a large body as a file of its own, chunk by chunk. It has a temporary name until it is whole and durable.
 * @module
 */
import { join } from "node:path";
import type { DiskTurns } from "./disk-turns.ts";
import { closedError, writing } from "./faults.ts";
import type { Folders } from "./folders.ts";
import type { FileHandle, FileIo } from "./io.ts";
import { folderOf, largeObjectName, partFolder } from "./names.ts";
import { writeAll } from "./write-all.ts";

/** Written and hashed at a time; hashing this much takes 0.6 ms, during which nothing else runs. */
const pieceBytesMax = 1024 * 1024;
/** Chunks below this are gathered: a write for each would cost more than the copy. */
const gatherBytesMax = 256 * 1024;
/**
 * Synced at a time. One sync at the end would be a little quicker, but every small write meanwhile waits behind
 * it: with 64 MiB on ext4 22 ms instead of 4. With nobody to hold back, fewer and longer steps.
 */
const unsyncedBytesMax = { alone: 4 * 1024 * 1024, besideSmall: 1024 * 1024 } as const;

/** What was stored. */
export interface StoredObject {
  readonly object: string;
  readonly length: number;
  readonly sha256: Uint8Array;
}

/** What the writer is made of. */
export interface LargeObjectWriterParts {
  readonly io: FileIo;
  readonly folders: Folders;
  readonly path: string;
  readonly newId: () => string;
  readonly turns: DiskTurns;
}

/** Writes objects; several at once. */
export class LargeObjectWriter {
  readonly #parts: LargeObjectWriterParts;
  readonly #io: FileIo;
  readonly #underWay = new Set<Promise<StoredObject>>();
  #closed = false;

  constructor(parts: LargeObjectWriterParts) {
    this.#parts = parts;
    this.#io = parts.io;
  }

  /** See `BodyStore.writeObject`. */
  async write(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<StoredObject> {
    if (this.#closed) throw closedError();
    const task = this.#parts.turns.large(() => this.#write(chunks, signal));
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

  async #write(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<StoredObject> {
    const id = this.#parts.newId();
    const part = join(this.#parts.path, partFolder, id);
    const file = await writing(this.#io.open(part, "create"));
    let sum: PieceWriter;
    try {
      try {
        sum = new PieceWriter(this.#io, file, this.#parts.turns);
        for await (const chunk of untilAborted(chunks, signal)) await sum.add(chunk);
        await sum.end();
      } finally {
        // The bytes are durable by now, or the file is removed: a failed close changes neither.
        await this.#io.close(file).catch(() => undefined);
      }
      signal?.throwIfAborted();
      if (sum.length > 0) return { object: await this.#publish(id, part), length: sum.length, sha256: sum.digest() };
    } catch (thrown) {
      await this.#remove(part);
      throw thrown;
    }
    await this.#remove(part);
    return { object: "", length: 0, sha256: sum.digest() };
  }

  /** Gives a whole, durable file its name. */
  async #publish(id: string, part: string): Promise<string> {
    const object = largeObjectName(id);
    const folder = folderOf(object);
    const path = join(this.#parts.path, object);
    try {
      await writing(this.#parts.folders.make(folder));
      await writing(this.#io.rename(part, path));
    } catch (thrown) {
      this.#parts.folders.forget();
      throw thrown;
    }
    try {
      await writing(this.#io.syncFolder(join(this.#parts.path, folder)));
    } catch (thrown) {
      await this.#remove(path);
      throw thrown;
    }
    return object;
  }

  /** What cannot be removed now is removed at the next start. */
  async #remove(path: string): Promise<void> {
    await this.#io.unlink(path).catch(() => undefined);
  }
}

/** Writes and hashes in pieces, the hash of a piece while it is being written. */
class PieceWriter {
  readonly #io: FileIo;
  readonly #file: FileHandle;
  readonly #turns: DiskTurns;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  /** Small chunks on their way; made when the first one comes. */
  #gathered: Uint8Array | undefined;
  #gatheredBytes = 0;
  #writtenBytes = 0;
  #syncedBytes = 0;

  constructor(io: FileIo, file: FileHandle, turns: DiskTurns) {
    this.#io = io;
    this.#file = file;
    this.#turns = turns;
  }

  /** Bytes written. */
  get length(): number {
    return this.#writtenBytes;
  }

  /** The chunk belongs to the source again when this resolves. */
  async add(chunk: Uint8Array): Promise<void> {
    if (chunk.length < gatherBytesMax) return this.#gather(chunk);
    await this.#writeGathered();
    for (let start = 0; start < chunk.length; start += pieceBytesMax) {
      await this.#write(chunk.subarray(start, start + pieceBytesMax));
    }
  }

  /** Writes what is left and makes all of it durable. */
  async end(): Promise<void> {
    await this.#writeGathered();
    await this.#sync();
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#hasher.digest());
  }

  async #gather(chunk: Uint8Array): Promise<void> {
    if (this.#gatheredBytes + chunk.length > pieceBytesMax) await this.#writeGathered();
    this.#gathered ??= new Uint8Array(pieceBytesMax);
    this.#gathered.set(chunk, this.#gatheredBytes);
    this.#gatheredBytes += chunk.length;
  }

  async #writeGathered(): Promise<void> {
    if (this.#gathered === undefined || this.#gatheredBytes === 0) return;
    const piece = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gatheredBytes = 0;
    await this.#write(piece);
  }

  async #write(piece: Uint8Array): Promise<void> {
    const written = writeAll(this.#io, this.#file, [piece], this.#writtenBytes);
    this.#hasher.update(piece);
    await writing(written);
    this.#writtenBytes += piece.length;
    const { alone, besideSmall } = unsyncedBytesMax;
    const bytesMax = this.#turns.hasSmallTraffic ? besideSmall : alone;
    if (this.#writtenBytes - this.#syncedBytes >= bytesMax) await this.#sync();
  }

  async #sync(): Promise<void> {
    if (this.#syncedBytes === this.#writtenBytes) return;
    await this.#turns.turn();
    await writing(this.#io.sync(this.#file));
    this.#syncedBytes = this.#writtenBytes;
  }
}

/** The source's chunks; an abort ends it also while the source keeps us waiting. */
async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    while (true) {
      const next = await abortable(source.next(), signal);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a source that never answers would keep the partial file for ever.
    source.return?.().catch(() => undefined);
  }
}

/** The promise, or the reason of an abort that comes first. */
const abortable = <T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
};
