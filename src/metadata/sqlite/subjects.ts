/**
 * The table of subjects: heads, sums and the listing.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Head, Sequence, SubjectSummary } from "../../core/message.ts";
import { filterMatches, filterPrefix, type Subject, type SubjectFilter } from "../../core/subject.ts";
import type { Connection } from "./connection.ts";

/** A subject that was published to. */
export interface SubjectRow {
  readonly id: number;
  readonly name: Subject;
  readonly first_sequence: Sequence;
  readonly last_sequence: Sequence;
  /** Body bytes ever published; without `purged_bytes` and `gone_bytes` those that are stored. */
  readonly body_bytes: number;
  /** Body bytes ever published before the first sequence. */
  readonly purged_bytes: number;
  readonly created_at: number;
  readonly last_published_at: number;
  /** Not later than the first time to live that ends; null when none does. */
  readonly next_expiry: number | null;
  /** What is gone between the first and the last sequence. */
  readonly gone_messages: number;
  readonly gone_bytes: number;
}

/** The head of a subject; `null` is one that nobody published to. */
export const headOf = (row: SubjectRow | null): Head =>
  row === null
    ? { firstSequence: 1, lastSequence: 0 }
    : { firstSequence: row.first_sequence, lastSequence: row.last_sequence };

/** How many messages are stored. */
export const messagesOf = (row: SubjectRow): number => row.last_sequence - row.first_sequence + 1 - row.gone_messages;

/** How many bytes their bodies have. */
export const bytesOf = (row: SubjectRow): number => row.body_bytes - row.purged_bytes - row.gone_bytes;

/** A row of the listing. */
export const summaryOf = (row: SubjectRow): SubjectSummary => ({
  subject: row.name,
  firstSequence: row.first_sequence,
  lastSequence: row.last_sequence,
  messages: messagesOf(row),
  bytes: bytesOf(row),
});

/** Statements on the table of subjects. */
export class SubjectTable {
  readonly #find: Statement<SubjectRow, [string]>;
  readonly #insert: Statement<unknown, [string, number, number, number, number]>;
  readonly #advance: Statement<unknown, [number, number, number, number]>;
  readonly #cut: Statement<unknown, [number, number, number, number, number]>;
  readonly #setGone: Statement<unknown, [number, number, number]>;
  readonly #expireBy: Statement<unknown, [number, number]>;
  readonly #setExpiry: Statement<unknown, [number | null, number]>;
  readonly #anyExpiry: Statement<unknown, []>;
  readonly #list: Statement<SubjectRow, [string, string]>;
  readonly #namesAfter: Statement<{ readonly name: Subject }, [string, number]>;

  #mayExpire = true;

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT * FROM subjects WHERE name = ?");
    this.#insert = connection.prepare(
      `INSERT INTO subjects (name, first_sequence, last_sequence, body_bytes, purged_bytes, created_at, last_published_at)
       VALUES (?, 1, ?, ?, 0, ?, ?)`,
    );
    this.#advance = connection.prepare(
      "UPDATE subjects SET last_sequence = ?, body_bytes = ?, last_published_at = ? WHERE id = ?",
    );
    this.#cut = connection.prepare(
      `UPDATE subjects SET first_sequence = ?, purged_bytes = ?, gone_messages = ?, gone_bytes = ? WHERE id = ?`,
    );
    this.#setGone = connection.prepare("UPDATE subjects SET gone_messages = ?, gone_bytes = ? WHERE id = ?");
    this.#expireBy = connection.prepare(
      "UPDATE subjects SET next_expiry = ?1 WHERE id = ?2 AND (next_expiry IS NULL OR next_expiry > ?1)",
    );
    this.#setExpiry = connection.prepare("UPDATE subjects SET next_expiry = ? WHERE id = ?");
    this.#anyExpiry = connection.prepare(
      "SELECT 1 FROM subjects INDEXED BY subjects_expiry WHERE next_expiry > 0 LIMIT 1",
    );
    this.#list = connection.prepare("SELECT * FROM subjects WHERE name >= ? AND name <> ? ORDER BY name");
    this.#namesAfter = connection.prepare("SELECT name FROM subjects WHERE name > ? ORDER BY name LIMIT ?");
  }

  /** Null when nobody published to it. */
  find(subject: Subject): SubjectRow | null {
    return this.#find.get(subject);
  }

  /** A subject with its first messages, all of one time; answers its id. */
  insert(subject: Subject, lastSequence: Sequence, bodyBytes: number, timestampMs: number): number {
    return Number(this.#insert.run(subject, lastSequence, bodyBytes, timestampMs, timestampMs).lastInsertRowid);
  }

  /** Moves the end forward. */
  advance(id: number, lastSequence: Sequence, bodyBytes: number, timestampMs: number): void {
    this.#advance.run(lastSequence, bodyBytes, timestampMs, id);
  }

  /** Saves where the subject begins, and what is gone of it. */
  cut({ id, first_sequence, purged_bytes, gone_messages, gone_bytes }: SubjectRow): void {
    this.#cut.run(first_sequence, purged_bytes, gone_messages, gone_bytes, id);
  }

  /** Saves what is gone between the ends. */
  setGone(id: number, messages: number, bytes: number): void {
    this.#setGone.run(messages, bytes, id);
  }

  /** A time to live ends then. */
  expireBy(id: number, expiresAtMs: number): void {
    this.#mayExpire = true;
    this.#expireBy.run(expiresAtMs, id);
  }

  /** Saves when the next time to live ends; null: none does. */
  setExpiry(id: number, nextExpiryMs: number | null): void {
    this.#setExpiry.run(nextExpiryMs, id);
  }

  /** False while it is known that no message has a time to live: who publishes without pays nothing for it. */
  get mayExpire(): boolean {
    return this.#mayExpire;
  }

  /** Looks whether any message has a time to live; inside a transaction. */
  lookForExpiry(): void {
    this.#mayExpire = this.#anyExpiry.get() !== null;
  }

  /** At most `limit` subjects after a name, in byte order. */
  namesAfter(after: string, limit: number): readonly Subject[] {
    return this.#namesAfter.all(after, limit).map(({ name }) => name);
  }

  /**
   * At most `limit` matching subjects after `after`, in byte order, and whether there are more.
   * @param shown a row as it is to be shown
   */
  list(
    filter: SubjectFilter,
    after: string,
    limit: number,
    shown: (row: SubjectRow) => SubjectRow,
  ): { readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean } {
    const prefix = filterPrefix(filter);
    // Text is compared as UTF-8 bytes by the database, which is not how JavaScript compares it.
    const start = Buffer.compare(Buffer.from(after), Buffer.from(prefix)) > 0 ? after : prefix;
    const subjects: SubjectSummary[] = [];
    for (const row of this.#list.iterate(start, after)) {
      if (!row.name.startsWith(prefix)) break;
      if (!filterMatches(filter, row.name)) continue;
      if (subjects.length === limit) return { subjects, hasMore: true };
      subjects.push(summaryOf(shown(row)));
    }
    return { subjects, hasMore: false };
  }
}
