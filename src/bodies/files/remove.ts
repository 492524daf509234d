/**
 * Deletes objects for good: when it says so, the name is gone from the disk too, so that nothing comes back after a
 * power cut that nobody knows of any more.
 * @module
 */
import { join } from "node:path";
import type { DiskTurns } from "./disk-turns.ts";
import { isAbsent } from "./faults.ts";
import type { ReadHandles } from "./handles.ts";
import type { FileIo } from "./io.ts";
import { folderOf, isObjectName } from "./names.ts";
import type { SegmentWriter } from "./segments.ts";

/** What deleting works with. */
export interface ObjectRemoverParts {
  readonly io: FileIo;
  readonly path: string;
  readonly segments: SegmentWriter;
  readonly handles: ReadHandles;
  readonly turns: DiskTurns;
}

/** See the module. */
export class ObjectRemover {
  readonly #parts: ObjectRemoverParts;

  constructor(parts: ObjectRemoverParts) {
    this.#parts = parts;
  }

  /** See `BodyStore.remove`. */
  async remove(objects: readonly string[]): Promise<readonly string[]> {
    // A name that cannot be ours is that of no object, which counts as deleted.
    const ours = new Set(objects.filter(isObjectName));
    await this.#parts.segments.seal(ours);
    const left: string[] = [];
    for (const [folder, names] of Map.groupBy(ours, folderOf)) left.push(...(await this.#removeOf(folder, names)));
    return left;
  }

  /** Those of one folder, which is synced once for all of them. */
  async #removeOf(folder: string, objects: readonly string[]): Promise<readonly string[]> {
    const { io, path, handles, turns } = this.#parts;
    const left: string[] = [];
    for (const object of objects) {
      // Giving back the blocks of a large file keeps the disk busy like writing it.
      await turns.turn();
      try {
        await io.unlink(join(path, object));
      } catch (thrown) {
        if (!isAbsent(thrown)) {
          left.push(object);
          continue;
        }
      }
      handles.forget(object);
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
}
