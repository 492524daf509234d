/**
 * The table of consumers: their configuration and their two positions.
 * @module
 */
import type { Statement } from "bun:sqlite";
import { ackPendingDefault, ackWaitMsDefault } from "../../core/limits.ts";
import type { AckMode, ConsumerConfig, ConsumerStart, Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type { Connection } from "./connection.ts";

/** A sign of life alone is written when the last one is so old. */
const activeEveryMs = 1000;

/** A consumer. Its positions and count change while a transaction runs and are then saved. */
export interface ConsumerRow {
  readonly id: number;
  readonly subject: Subject;
  readonly name: ConsumerName;
  readonly start_kind: ConsumerStart["kind"];
  /** Sequence or Unix milliseconds of the start; 0 where its kind has none. */
  readonly start_value: number;
  readonly ack: AckMode;
  readonly ack_wait_ms: number;
  readonly max_deliver: number;
  readonly max_ack_pending: number;
  /** Of `ack: all`; for explicit consumers it follows from what is pending. */
  acked_through: Sequence;
  /**
   * Explicit: the cursor of new messages; what is at or below it and not pending is settled. All: the highest
   * sequence that was handed out, at least `acked_through`.
   */
  delivered_through: Sequence;
  /** How many messages are leased or nacked. */
  held: number;
  readonly created_at: number;
  /** Where messages go whose deliveries are used up. */
  readonly dead_letter: Subject | null;
  /** The position that it was made with: what lies before is not owed to it. */
  readonly started_after: Sequence;
  /** Explicit: the highest sequence that it acknowledged or gave up. */
  acked_highest: Sequence;
  /** When it last fetched, acknowledged or gave back, Unix milliseconds. */
  active_at: number;
  /** Messages up to here are settled although their rows are still there (see `LeaseTable.past`); mostly undefined. */
  readonly gone_through?: Sequence;
}

/** A consumer that a fetch makes. */
export const consumerDefaults: ConsumerConfig = {
  start: { kind: "first" },
  ack: "all",
  ackWaitMs: ackWaitMsDefault,
  maxDeliver: 0,
  maxAckPending: ackPendingDefault,
};

const startValue = (start: ConsumerStart): number => {
  switch (start.kind) {
    case "first":
    case "new":
      return 0;
    case "sequence":
      return start.sequence;
    case "time":
      return start.timestampMs;
  }
};

/** Whether a consumer was made with this configuration, compared as it was given. */
export const isConfigured = (row: ConsumerRow, config: ConsumerConfig): boolean =>
  row.start_kind === config.start.kind &&
  row.start_value === startValue(config.start) &&
  row.ack === config.ack &&
  row.ack_wait_ms === config.ackWaitMs &&
  row.max_deliver === config.maxDeliver &&
  row.max_ack_pending === config.maxAckPending &&
  row.dead_letter === (config.deadLetter ?? null);

type InsertParams = [
  ...[string, string, string, number, string, number, number, number, number, number],
  string | null,
];

/** Statements on consumers. */
export class ConsumerTable {
  readonly #find: Statement<ConsumerRow, [string, string]>;
  readonly #list: Statement<ConsumerRow, [string]>;
  readonly #listAll: Statement<ConsumerRow, [string, string, number]>;
  readonly #count: Statement<{ readonly consumers: number }, [string]>;
  readonly #givesUp: Statement<unknown, []>;
  readonly #insert: Statement<ConsumerRow, InsertParams>;
  readonly #save: Statement<unknown, [number, number, number, number, number, number]>;
  readonly #remove: Statement<unknown, [number]>;

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT * FROM consumers WHERE subject = ? AND name = ?");
    this.#list = connection.prepare("SELECT * FROM consumers WHERE subject = ? ORDER BY name");
    this.#listAll = connection.prepare(
      "SELECT * FROM consumers WHERE (subject, name) > (?, ?) ORDER BY subject, name LIMIT ?",
    );
    this.#count = connection.prepare("SELECT count(*) AS consumers FROM consumers WHERE subject = ?");
    this.#givesUp = connection.prepare("SELECT 1 FROM consumers WHERE max_deliver > 0 LIMIT 1");
    this.#insert = connection.prepare(
      `INSERT INTO consumers (subject, name, start_kind, start_value, ack, ack_wait_ms, max_deliver, max_ack_pending,
         acked_through, delivered_through, held, created_at, dead_letter, started_after, active_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 0, ?10, ?11, ?9, ?10) RETURNING *`,
    );
    // What did not change is not written, so that a call without effect needs no disk.
    this.#save = connection.prepare(
      `UPDATE consumers SET acked_through = ?1, delivered_through = ?2, held = ?3, acked_highest = ?5,
         active_at = max(active_at, ?6)
       WHERE id = ?4 AND (acked_through <> ?1 OR delivered_through <> ?2 OR held <> ?3 OR acked_highest <> ?5
         OR active_at <= ?6 - ${activeEveryMs})`,
    );
    this.#remove = connection.prepare("DELETE FROM consumers WHERE id = ?");
  }

  find(subject: Subject, name: ConsumerName): ConsumerRow | null {
    return this.#find.get(subject, name);
  }

  /** In byte order of their names. */
  list(subject: Subject): ConsumerRow[] {
    return this.#list.all(subject);
  }

  /** Of all subjects, in byte order of subject and name, strictly after one of them. */
  listAll(afterSubject: string, afterName: string, limit: number): ConsumerRow[] {
    return this.#listAll.all(afterSubject, afterName, limit);
  }

  /** Whether any consumer gives messages up. */
  mayGiveUp(): boolean {
    return this.#givesUp.get() !== null;
  }

  count(subject: Subject): number {
    return this.#count.get(subject)?.consumers ?? 0;
  }

  /** @param position both positions at the beginning */
  insert(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
    position: Sequence,
    nowMs: number,
  ): ConsumerRow | null {
    const { start, ack, ackWaitMs, maxDeliver, maxAckPending } = config;
    return this.#insert.get(
      subject,
      name,
      start.kind,
      startValue(start),
      ack,
      ackWaitMs,
      maxDeliver,
      maxAckPending,
      position,
      nowMs,
      config.deadLetter ?? null,
    );
  }

  /** Saves what changes of a consumer. */
  save(row: ConsumerRow): void {
    const { acked_through, delivered_through, held, id, acked_highest, active_at } = row;
    this.#save.run(acked_through, delivered_through, held, id, acked_highest, active_at);
  }

  remove(id: number): void {
    this.#remove.run(id);
  }
}
