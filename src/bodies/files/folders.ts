/**
 * Folders that survive a power cut: made, and their name in the parent synced.
 * @module
 */
import { dirname, join } from "node:path";
import { type FileIo, systemCode } from "./io.ts";

/** Folders remembered as durable; a store uses a handful at a time. */
const knownMax = 256;

/** The folders below one path. */
export class Folders {
  readonly #io: FileIo;
  readonly #root: string;
  readonly #known = new Set<string>();

  constructor(io: FileIo, root: string) {
    this.#io = io;
    this.#root = root;
  }

  /** Makes the root itself, with the folders above it. */
  async makeRoot(): Promise<void> {
    await this.#makeAbove(this.#root);
  }

  /** Makes a folder (relative, `/` between levels) and resolves when it is durable. */
  async make(folder: string): Promise<void> {
    if (this.#known.has(folder)) return;
    const slash = folder.lastIndexOf("/");
    if (slash !== -1) await this.make(folder.slice(0, slash));
    const path = join(this.#root, folder);
    await this.#io.makeFolder(path);
    // Also when it was there: whoever made it may have died before this sync.
    await this.#io.syncFolder(dirname(path));
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.add(folder);
  }

  /** Looks again at the next use; for a write that failed, perhaps because somebody removed an empty folder. */
  forget(): void {
    this.#known.clear();
  }

  async #makeAbove(path: string): Promise<void> {
    try {
      await this.#io.makeFolder(path);
    } catch (thrown) {
      if (systemCode(thrown) !== "ENOENT" || dirname(path) === path) throw thrown;
      await this.#makeAbove(dirname(path));
      await this.#io.makeFolder(path);
    }
    await this.#io.syncFolder(dirname(path));
  }
}
