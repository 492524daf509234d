/**
 * What the files body store asks of the operating system, and Node's functions behind it. This is the seam at which a
 * test makes a write fail, stop half-way, or end the process between two steps; nothing else in this folder does I/O.
 * @module
 */
import * as fs from "node:fs";

/** An open file. */
export type FileHandle = number;

/** What a file is opened for. */
export type OpenMode = "read" | "create" | "change";

/** The calls of the store. They reject (or throw) with Node's errors, whose `code` is `ENOSPC`, `ENOENT` … */
export interface FileIo {
  /** `create` makes a new file for writing and fails with `EEXIST` when there is one; `change` is for one that is there. */
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  close(file: FileHandle): Promise<void>;
  /** Writes the parts one after the other from `position` on; resolves to the bytes written, which may be fewer. */
  write(file: FileHandle, parts: readonly Uint8Array[], position: number): Promise<number>;
  /** `write` on this thread. */
  writeNow(file: FileHandle, parts: readonly Uint8Array[], position: number): number;
  /** Makes the bytes and the length of a file durable (`fdatasync`). */
  sync(file: FileHandle): Promise<void>;
  /** `sync` on this thread. */
  syncNow(file: FileHandle): void;
  /** Fills `into` from `position` on; resolves to the bytes read, which may be fewer; 0 at the end of the file. */
  read(file: FileHandle, into: Uint8Array, position: number): Promise<number>;
  /** `read` on this thread. */
  readNow(file: FileHandle, into: Uint8Array, position: number): number;
  truncate(file: FileHandle, lengthBytes: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** One level; succeeds when the folder is there already. */
  makeFolder(path: string): Promise<void>;
  /** Makes the names in a folder durable (`fsync`). */
  syncFolder(path: string): Promise<void>;
  /** Names in a folder. */
  list(path: string): Promise<readonly string[]>;
  /** A monotonic clock in milliseconds; only chooses between a call and its `…Now` form. */
  nowMs(): number;
}

/** The `code` of an error of the operating system, or undefined. */
export const systemCode = (thrown: unknown): string | undefined =>
  thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;

type Done<T> = (error: Error | null, value: T) => void;

// The callback forms: Bun's `fs.promises` file handles cost an object and a turn more a call.
const called = <T>(start: (done: Done<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value) : reject(error)));
  });

const finished = (start: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    start((error) => (error === null ? resolve() : reject(error)));
  });

const openFlags: Readonly<Record<OpenMode, string>> = { read: "r", create: "wx", change: "r+" };

/** The operating system's files. */
export const nodeFileIo: FileIo = {
  open: (path, mode) => called((done) => fs.open(path, openFlags[mode], done)),
  close: (file) => finished((done) => fs.close(file, done)),
  write: (file, parts, position) => called((done) => fs.writev(file, parts, position, done)),
  writeNow: (file, parts, position) => fs.writevSync(file, parts, position),
  sync: (file) => finished((done) => fs.fdatasync(file, done)),
  syncNow: (file) => fs.fdatasyncSync(file),
  read: (file, into, position) => called((done) => fs.read(file, into, 0, into.length, position, done)),
  readNow: (file, into, position) => fs.readSync(file, into, 0, into.length, position),
  truncate: (file, lengthBytes) => finished((done) => fs.ftruncate(file, lengthBytes, done)),
  rename: (from, to) => finished((done) => fs.rename(from, to, done)),
  unlink: (path) => finished((done) => fs.unlink(path, done)),
  makeFolder: (path) => finished((done) => fs.mkdir(path, (error) => done(error?.code === "EEXIST" ? null : error))),
  syncFolder: async (path) => {
    const folder = await called<number>((done) => fs.open(path, "r", done));
    try {
      await finished((done) => fs.fsync(folder, done));
    } finally {
      await finished((done) => fs.close(folder, done));
    }
  },
  list: (path) => called<string[]>((done) => fs.readdir(path, done)),
  nowMs: () => performance.now(),
};
