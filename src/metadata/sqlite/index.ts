/**
 * Metadata in one SQLite file: WAL, one writer, every acknowledged change on stable storage. The default store; needs
 * nothing but a folder.
 *
 * The writer is on the thread of the sockets on purpose. On one of its own (tried and measured: packed batches over
 * `postMessage`) the sockets never wait for a sync, but every commit waits for the scheduler twice: on two cores that
 * are both busy the p50 of a push rose from 2 to 4 ms and a lone publish from 0.5 to 0.6 ms.
 * @module
 */
import { headWarnings } from "./check.ts";
import { Connection, toStoreError } from "./connection.ts";
import { upgradeSchema } from "./schema.ts";
import { SqliteMetadata } from "./store.ts";
import { openTables } from "./tables.ts";

export type { SqliteMetadata } from "./store.ts";

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
    const tables = openTables(connection, dedupeWindowMs);
    return new SqliteMetadata({ connection, tables, clock, epoch, warnings });
  } catch (thrown) {
    connection.close();
    throw toStoreError(thrown);
  }
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
