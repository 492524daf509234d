/**
 * The tables, as an ordered chain of upgrades. Each step runs once, in its own transaction, and its number is kept in
 * the database (`user_version`, which is transactional). A published step is never edited: a change is a new step.
 * @module
 */
import type { Database } from "bun:sqlite";
import { StreamError } from "../../core/errors.ts";

/** Marks the file as ours ("MTSm"), so that another program's database is refused instead of filled with tables. */
const applicationId = 0x4d54536d;

/**
 * What is worth knowing of the tables:
 * - The messages of a subject are exactly `first_sequence … last_sequence`, without holes, because only prefixes are
 *   deleted. Rows below `first_sequence` are garbage on its way out (`garbage`), never shown.
 * - `body_bytes_through` is the running sum of body lengths in the subject, so that the bytes that a purge takes away
 *   are one look-up. Timestamps never decrease, so that a time is found by bisection without an index.
 * - `objects.messages` counts the rows that point into an object; at 0 its name goes to `dead_objects`, in the same
 *   transaction. `taken_until_ms` is 0 until it is handed out for deletion.
 * - `garbage.since_ms` is when the newest of its messages was deleted.
 * - `message_ids` is filled in the order of time, so that cleaning reads its beginning only.
 * - `pending` has the leased and nacked messages of explicit consumers, `settled_ahead` what was acknowledged beyond
 *   `delivered_through`; `consumers.held` counts the rows of `pending`. Consumers name their subject by text: they may come before its first message.
 */
const upgrades: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: "subjects, messages, consumers",
    sql: `
      CREATE TABLE store (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

      CREATE TABLE subjects (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        first_sequence INTEGER NOT NULL,
        last_sequence INTEGER NOT NULL,
        body_bytes INTEGER NOT NULL,
        purged_bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        last_published_at INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE messages (
        subject_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        headers TEXT,
        object_id INTEGER NOT NULL,
        body_offset INTEGER NOT NULL,
        body_length INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        body_bytes_through INTEGER NOT NULL,
        PRIMARY KEY (subject_id, sequence)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE objects (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        messages INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE garbage (subject_id INTEGER PRIMARY KEY, through INTEGER NOT NULL) STRICT;

      CREATE TABLE message_ids (
        id INTEGER PRIMARY KEY,
        subject_id INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        committed_at INTEGER NOT NULL,
        UNIQUE (subject_id, message_id)
      ) STRICT;

      CREATE TABLE consumers (
        id INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        start_kind TEXT NOT NULL,
        start_value INTEGER NOT NULL,
        ack TEXT NOT NULL,
        ack_wait_ms INTEGER NOT NULL,
        max_deliver INTEGER NOT NULL,
        max_ack_pending INTEGER NOT NULL,
        acked_through INTEGER NOT NULL,
        delivered_through INTEGER NOT NULL,
        held INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        UNIQUE (subject, name)
      ) STRICT;

      CREATE TABLE pending (
        consumer_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        deliveries INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        PRIMARY KEY (consumer_id, sequence)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX pending_due ON pending (consumer_id, due_at);

      CREATE TABLE settled_ahead (
        consumer_id INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        PRIMARY KEY (consumer_id, sequence)
      ) STRICT, WITHOUT ROWID;`,
  },
  {
    name: "retention policies, dead objects",
    sql: `
      CREATE TABLE policies (
        filter TEXT PRIMARY KEY,
        max_age_ms INTEGER,
        max_messages INTEGER,
        max_bytes INTEGER,
        discard TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE dead_objects (
        name TEXT PRIMARY KEY,
        since_ms INTEGER NOT NULL,
        taken_until_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX dead_objects_since ON dead_objects (since_ms);

      ALTER TABLE garbage ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;`,
  },
];

const numberOf = (db: Database, pragma: string): number => {
  const row = db.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get();
  return row?.[pragma] ?? 0;
};

/**
 * Brings a database to the newest version.
 * @throws StreamError `unavailable` when the file belongs to another program or to a newer version of this one
 */
export const upgradeSchema = (db: Database): void => {
  const owner = numberOf(db, "application_id");
  const version = numberOf(db, "user_version");
  if (owner !== applicationId && (owner !== 0 || version !== 0)) {
    throw new StreamError("unavailable", "The metadata file is a database of another program.");
  }
  if (version > upgrades.length) {
    throw new StreamError(
      "unavailable",
      `The metadata has schema ${version}, this program knows ${upgrades.length}: start a newer version of it.`,
    );
  }
  for (const [index, upgrade] of upgrades.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.run(upgrade.sql);
      db.run(`PRAGMA application_id = ${applicationId}`);
      db.run(`PRAGMA user_version = ${index + 1}`);
    }).exclusive();
  }
};
