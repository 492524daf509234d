/**
 * Writes until all is written: the operating system may stop half-way, on a full disk for instance.
 * @module
 */
import type { FileHandle, FileIo } from "./io.ts";

/** Parts given to one call; the operating system takes 1024 at a time anyway. */
const partsMax = 1024;

/** Writes all parts one after the other from `position` on. */
export const writeAll = async (
  io: FileIo,
  file: FileHandle,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> => {
  const cursor = new Cursor(parts, position);
  while (!cursor.done) cursor.advance(await io.write(file, cursor.parts(), cursor.position));
};

/** `writeAll` on this thread. */
export const writeAllNow = (io: FileIo, file: FileHandle, parts: readonly Uint8Array[], position: number): void => {
  const cursor = new Cursor(parts, position);
  while (!cursor.done) cursor.advance(io.writeNow(file, cursor.parts(), cursor.position));
};

/** How far a write of many parts has come. */
class Cursor {
  position: number;
  readonly #parts: readonly Uint8Array[];
  #index = 0;
  /** Bytes of the part at `#index` that are written. */
  #skip = 0;

  constructor(parts: readonly Uint8Array[], position: number) {
    this.#parts = parts;
    this.position = position;
  }

  get done(): boolean {
    return this.#index >= this.#parts.length;
  }

  /** What the next call is given. */
  parts(): readonly Uint8Array[] {
    if (this.#index === 0 && this.#skip === 0 && this.#parts.length <= partsMax) return this.#parts;
    const rest = this.#parts.slice(this.#index, this.#index + partsMax);
    const first = rest[0];
    if (first !== undefined && this.#skip > 0) rest[0] = first.subarray(this.#skip);
    return rest;
  }

  advance(writtenBytes: number): void {
    if (writtenBytes <= 0) throw new Error("The write made no progress.");
    this.position += writtenBytes;
    let left = writtenBytes + this.#skip;
    for (let part = this.#parts[this.#index]; part !== undefined && left >= part.length; ) {
      left -= part.length;
      part = this.#parts[++this.#index];
    }
    this.#skip = left;
  }
}
