/**
 * Deletes objects for good: when it says so, the name is gone from the disk too, so that nothing comes back after a
 * power cut that nobody knows of any more.
 * @module
 */
import { join } from "node:path";
import type { DiskTurns } from "./disk-turns.ts";
import { isAbsent } from "./faults.ts";
import type { ReadHandles } from "./handles.ts";
import type { FileHandle, FileIo } from "./io.ts";
import { sizeOf } from "./listing.ts";
import { folderOf, isObjectName } from "./names.ts";
import type { SegmentWriter } from "./segments.ts";

/**
 * Room that is given back at a time: with 64 MiB at once on ext4 every sync meanwhile waits 10 to 20 ms. A smaller file
 * goes as it is.
 */
const freedBytesMax = 4 * 1024 * 1024;
/** Files whose room is being given back; with more, deleting waits. */
const freeingMax = 16;

/** What deleting works with. */
export interface ObjectRemoverParts {
  readonly io: FileIo;
  readonly path: string;
  /** Ends appending to objects. */
  readonly seal: SegmentWriter["seal"];
  readonly handles: ReadHandles;
  readonly turns: DiskTurns;
}

/** See the module. */
export class ObjectRemover {
  readonly #parts: ObjectRemoverParts;
  /** The last one is done when all before it are. */
  #freeing: Promise<void> = Promise.resolve();
  #freeingCount = 0;

  constructor(parts: ObjectRemoverParts) {
    this.#parts = parts;
  }

  /** See `BodyStore.remove`. */
  async remove(objects: readonly string[]): Promise<readonly string[]> {
    // A name that cannot be ours is that of no object, which counts as deleted.
    const ours = new Set(objects.filter(isObjectName));
    await this.#parts.seal(ours);
    const left: string[] = [];
    for (const [folder, names] of Map.groupBy(ours, folderOf)) left.push(...(await this.#removeOf(folder, names)));
    return left;
  }

  /** Resolves when the room of what was deleted is given back. */
  async close(): Promise<void> {
    await this.#freeing;
  }

  /** Those of one folder, which is synced once for all of them. */
  async #removeOf(folder: string, objects: readonly string[]): Promise<readonly string[]> {
    const { io, path, turns } = this.#parts;
    const left: string[] = [];
    for (const object of objects) {
      if (this.#freeingCount >= freeingMax) await this.#freeing;
      try {
        await this.#unlink(object);
      } catch (thrown) {
        if (!isAbsent(thrown)) left.push(object);
      }
    }
    try {
      await turns.turn();
      await io.syncFolder(join(path, folder));
    } catch (thrown) {
      // Where there is no folder there is nothing in it.
      if (!isAbsent(thrown)) return objects;
    }
    return left;
  }

  /** Takes the name away, and gives the room back behind it. */
  async #unlink(object: string): Promise<void> {
    const { io, path, handles, turns } = this.#parts;
    const bytes = (await sizeOf(path, object)) ?? 0;
    // One that does not open goes as it is.
    const opening = bytes > freedBytesMax ? io.open(join(path, object), "change") : undefined;
    const file = await opening?.catch(() => undefined);
    try {
      await turns.turn();
      await io.unlink(join(path, object));
    } catch (thrown) {
      if (file !== undefined) await io.close(file).catch(() => undefined);
      throw thrown;
    } finally {
      handles.forget(object);
    }
    if (file === undefined) return;
    this.#freeingCount++;
    this.#freeing = this.#freeing.then(() => this.#free(object, file, bytes)).finally(() => this.#freeingCount--);
  }

  /** Gives the room of a file without a name back; what is left of it goes when it is closed. */
  async #free(object: string, file: FileHandle, bytes: number): Promise<void> {
    const { io, handles, turns } = this.#parts;
    try {
      await turns.large(async () => {
        for (let length = bytes - freedBytesMax; length > 0; length -= freedBytesMax) {
          await turns.turn();
          // Whoever reads it reads on.
          if (handles.isRead(object)) return;
          await io.truncate(file, length);
        }
        await turns.turn();
      });
    } catch {
      // Then all of it goes at once.
    } finally {
      await io.close(file).catch(() => undefined);
    }
  }
}
