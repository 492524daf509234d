/**
 * SQLite and files for histories with a clock that is moved. No power fails here, so nothing is synced.
 * @module
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFileBodies } from "../../bodies/files/index.ts";
import { type FileIo, nodeFileIo } from "../../bodies/files/io.ts";
import { openSqliteMetadata, type SqliteMetadata } from "../../metadata/sqlite/index.ts";
import type { StorePlace } from "./broker-world.ts";

const dedupeWindowMs = 10 * 60_000;
/** Small, so that there are several of them to be emptied. */
const segmentBytesMax = 64 * 1024;
/** Where a sync costs nothing, if there is such a place. */
const memoryFolder = "/dev/shm";

const io: FileIo = {
  ...nodeFileIo,
  sync: async () => undefined,
  syncNow: () => undefined,
  syncFolder: async () => undefined,
};

/** Makes one; it is empty. */
export const makeEmbeddedPlace = async (): Promise<StorePlace> => {
  const folder = await mkdtemp(join(existsSync(memoryFolder) ? memoryFolder : tmpdir(), "mts-histories-"));
  const opened = new WeakMap<object, SqliteMetadata>();
  return {
    // Files say by the machine's clock when they were written.
    startMs: Date.now(),
    async open(clock) {
      const nowMs = (): number => clock.nowMs;
      const metadata = await openSqliteMetadata({ path: join(folder, "metadata.db"), clock: nowMs, dedupeWindowMs });
      opened.set(metadata, metadata);
      const bodies = await openFileBodies({ path: join(folder, "bodies"), io, segmentBytesMax, nowMs });
      return { metadata, bodies };
    },
    async settled(metadata) {
      await opened.get(metadata)?.reclaimed();
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
};
