/**
 * The folder of the embedded stores: made, checked, and kept for one process. Two processes on one folder would each
 * believe that they are alone, so the second one is told to stay out.
 * @module
 */
import { Database, SQLiteError } from "bun:sqlite";
import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** The folder cannot be used; the message says why and what to do. */
export class DataFolderError extends Error {
  override readonly name: string = "DataFolderError";
}

/** Another server has the folder open. */
export class DataFolderLockedError extends DataFolderError {
  override readonly name = "DataFolderLockedError";
  /** Process id of the holder; undefined in the moment in which it has not said so yet. */
  readonly holderPid: number | undefined;

  constructor(path: string, holder: Holder | undefined) {
    const who = holder === undefined ? "another process" : `process ${holder.pid} (since ${holder.sinceText})`;
    super(
      `The data folder ${path} is in use by ${who}. Stop that server first, or give this one a folder of its own (MTS_DATA_DIR).`,
    );
    this.holderPid = holder?.pid;
  }
}

/** An open data folder. */
export interface DataFolder {
  /** Absolute. */
  readonly path: string;
  /** Lets others in. */
  close(): Promise<void>;
}

/** Who has the folder. */
interface Holder {
  readonly pid: number;
  /** UTC, for people. */
  readonly sinceText: string;
}

/**
 * Makes the folder if need be and locks it until `close` or the death of the process, however it dies.
 * @throws DataFolderLockedError, DataFolderError
 */
export const openDataFolder = async (path: string): Promise<DataFolder> => {
  const folder = resolve(path);
  makeFolder(folder);
  const lock = lockFolder(folder);
  heldLocks.add(lock);
  return {
    path: folder,
    close: async () => {
      heldLocks.delete(lock);
      lock.close();
    },
  };
};

/** Keeps the locks from the garbage collector, which would close them when a caller drops the `DataFolder`. */
const heldLocks = new Set<Database>();

const makeFolder = (folder: string): void => {
  try {
    // Undefined when all of it was there.
    const topmost = mkdirSync(folder, { recursive: true });
    if (topmost !== undefined) syncNames(dirname(topmost), dirname(folder));
    // `mkdir` is content with a file on some systems.
    if (!statSync(folder).isDirectory()) throw notAFolder(folder);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw folderError(folder, thrown);
  }
};

/** Makes new folders survive a power cut: syncs every folder from `lowest` up to `highest`. */
const syncNames = (highest: string, lowest: string): void => {
  for (let folder = lowest; ; folder = dirname(folder)) {
    const file = openSync(folder, "r");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (folder === highest || folder === dirname(folder)) return;
  }
};

const notAFolder = (folder: string): DataFolderError =>
  new DataFolderError(`The data folder ${folder} is not a folder; name another one (MTS_DATA_DIR).`);

const folderError = (folder: string, thrown: unknown): DataFolderError => {
  if (thrown instanceof DataFolderError) return thrown;
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  if (code === "EEXIST" || code === "ENOTDIR") return notAFolder(folder);
  const reason =
    code === "EACCES" || code === "EPERM" || code === "EROFS"
      ? `this user (uid ${process.getuid?.() ?? "unknown"}) may not write in it; give it the right, or name another one (MTS_DATA_DIR).`
      : `${thrown instanceof Error ? thrown.message : String(thrown)}; name another one (MTS_DATA_DIR).`;
  return new DataFolderError(`The data folder ${folder} cannot be used: ${reason}`, { cause: thrown });
};

/** Two starters can take turns between storing a name and holding the lock, but not for long. */
const attemptsMax = 10;
/** Reading one row takes far less. */
const readersWaitMsMax = 1000;

/**
 * Bun has no `flock`, but SQLite's locks are the kernel's record locks: they end with the process, also by `kill -9`,
 * and within one process SQLite counts them itself. A write transaction that is never ended is the lock; others can
 * still read who has it. Nothing else may open the file: POSIX drops a process's locks when it closes any handle of it.
 */
const lockFolder = (folder: string): Database => {
  const path = join(folder, "lock");
  let database: Database | undefined;
  try {
    database = new Database(path, { create: true, readwrite: true });
    // The write-ahead log would let go of the main file.
    database.run("PRAGMA journal_mode = DELETE");
    for (let attempt = 1; attempt <= attemptsMax; attempt++) if (hold(database)) return database;
    throw new DataFolderLockedError(folder, readHolder(database));
  } catch (thrown) {
    const error = lockError(folder, path, thrown, database);
    database?.close();
    throw error;
  }
};

/** Stores who we are and takes the lock; false when another starter came in between and is gone again. */
const hold = (database: Database): boolean => {
  const holder: Holder = { pid: process.pid, sinceText: new Date().toISOString() };
  const token = crypto.randomUUID();
  database.run("PRAGMA busy_timeout = 0");
  database.run("BEGIN IMMEDIATE");
  database.run(
    "CREATE TABLE IF NOT EXISTS holder (pid INTEGER NOT NULL, since TEXT NOT NULL, token TEXT NOT NULL) STRICT",
  );
  database.run("DELETE FROM holder");
  database.run("INSERT INTO holder VALUES (?, ?, ?)", [holder.pid, holder.sinceText, token]);
  // Whoever is being turned away may be reading the holder's name; that must not turn us away too.
  database.run(`PRAGMA busy_timeout = ${readersWaitMsMax}`);
  database.run("COMMIT");
  database.run("PRAGMA busy_timeout = 0");
  database.run("BEGIN IMMEDIATE");
  const stored = database.query<{ token: string }, []>("SELECT token FROM holder").get();
  if (stored?.token === token) return true;
  database.run("ROLLBACK");
  return false;
};

const readHolder = (database: Database): Holder | undefined => {
  try {
    return database.query<Holder, []>("SELECT pid, since AS sinceText FROM holder").get() ?? undefined;
  } catch {
    // Locked or empty: it is being written right now.
    return undefined;
  }
};

const lockError = (folder: string, path: string, thrown: unknown, database: Database | undefined): DataFolderError => {
  if (thrown instanceof DataFolderError) return thrown;
  const code = thrown instanceof SQLiteError ? thrown.code : undefined;
  if (database !== undefined && code?.startsWith("SQLITE_BUSY") === true) {
    return new DataFolderLockedError(folder, readHolder(database));
  }
  const fix =
    code === "SQLITE_NOTADB" || code === "SQLITE_CORRUPT" ? `; no server runs on it? Then delete ${path}.` : ".";
  return new DataFolderError(`The data folder ${folder} cannot be locked: ${String(thrown)}${fix}`, { cause: thrown });
};
