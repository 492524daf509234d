/**
 * Metadata in one SQLite file: WAL, one writer at a time (on a thread of its own), every acknowledged change on stable storage. The default store; needs
 * nothing but a folder.
 * @module
 */

import { headWarnings } from "./check.ts";
import { Connection, toStoreError } from "./connection.ts";
import { NearCommits } from "./near-commits.ts";
import { upgradeSchema } from "./schema.ts";
import { SqliteMetadata } from "./store.ts";
import { openTables } from "./tables.ts";
import { type StartThread, ThreadWrites } from "./thread-writes.ts";
import { LocalWrites, type Writes } from "./writes.ts";

export type { SqliteMetadata } from "./store.ts";

/** A database without a file; nobody else can open it, so that it is written on the thread that reads it. */
const inMemory = ":memory:";

/** What the store is opened with. */
export interface SqliteMetadataOptions {
  /** A file, made when it is not there (its folder must be), or `:memory:`. */
  readonly path: string;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** How long a message id is remembered. */
  readonly dedupeWindowMs: number;
  /** Makes the epoch of a new store; `crypto.randomUUID` when absent. */
  readonly randomId?: (() => string) | undefined;
  /** Refuse with `storage_full` to grow beyond so many pages of 4 KiB; no limit when absent. */
  readonly pagesMax?: number | undefined;
  /** Starts the thread that writes; a `Worker` when absent. */
  readonly startThread?: StartThread | undefined;
}

/**
 * Opens the store, or makes it.
 * @throws StreamError `unavailable`, `storage_full`
 * @example
 * ```ts
 * const store = await openSqliteMetadata({ path: "data/metadata.db", clock: Date.now, dedupeWindowMs: 120_000 });
 * for (const warning of store.warnings) log.warn(warning);
 * ```
 */
export const openSqliteMetadata = async (options: SqliteMetadataOptions): Promise<SqliteMetadata> => {
  const connection = new Connection(options.path, options.pagesMax);
  try {
    upgradeSchema(connection.database);
    const epoch = epochOf(connection, options.randomId ?? (() => crypto.randomUUID()));
    const warnings = connection.read(() => headWarnings(connection));
    const { clock, dedupeWindowMs } = options;
    const writes = await openWrites(connection, options);
    return new SqliteMetadata({ connection, writes, clock, dedupeWindowMs, epoch, warnings });
  } catch (thrown) {
    connection.close();
    throw toStoreError(thrown);
  }
};

const openWrites = async (connection: Connection, options: SqliteMetadataOptions): Promise<Writes> => {
  const { path, clock, dedupeWindowMs, pagesMax, startThread } = options;
  if (path === inMemory) return new LocalWrites(connection, clock, dedupeWindowMs);
  const near = new NearCommits(connection, clock, openTables(connection, dedupeWindowMs));
  return ThreadWrites.start({ path, dedupeWindowMs, pagesMax }, near, clock, startThread);
};

/** The epoch of the store; made once. */
const epochOf = (connection: Connection, randomId: () => string): string => {
  const find = connection.prepare<{ readonly value: string }, []>("SELECT value FROM store WHERE key = 'epoch'");
  const insert = connection.prepare<unknown, [string]>("INSERT INTO store VALUES ('epoch', ?)");
  return connection.write("durable", () => {
    const stored = find.get()?.value;
    if (stored !== undefined) return stored;
    const epoch = randomId();
    insert.run(epoch);
    return epoch;
  });
};
