/**
 * The table of message ids that are still remembered. What is older than the window is no duplicate any more, and is
 * removed a bounded piece at a time by the commits that come.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";

/** Old ids that one commit removes at least, when there are so many. */
const cleanedMin = 100;

/** What was committed under a message id. */
export interface RememberedMessage {
  readonly sequence: Sequence;
  readonly timestampMs: number;
}

interface MessageIdRow {
  readonly sequence: number;
  readonly timestamp: number;
  readonly committed_at: number;
}

interface AgeRow {
  readonly id: number;
  readonly committed_at: number;
}

/** Statements on message ids. */
export class MessageIdTable {
  readonly #windowMs: number;
  readonly #find: Statement<MessageIdRow, [number, string]>;
  readonly #put: Statement<unknown, [number, string, number, number, number]>;
  readonly #oldest: Statement<AgeRow, [number]>;
  readonly #remove: Statement<unknown, [number]>;
  /** False while the table is known to be empty: who publishes without ids pays nothing for them. */
  #mayHaveRows = true;

  /** @param windowMs how long an id is remembered */
  constructor(connection: Connection, windowMs: number) {
    this.#windowMs = windowMs;
    this.#find = connection.prepare(
      "SELECT sequence, timestamp, committed_at FROM message_ids WHERE subject_id = ? AND message_id = ?",
    );
    // Replacing gives a row that outlived the window a new place at the end.
    this.#put = connection.prepare(
      `INSERT OR REPLACE INTO message_ids (subject_id, message_id, sequence, timestamp, committed_at)
       VALUES (?, ?, ?, ?, ?)`,
    );
    this.#oldest = connection.prepare("SELECT id, committed_at FROM message_ids ORDER BY id LIMIT ?");
    this.#remove = connection.prepare("DELETE FROM message_ids WHERE id <= ?");
  }

  /** What was committed under this id inside the window. */
  find(subjectId: number, messageId: string, nowMs: number): RememberedMessage | undefined {
    const row = this.#find.get(subjectId, messageId);
    if (row === null || !this.#remembers(row.committed_at, nowMs)) return undefined;
    return { sequence: row.sequence, timestampMs: row.timestamp };
  }

  remember(subjectId: number, messageId: string, message: RememberedMessage, nowMs: number): void {
    this.#mayHaveRows = true;
    this.#put.run(subjectId, messageId, message.sequence, message.timestampMs, nowMs);
  }

  /** Removes some of the oldest ids: more than were added, so that the table follows the window. */
  clean(addedIds: number, nowMs: number): void {
    if (!this.#mayHaveRows) return;
    let removeThrough: number | undefined;
    let seen = 0;
    for (const row of this.#oldest.iterate(cleanedMin + 2 * addedIds)) {
      seen++;
      if (this.#remembers(row.committed_at, nowMs)) break;
      removeThrough = row.id;
    }
    if (removeThrough !== undefined) this.#remove.run(removeThrough);
    if (seen === 0) this.#mayHaveRows = false;
  }

  /** A time further ahead than the window comes from a clock that was wrong; it would stop the cleaning for good. */
  #remembers(committedAtMs: number, nowMs: number): boolean {
    return Math.abs(nowMs - committedAtMs) < this.#windowMs;
  }
}
