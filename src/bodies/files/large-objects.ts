/**
 * Writes a large body as a file of its own, chunk by chunk. It has a temporary name until it is whole and durable.
 * @module
 */
import { join } from "node:path";
import type { BodyRef } from "../../core/message.ts";
import { untilAborted } from "../until-aborted.ts";
import { uploadMismatch } from "../uploads.ts";
import type { DiskTurns } from "./disk-turns.ts";
import { closedError, writing } from "./faults.ts";
import type { Folders } from "./folders.ts";
import type { FileHandle, FileIo } from "./io.ts";
import { folderOf, largeObjectName, partFolder } from "./names.ts";
import type { PutToken } from "./tokens.ts";
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
  readonly #underWay = new Set<Promise<BodyRef>>();
  #closed = false;

  constructor(parts: LargeObjectWriterParts) {
    this.#parts = parts;
    this.#io = parts.io;
  }

  /** See `BodyStore.writeObject`. */
  write(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<BodyRef> {
    return this.#run(chunks, signal);
  }

  /**
   * Writes an upload under the name it was opened with, unless it is another body than was announced; again is fine.
   * @throws StreamError `upload_mismatch`, else as `write`
   */
  async writeUpload(
    wanted: PutToken,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#run(bounded(chunks, wanted.length), signal, wanted);
  }

  async #run(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined, wanted?: PutToken): Promise<BodyRef> {
    if (this.#closed) throw closedError();
    const task = this.#parts.turns.large(() => this.#write(chunks, signal, wanted));
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

  async #write(
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    wanted: PutToken | undefined,
  ): Promise<BodyRef> {
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
      const [length, sha256] = [sum.length, sum.digest()];
      if (wanted !== undefined) refuseAnother(wanted, length, sha256);
      if (length > 0) {
        const object = wanted?.object ?? largeObjectName(id);
        await this.#publish(object, part);
        return { object, offset: 0, length, sha256 };
      }
      await this.#remove(part);
      return { object: "", offset: 0, length, sha256 };
    } catch (thrown) {
      await this.#remove(part);
      throw thrown;
    }
  }

  /** Gives a whole, durable file its name. */
  async #publish(object: string, part: string): Promise<void> {
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

/** More than was announced need not be taken to its end. */
async function* bounded(chunks: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw uploadMismatch(`It has more than the ${bytesMax} bytes that were announced.`);
    yield chunk;
  }
}

const refuseAnother = (wanted: PutToken, length: number, sha256: Uint8Array): void => {
  if (length !== wanted.length) throw uploadMismatch(`It has ${length} bytes, ${wanted.length} were announced.`);
  if (Buffer.compare(sha256, wanted.sha256) !== 0) throw uploadMismatch("It has another SHA-256 than was announced.");
};
