/**
 * The table of consumers: their configuration and their two positions.
 * @module
 */
import type { Statement } from "bun:sqlite";
import { ackPendingDefault, ackWaitMsDefault } from "../../core/limits.ts";
import type { AckMode, ConsumerConfig, ConsumerStart, Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type { Connection } from "./connection.ts";

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
  row.max_ack_pending === config.maxAckPending;

type InsertParams = [string, string, string, number, string, number, number, number, number, number, number];

/** Statements on consumers. */
export class ConsumerTable {
  readonly #find: Statement<ConsumerRow, [string, string]>;
  readonly #list: Statement<ConsumerRow, [string]>;
  readonly #count: Statement<{ readonly consumers: number }, [string]>;
  readonly #insert: Statement<ConsumerRow, InsertParams>;
  readonly #save: Statement<unknown, [number, number, number, number]>;
  readonly #remove: Statement<unknown, [number]>;

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT * FROM consumers WHERE subject = ? AND name = ?");
    this.#list = connection.prepare("SELECT * FROM consumers WHERE subject = ? ORDER BY name");
    this.#count = connection.prepare("SELECT count(*) AS consumers FROM consumers WHERE subject = ?");
    this.#insert = connection.prepare(
      `INSERT INTO consumers (subject, name, start_kind, start_value, ack, ack_wait_ms, max_deliver, max_ack_pending,
         acked_through, delivered_through, held, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) RETURNING *`,
    );
    // What did not change is not written, so that a call without effect needs no disk.
    this.#save = connection.prepare(
      `UPDATE consumers SET acked_through = ?1, delivered_through = ?2, held = ?3
       WHERE id = ?4 AND (acked_through <> ?1 OR delivered_through <> ?2 OR held <> ?3)`,
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
      position,
      nowMs,
    );
  }

  /** Saves what changes of a consumer. */
  save(row: ConsumerRow): void {
    this.#save.run(row.acked_through, row.delivered_through, row.held, row.id);
  }

  remove(id: number): void {
    this.#remove.run(id);
  }
}
