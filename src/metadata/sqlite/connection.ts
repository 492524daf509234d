/**
 * The one connection to the database: its settings, its transactions, and the translation of its errors. No table is
 * named here.
 * @module
 */
import { Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { StreamError } from "../../core/errors.ts";

/** How long a second process that holds the write lock is waited for. */
const busyTimeoutMs = 5000;
/** Page cache: the inner pages of the trees of some million messages; the kernel caches the rest. */
const cacheKiB = 16 * 1024;
/** A log that grew in a burst is cut back to this after a checkpoint. */
const logBytesMax = 64 * 1024 * 1024;

/**
 * `durable` waits until the log is on stable storage. `relaxed` does not: the log is a chain that recovery reads from
 * its beginning up to the first gap, so that a power cut takes away the newest relaxed transactions and nothing
 * before them, and the next durable one makes all before it durable too. A process that dies loses nothing.
 */
export type Durability = "durable" | "relaxed";

const synchronous: Readonly<Record<Durability, string>> = { durable: "FULL", relaxed: "NORMAL" };

/** Codes that a full disk (or quota, or file size limit) shows itself by; nothing of the transaction was kept. */
const fullCodes: ReadonlySet<string> = new Set(["SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"]);
/** The commit was written but not confirmed by the disk: recovery may or may not find it. */
const unconfirmedCodes: ReadonlySet<string> = new Set(["SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC"]);

/** Translates what the database throws; a `StreamError` passes. */
export const toStoreError = (thrown: unknown): StreamError => {
  if (thrown instanceof StreamError) return thrown;
  const code = thrown instanceof SQLiteError ? (thrown.code ?? "") : "";
  if (fullCodes.has(code)) return new StreamError("storage_full", "There is no room for metadata.", {}, thrown);
  if (unconfirmedCodes.has(code)) {
    return new StreamError("outcome_unknown", "The disk did not confirm the metadata.", {}, thrown);
  }
  return new StreamError("unavailable", "The metadata store failed.", {}, thrown);
};

/** A database with its transactions. Everything inside one is synchronous. */
export class Connection {
  readonly #db: Database;
  readonly #begin: Statement<unknown, []>;
  readonly #beginWrite: Statement<unknown, []>;
  readonly #commit: Statement<unknown, []>;
  readonly #rollback: Statement<unknown, []>;
  readonly #touch: Statement<unknown, []>;
  /** Let go of at the end: the file stays open for as long as one of them is. */
  readonly #statements: { finalize(): void }[] = [];
  #durability: Durability = "durable";
  #open = true;

  /**
   * @param path a file, made when it is not there (its folder must be), or `:memory:`
   * @param pagesMax refuse to grow beyond so many pages of 4 KiB
   * @throws StreamError `unavailable`
   */
  constructor(path: string, pagesMax?: number) {
    this.#db = openDatabase(path, pagesMax);
    this.#begin = this.prepare("BEGIN");
    this.#beginWrite = this.prepare("BEGIN IMMEDIATE");
    this.#commit = this.prepare("COMMIT");
    this.#rollback = this.prepare("ROLLBACK");
    this.#touch = this.prepare("SELECT count(*) FROM sqlite_schema");
  }

  /** For the schema only. */
  get database(): Database {
    return this.#db;
  }

  /** A statement that lives as long as the connection. */
  prepare<Row, Params extends SQLQueryBindings[]>(sql: string): Statement<Row, Params> {
    const statement = this.#db.prepare<Row, SQLQueryBindings[]>(sql);
    this.#statements.push(statement);
    return statement;
  }

  /** One transaction that changes something; whatever is thrown inside undoes all of it. */
  write<T>(durability: Durability, work: () => T): T {
    return this.#transact(this.#beginWrite, durability, work);
  }

  /** Several reads of one state. */
  read<T>(work: () => T): T {
    return this.#transact(this.#begin, this.#durability, work);
  }

  /** Reads a page. @throws StreamError `unavailable` when that does not work */
  touch(): void {
    this.read(() => this.#touch.get());
  }

  /** Moves the log into the database and lets go of both. Twice is once. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.#db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // A full disk may refuse it; the log is complete and the next start reads it.
    }
    for (const statement of this.#statements) statement.finalize();
    this.#db.close();
  }

  #transact<T>(begin: Statement<unknown, []>, durability: Durability, work: () => T): T {
    if (!this.#open) throw new StreamError("unavailable", "The metadata store is closed.");
    try {
      this.#need(durability);
      begin.run();
      const result = work();
      this.#commit.run();
      return result;
    } catch (thrown) {
      this.#undo();
      throw toStoreError(thrown);
    }
  }

  /** The setting cannot be changed inside a transaction, so every transaction makes sure of its own before it begins. */
  #need(durability: Durability): void {
    if (this.#durability === durability) return;
    this.#db.run(`PRAGMA synchronous = ${synchronous[durability]}`);
    this.#durability = durability;
  }

  #undo(): void {
    try {
      // Some errors end the transaction by themselves.
      if (this.#db.inTransaction) this.#rollback.run();
    } catch {
      // The first error is the one to tell; a transaction that is still open fails the next BEGIN loudly.
    }
  }
}

const openDatabase = (path: string, pagesMax: number | undefined): Database => {
  let db: Database | undefined;
  try {
    db = new Database(path, { create: true, readwrite: true, strict: true });
    db.run(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    db.run("PRAGMA journal_mode = WAL");
    db.run(`PRAGMA synchronous = ${synchronous.durable}`);
    db.run(`PRAGMA cache_size = -${cacheKiB}`);
    db.run(`PRAGMA journal_size_limit = ${logBytesMax}`);
    db.run("PRAGMA temp_store = MEMORY");
    if (pagesMax !== undefined) db.run(`PRAGMA max_page_count = ${pagesMax}`);
    return db;
  } catch (thrown) {
    db?.close();
    throw toStoreError(thrown);
  }
};
