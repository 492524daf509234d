/**
 * Small bodies go before large ones, and large ones get on all the same.
 * @module
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { chunksOf, patternBytes } from "../cases.ts";
import type { BodyStore } from "../contract.ts";
import { openFileBodies } from "./index.ts";
import { type FileHandle, type FileIo, nodeFileIo } from "./io.ts";

const MiB = 1024 * 1024;

/** A disk that notes writes and syncs, keeps syncs of segments waiting, and has a clock of its own. */
class HeldDisk {
  readonly log: string[] = [];
  readonly syncing = Promise.withResolvers<undefined>();
  readonly released = Promise.withResolvers<undefined>();
  readonly largeWritten = Promise.withResolvers<undefined>();
  nowMs = 0;
  /** Whether the syncs of this file are kept waiting, too. */
  isHeld: (file: FileHandle) => boolean = () => true;
  /** How far the clock moves each time it is read. */
  stepMs = 0;
  readonly io: FileIo;

  constructor() {
    const large = new Set<FileHandle>();
    this.io = {
      ...nodeFileIo,
      nowMs: () => (this.nowMs += this.stepMs),
      open: async (path, mode) => {
        const file = await nodeFileIo.open(path, mode);
        if (basename(dirname(path)) === "tmp") large.add(file);
        else large.delete(file);
        return file;
      },
      write: async (file, parts, position) => {
        const bytes = await nodeFileIo.write(file, parts, position);
        if (large.has(file)) this.largeWritten.resolve(undefined);
        return bytes;
      },
      sync: async (file) => {
        if (large.has(file)) this.log.push("large sync");
        else {
          const isHeld = this.isHeld(file);
          this.syncing.resolve(undefined);
          if (isHeld) await this.released.promise;
          this.log.push("small sync");
        }
        await nodeFileIo.sync(file);
      },
    };
  }
}

const mebibytes = (count: number): AsyncIterable<Uint8Array> =>
  chunksOf(Array.from({ length: count }, (_, seed) => patternBytes(MiB, seed)));

let folder: string;
let disk: HeldDisk;
let store: BodyStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "mts-turns-"));
  disk = new HeldDisk();
  store = await openFileBodies({ path: join(folder, "bodies"), io: disk.io });
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

test("a large body waits with its syncs for a small one that is under way", async () => {
  const small = store.writeSegment([patternBytes(100, 1)]);
  await disk.syncing.promise;
  const large = store.writeObject(mebibytes(3));
  await disk.largeWritten.promise;
  // The clock stands still until the small one is through, so that the large one is not tired of waiting.
  await store.ready();
  disk.released.resolve(undefined);
  await small;
  disk.nowMs += 1000;
  expect((await large).length).toBe(3 * MiB);
  expect(disk.log[0]).toBe("small sync");
  expect(disk.log.slice(1)).toContain("large sync");
});

test("a large body does not wait for ever, and goes in short steps meanwhile", async () => {
  const small = store.writeSegment([patternBytes(100, 1)]);
  await disk.syncing.promise;
  disk.stepMs = 1;
  expect((await store.writeObject(mebibytes(8))).length).toBe(8 * MiB);
  expect(disk.log).toEqual(Array.from({ length: 8 }, () => "large sync"));
  disk.released.resolve(undefined);
  await small;
});

test("a large body alone goes in longer steps", async () => {
  expect((await store.writeObject(mebibytes(8))).length).toBe(8 * MiB);
  expect(disk.log).toEqual(["large sync", "large sync"]);
});

test("no publish waits for a flush of copies", async () => {
  let first: FileHandle | undefined;
  disk.isHeld = (file) => file === (first ??= file);
  const copy = store.writeSegment([patternBytes(MiB, 1)], "copy");
  await disk.syncing.promise;
  await store.writeSegment([patternBytes(100, 2)]);
  disk.released.resolve(undefined);
  await copy;
  expect(disk.log).toEqual(["small sync", "small sync"]);
});
