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
  /** Body bytes ever published; without `purged_bytes` those that are stored. */
  readonly body_bytes: number;
  readonly purged_bytes: number;
  readonly created_at: number;
  readonly last_published_at: number;
}

/** The head of a subject; `null` is one that nobody published to. */
export const headOf = (row: SubjectRow | null): Head =>
  row === null
    ? { firstSequence: 1, lastSequence: 0 }
    : { firstSequence: row.first_sequence, lastSequence: row.last_sequence };

/** A row of the listing. */
export const summaryOf = (row: SubjectRow): SubjectSummary => ({
  subject: row.name,
  firstSequence: row.first_sequence,
  lastSequence: row.last_sequence,
  messages: row.last_sequence - row.first_sequence + 1,
  bytes: row.body_bytes - row.purged_bytes,
});

/** Statements on the table of subjects. */
export class SubjectTable {
  readonly #find: Statement<SubjectRow, [string]>;
  readonly #insert: Statement<unknown, [string, number, number, number, number]>;
  readonly #advance: Statement<unknown, [number, number, number, number]>;
  readonly #cut: Statement<unknown, [number, number, number]>;
  readonly #list: Statement<SubjectRow, [string, string]>;
  readonly #listAfter: Statement<SubjectRow, [string, number]>;

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT * FROM subjects WHERE name = ?");
    this.#insert = connection.prepare(
      `INSERT INTO subjects (name, first_sequence, last_sequence, body_bytes, purged_bytes, created_at, last_published_at)
       VALUES (?, 1, ?, ?, 0, ?, ?)`,
    );
    this.#advance = connection.prepare(
      "UPDATE subjects SET last_sequence = ?, body_bytes = ?, last_published_at = ? WHERE id = ?",
    );
    this.#cut = connection.prepare("UPDATE subjects SET first_sequence = ?, purged_bytes = ? WHERE id = ?");
    this.#list = connection.prepare("SELECT * FROM subjects WHERE name >= ? AND name <> ? ORDER BY name");
    this.#listAfter = connection.prepare("SELECT * FROM subjects WHERE name > ? ORDER BY name LIMIT ?");
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

  /** Moves the beginning forward. */
  cut(id: number, firstSequence: Sequence, purgedBytes: number): void {
    this.#cut.run(firstSequence, purgedBytes, id);
  }

  /** At most `limit` subjects after a name, in byte order. */
  listAfter(after: string, limit: number): readonly SubjectRow[] {
    return this.#listAfter.all(after, limit);
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
