/**
 * The table of delayed messages: kept aside with all that they will be, until they are due.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Headers } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { CommitEntry, DelayedMessage } from "../contract.ts";
import type { Connection } from "./connection.ts";

/** A delayed message that waits under a message id. */
export interface WaitingMessage {
  readonly id: number;
  readonly due_at: number;
}

interface DelayedRow extends WaitingMessage {
  readonly subject: Subject;
  readonly message_id: string | null;
  readonly headers: string;
  readonly object_id: number;
  readonly object: string | null;
  readonly body_offset: number;
  readonly body_length: number;
  readonly stored_length: number | null;
  readonly sha256: Uint8Array;
  readonly ttl_ms: number | null;
}

/** A delayed message whose time has come. */
export interface DueMessage {
  readonly id: number;
  readonly dueAtMs: number;
  readonly objectId: number;
  readonly entry: CommitEntry;
}

const dueMessageOf = (row: DelayedRow): DueMessage => ({
  id: row.id,
  dueAtMs: row.due_at,
  objectId: row.object_id,
  entry: {
    subject: row.subject,
    headers: JSON.parse(row.headers) as Headers,
    body: {
      object: row.object ?? "",
      offset: row.body_offset,
      length: row.body_length,
      sha256: row.sha256,
      storedLength: row.stored_length ?? undefined,
    },
    messageId: row.message_id ?? undefined,
    ttlMs: row.ttl_ms ?? undefined,
  },
});

type InsertParams = [
  ...[string, string | null, string, number, number, number, number | null, Uint8Array, number | null],
  ...[number, number],
];

/** Statements on delayed messages. */
export class DelayedTable {
  readonly #find: Statement<WaitingMessage, [string, string]>;
  readonly #insert: Statement<unknown, InsertParams>;
  readonly #due: Statement<DelayedRow, [number, number]>;
  readonly #waiting: Statement<DelayedRow, [number, number]>;
  readonly #next: Statement<{ readonly try_at: number }, []>;
  readonly #postpone: Statement<unknown, [number, number]>;
  readonly #remove: Statement<unknown, [number]>;
  /** False while the table is known to be empty: who publishes without delays pays nothing for them. */
  #mayHaveRows = true;

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT id, due_at FROM delayed WHERE subject = ? AND message_id = ?");
    this.#insert = connection.prepare(
      `INSERT INTO delayed (subject, message_id, headers, object_id, body_offset, body_length, stored_length, sha256,
         ttl_ms, due_at, try_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#due = connection.prepare(
      `SELECT d.id, d.due_at, d.subject, d.message_id, d.headers, d.object_id, o.name AS object, d.body_offset,
         d.body_length, d.stored_length, d.sha256, d.ttl_ms
       FROM delayed d LEFT JOIN objects o ON o.id = d.object_id
       WHERE d.try_at <= ? ORDER BY d.try_at, d.due_at, d.id LIMIT ?`,
    );
    this.#waiting = connection.prepare(
      `SELECT d.*, o.name AS object FROM delayed d LEFT JOIN objects o ON o.id = d.object_id
       WHERE d.id > ? ORDER BY d.id LIMIT ?`,
    );
    this.#next = connection.prepare("SELECT try_at FROM delayed ORDER BY try_at LIMIT 1");
    this.#postpone = connection.prepare("UPDATE delayed SET try_at = ? WHERE id = ?");
    this.#remove = connection.prepare("DELETE FROM delayed WHERE id = ?");
  }

  /** What waits under this id; undefined when nothing does. */
  find(subject: Subject, messageId: string): WaitingMessage | undefined {
    return this.#mayHaveRows ? (this.#find.get(subject, messageId) ?? undefined) : undefined;
  }

  /** Keeps a message aside and answers its number, which is never given to another one. */
  insert({ subject, headers, body, messageId, ttlMs }: CommitEntry, objectId: number, dueAtMs: number): number {
    this.#mayHaveRows = true;
    const { lastInsertRowid } = this.#insert.run(
      subject,
      messageId ?? null,
      JSON.stringify(headers),
      objectId,
      body.offset,
      body.length,
      body.storedLength ?? null,
      body.sha256,
      ttlMs ?? null,
      dueAtMs,
      dueAtMs,
    );
    return Number(lastInsertRowid);
  }

  /** What is due, the earliest first. */
  due(nowMs: number, limit: number): readonly DueMessage[] {
    return this.#due.all(nowMs, limit).map(dueMessageOf);
  }

  /** What waits, by number, strictly after one. */
  waiting(afterId: number, limit: number): readonly DelayedMessage[] {
    return this.#waiting.all(afterId, limit).map((row) => {
      const { subject, body } = dueMessageOf(row).entry;
      return { scheduleId: String(row.id), subject, dueAtMs: row.due_at, body };
    });
  }

  /** When the next is due, or is tried again; null when nothing waits. */
  nextAtMs(): number | null {
    return this.#next.get()?.try_at ?? null;
  }

  /** Nothing waits; not for what a transaction has seen that may still be undone. */
  rest(): void {
    this.#mayHaveRows = false;
  }

  /** Tries a message again at a time. */
  postpone(id: number, tryAtMs: number): void {
    this.#postpone.run(tryAtMs, id);
  }

  remove(id: number): void {
    this.#remove.run(id);
  }
}
