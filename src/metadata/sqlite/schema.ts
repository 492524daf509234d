/**
 * The tables, as an ordered chain of upgrades. Each step runs once, in its own transaction, and its number is kept in
 * the database (`user_version`, which is transactional). A published step is never edited: a change is a new step.
 * @module
 */
import type { Database } from "bun:sqlite";
import { StreamError } from "../../core/errors.ts";
import { fillAccounting } from "./fill-accounting.ts";

/** Marks the file as ours ("MTSm"), so that another program's database is refused instead of filled with tables. */
const applicationId = 0x4d54536d;

interface Upgrade {
  readonly name: string;
  readonly sql: string;
  /** What is to be done after the statements. */
  readonly fill?: (db: Database) => void;
}

/**
 * What is worth knowing of the tables:
 * - The messages of a subject are the rows in `first_sequence … last_sequence`; the first of them is there unless all
 *   are gone. Rows below `first_sequence` are garbage on its way out (`garbage`), never shown.
 * - What is gone between the ends has no row. `gone_messages` and `gone_bytes` count it, and `gone_blocks` does so for
 *   each 1,024 sequences that miss some; `bytes_before` is the running sum before a block (see `gone.ts`).
 * - `body_bytes_through` is the running sum of the lengths of all bodies that were ever published to the subject, so
 *   that the bytes between two messages are two look-ups. Timestamps never decrease, so that a time is found by
 *   bisection without an index.
 * - `messages_expiry` has the messages of one second in the order of their sequences, so that what ends together is
 *   removed from few pages of both.
 * - `next_expiry` is not later than the first time to live that ends in the subject; null when none does.
 * - `objects.messages` counts the rows that point into an object; at 0 its name goes to `dead_objects`, in the same
 *   transaction. `taken_until_ms` is 0 until it is handed out for deletion.
 * - `objects.bytes` counts the bytes that were ever committed into an object, `alive_bytes` those that the messages
 *   pointing into it need (each message on its own), `committed_at` is the time of the last commit into it;
 *   `compacted_until_ms` is 0 until it is handed out for rewriting, `linger_until_ms` when it may be deleted at the
 *   earliest. Its messages are found in `spans`. `digits` is how many `bytes` has, for `objects_small`: small
 *   objects are found about by age, and a commit that does not change it leaves the index alone.
 * - `delayed` has messages that are not due; each counts in `objects.messages`. `try_at` is `due_at` until it was
 *   refused.
 * - `pending.error` is what the last nack said.
 * - `garbage.since_ms` is when the newest of its messages was deleted.
 * - `message_ids` is filled in the order of time, so that cleaning reads its beginning only.
 * - `pending` has the leased and nacked messages of explicit consumers, `settled_ahead` what was acknowledged beyond
 *   `delivered_through` (`gone`: its message is not stored any more); `consumers.held` counts the rows of `pending`.
 *   Consumers name their subject by text: they may come before its first message.
 * - `started_after` is the position that a consumer was made with, `acked_highest` the highest message that it
 *   acknowledged or gave up, `active_at` the time of its last sign of life, to a second.
 * - `actor_rows` of a former generation are garbage that commits remove. A position of a former generation stays: it is
 *   at 0, and what was published for messages through it, was. States are beside their actors, as they may be large.
 */
