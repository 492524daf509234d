/**
 * Files that are open for reading: the most recently used ones stay open.
 * @module
 */
import { join } from "node:path";
import { closedError } from "./faults.ts";
import type { FileHandle, FileIo } from "./io.ts";
import { isSafeName } from "./names.ts";

/** Far below the usual limit of 1024 open files, of which sockets need most. */
const openFilesMax = 128;

/** An open file with its readers; closed when it has left the cache and nobody reads it. */
interface Opened {
  readonly object: string;
  readonly file: Promise<FileHandle>;
  readers: number;
  cached: boolean;
}

/** Read handles by object name. */
export class ReadHandles {
  readonly #io: FileIo;
  readonly #root: string;
  /** In order of use, the oldest first. */
  readonly #cache = new Map<string, Opened>();
  /** Those that have left it while they are read. */
  readonly #leaving = new Set<Opened>();
  #closed = false;

  constructor(io: FileIo, root: string) {
    this.#io = io;
    this.#root = root;
  }

  /** Runs `read` with the open file of an object; rejects with the error of the open or of `read`. */
  async with<T>(object: string, read: (file: FileHandle) => Promise<T>): Promise<T> {
    const opened = this.#acquire(object);
    try {
      return await read(await opened.file);
    } finally {
      opened.readers--;
      this.#closeUnused(opened);
    }
  }

  /** The object is gone: whoever reads it now reads on, whoever comes later looks for it anew. */
  forget(object: string): void {
    const known = this.#cache.get(object);
    if (known !== undefined) this.#drop(object, known);
  }

  /** Whether somebody reads an object that was forgotten. */
  isRead(object: string): boolean {
    return [...this.#leaving].some((opened) => opened.object === object);
  }

  /** Refuses new readers; the files close as the last reader leaves. */
  close(): void {
    this.#closed = true;
    for (const [object, opened] of this.#cache) this.#drop(object, opened);
  }

  #acquire(object: string): Opened {
    if (this.#closed) throw closedError();
    const known = this.#cache.get(object);
    if (known !== undefined) {
      this.#cache.delete(object);
      this.#cache.set(object, known);
      known.readers++;
      return known;
    }
    const opened: Opened = { object, file: this.#open(object), readers: 1, cached: true };
    this.#cache.set(object, opened);
    opened.file.catch(() => this.#drop(object, opened));
    for (const [oldest, file] of this.#cache) {
      if (this.#cache.size <= openFilesMax) break;
      this.#drop(oldest, file);
    }
    return opened;
  }

  async #open(object: string): Promise<FileHandle> {
    if (!isSafeName(object)) throw Object.assign(new Error("The object name is not one of ours."), { code: "ENOENT" });
    return this.#io.open(join(this.#root, object), "read");
  }

  #drop(object: string, opened: Opened): void {
    if (this.#cache.get(object) === opened) this.#cache.delete(object);
    opened.cached = false;
    this.#closeUnused(opened);
  }

  #closeUnused(opened: Opened): void {
    if (opened.cached) return;
    if (opened.readers > 0) {
      this.#leaving.add(opened);
      return;
    }
    this.#leaving.delete(opened);
    // Nothing can be done about a failed close, and a file that did not open needs none.
    opened.file.then((file) => this.#io.close(file)).catch(() => undefined);
  }
}