const upgrades: readonly Upgrade[] = [
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
  {
    name: "times to live, messages gone from the middle, acknowledged by all",
    sql: `
      ALTER TABLE messages ADD COLUMN stored_length INTEGER;
      ALTER TABLE messages ADD COLUMN expires_at INTEGER;
      CREATE INDEX messages_expiry ON messages (subject_id, expires_at / 1000, sequence, expires_at)
        WHERE expires_at IS NOT NULL;

      ALTER TABLE subjects ADD COLUMN next_expiry INTEGER;
      ALTER TABLE subjects ADD COLUMN gone_messages INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE subjects ADD COLUMN gone_bytes INTEGER NOT NULL DEFAULT 0;
      CREATE INDEX subjects_expiry ON subjects (next_expiry) WHERE next_expiry IS NOT NULL;

      CREATE TABLE gone_blocks (
        subject_id INTEGER NOT NULL,
        block INTEGER NOT NULL,
        bytes_before INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (subject_id, block)
      ) STRICT, WITHOUT ROWID;

      ALTER TABLE policies ADD COLUMN retain TEXT NOT NULL DEFAULT 'limits';
      ALTER TABLE policies ADD COLUMN recipients TEXT;
      ALTER TABLE policies ADD COLUMN recipient_timeout_ms INTEGER;
      ALTER TABLE policies ADD COLUMN put_at INTEGER NOT NULL DEFAULT 0;

      ALTER TABLE settled_ahead ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

      ALTER TABLE consumers ADD COLUMN started_after INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE consumers ADD COLUMN acked_highest INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE consumers ADD COLUMN active_at INTEGER NOT NULL DEFAULT 0;
      UPDATE consumers SET active_at = unixepoch() * 1000, started_after = CASE
        WHEN start_kind = 'first' THEN 0
        WHEN start_kind = 'sequence' THEN max(start_value - 1, 0)
        WHEN ack = 'all' THEN acked_through
        ELSE coalesce((SELECT min(sequence) - 1 FROM pending WHERE consumer_id = consumers.id), delivered_through) END;
      UPDATE consumers SET acked_highest = acked_through WHERE ack = 'all' AND acked_through > started_after;`,
  },
  {
    name: "bytes of objects, delayed messages, dead letters",
    sql: `
      ALTER TABLE objects ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE objects ADD COLUMN alive_bytes INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE objects ADD COLUMN committed_at INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE objects ADD COLUMN compacted_until_ms INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE objects ADD COLUMN linger_until_ms INTEGER NOT NULL DEFAULT 0;
      CREATE INDEX objects_sparse ON objects (CAST(alive_bytes AS REAL) / bytes) WHERE alive_bytes < bytes;
      ALTER TABLE objects ADD COLUMN digits INTEGER NOT NULL DEFAULT 1;
      CREATE INDEX objects_small ON objects (digits);

      CREATE TABLE spans (
        object_id INTEGER NOT NULL,
        subject_id INTEGER NOT NULL,
        first_sequence INTEGER NOT NULL,
        last_sequence INTEGER NOT NULL,
        PRIMARY KEY (object_id, subject_id, first_sequence)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE delayed (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subject TEXT NOT NULL,
        message_id TEXT,
        headers TEXT NOT NULL,
        object_id INTEGER NOT NULL,
        body_offset INTEGER NOT NULL,
        body_length INTEGER NOT NULL,
        stored_length INTEGER,
        sha256 BLOB NOT NULL,
        ttl_ms INTEGER,
        due_at INTEGER NOT NULL,
        try_at INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX delayed_try ON delayed (try_at, due_at);
      CREATE INDEX delayed_object ON delayed (object_id);
      CREATE UNIQUE INDEX delayed_message_id ON delayed (subject, message_id) WHERE message_id IS NOT NULL;

      ALTER TABLE consumers ADD COLUMN dead_letter TEXT;
      CREATE INDEX consumers_limited ON consumers (subject) WHERE max_deliver > 0;
      ALTER TABLE pending ADD COLUMN error TEXT;`,
    fill: fillAccounting,
  },
  {
    name: "application actors",
    sql: `
      CREATE TABLE actors (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        generation INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        owner TEXT,
        lease_until INTEGER NOT NULL,
        alarm_at INTEGER,
        restarts INTEGER NOT NULL,
        last_error TEXT,
        updated_at INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE actor_states (actor_id INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;

      CREATE TABLE actor_positions (
        actor_id INTEGER NOT NULL,
        subject TEXT NOT NULL,
        generation INTEGER NOT NULL,
        through INTEGER NOT NULL,
        effects_through INTEGER NOT NULL,
        PRIMARY KEY (actor_id, subject)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE actor_rows (
        actor_id INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (actor_id, generation, key)
      ) STRICT, WITHOUT ROWID;`,
  },
];

const numberOf = (db: Database, pragma: string): number => {
  const row = db.query<Record<string, number>, []>(`PRAGMA ${pragma}`).get();
  return row?.[pragma] ?? 0;
};

/**
 * Brings a database to the newest version.
 * @param through only to this version, to see what an older program left
 * @throws StreamError `unavailable` when the file belongs to another program or to a newer version of this one
 */
export const upgradeSchema = (db: Database, through = upgrades.length): void => {
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
    if (index < version || index >= through) continue;
    db.transaction(() => {
      db.run(upgrade.sql);
      upgrade.fill?.(db);
      db.run(`PRAGMA application_id = ${applicationId}`);
      db.run(`PRAGMA user_version = ${index + 1}`);
    }).exclusive();
  }
};
