/**
 * The tables of explicit consumers: what is leased or nacked (`pending`), and what was settled before its turn
 * (`settled_ahead`). Everything at or below `delivered_through` that is in neither is settled.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Sequence } from "../../core/message.ts";
import type { PulledEnvelope } from "../contract.ts";
import type { Connection } from "./connection.ts";
import type { ConsumerRow } from "./consumers.ts";
import { envelopeOf, type MessageRow, messageColumns, type PageMeter } from "./messages.ts";
import type { SubjectRow } from "./subjects.ts";

interface LeaseRow {
  readonly deliveries: number;
}

interface LeasedMessageRow extends MessageRow, LeaseRow {}

interface LeaseCounts {
  readonly held: number;
  readonly redelivered: number;
}

interface SequenceRow {
  readonly sequence: number;
}

/** A row whose deliveries are used up and whose lease has run out: settled, whether or not it was removed yet. */
const isExhausted = "(c.max_deliver > 0 AND p.deliveries >= c.max_deliver AND p.due_at <= $now)";

type AtParams = [{ readonly id: number; readonly now: number }];

/** Statements on pending and settled messages. */
export class LeaseTable {
  readonly #due: Statement<LeasedMessageRow, [{ id: number; now: number; subject: number; limit: number }]>;
  readonly #fresh: Statement<MessageRow, [number, number, number, number]>;
  readonly #exhausted: Statement<SequenceRow, [{ subject: string; name: string; now: number }]>;
  readonly #settleExhausted: Statement<unknown, [number, number, number]>;
  readonly #counts: Statement<LeaseCounts, AtParams>;
  readonly #lowest: Statement<SequenceRow, AtParams>;
  readonly #nextDue: Statement<{ readonly due: number | null }, [number, number]>;
  readonly #find: Statement<LeaseRow, [number, number]>;
  readonly #lease: Statement<unknown, [number, number, number, number]>;
  readonly #settle: Statement<unknown, [number, number]>;
  readonly #settleThrough: Statement<unknown, [number, number]>;
  readonly #ahead: Statement<unknown, [number, number]>;
  readonly #aheadList: Statement<SequenceRow, [number]>;
  readonly #aheadCount: Statement<{ readonly ahead: number }, [number]>;
  readonly #aheadReached: Statement<unknown, [number, number]>;

  constructor(connection: Connection) {
    // Bounded before the messages are joined; by the index, as most rows are not due.
    this.#due = connection.prepare(
      `WITH due AS MATERIALIZED (
         SELECT p.sequence, p.deliveries FROM pending p INDEXED BY pending_due JOIN consumers c ON c.id = p.consumer_id
         WHERE p.consumer_id = $id AND p.due_at <= $now AND NOT ${isExhausted} ORDER BY p.sequence LIMIT $limit)
       SELECT ${messageColumns}, due.deliveries FROM due
         CROSS JOIN messages m ON m.subject_id = $subject AND m.sequence = due.sequence
         LEFT JOIN objects o ON o.id = m.object_id ORDER BY due.sequence`,
    );
    this.#fresh = connection.prepare(
      `SELECT ${messageColumns} FROM messages m LEFT JOIN objects o ON o.id = m.object_id
       WHERE m.subject_id = ? AND m.sequence > ?
         AND NOT EXISTS (SELECT 1 FROM settled_ahead s WHERE s.consumer_id = ? AND s.sequence = m.sequence)
       ORDER BY m.sequence LIMIT ?`,
    );
    this.#exhausted = connection.prepare(
      `SELECT p.sequence FROM consumers c CROSS JOIN pending p ON p.consumer_id = c.id
       WHERE c.subject = $subject AND c.name = $name AND ${isExhausted} LIMIT 1`,
    );
    this.#settleExhausted = connection.prepare(
      "DELETE FROM pending WHERE consumer_id = ? AND due_at <= ? AND deliveries >= ?",
    );
    this.#counts = connection.prepare(
      `SELECT count(*) AS held, coalesce(sum(p.deliveries > 1), 0) AS redelivered
       FROM pending p JOIN consumers c ON c.id = p.consumer_id WHERE p.consumer_id = $id AND NOT ${isExhausted}`,
    );
    this.#lowest = connection.prepare(
      `SELECT p.sequence FROM pending p JOIN consumers c ON c.id = p.consumer_id
       WHERE p.consumer_id = $id AND NOT ${isExhausted} ORDER BY p.sequence LIMIT 1`,
    );
    this.#nextDue = connection.prepare("SELECT min(due_at) AS due FROM pending WHERE consumer_id = ? AND due_at > ?");
    this.#find = connection.prepare("SELECT deliveries FROM pending WHERE consumer_id = ? AND sequence = ?");
    this.#lease = connection.prepare("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)");
    this.#settle = connection.prepare("DELETE FROM pending WHERE consumer_id = ? AND sequence = ?");
    this.#settleThrough = connection.prepare("DELETE FROM pending WHERE consumer_id = ? AND sequence <= ?");
    this.#ahead = connection.prepare("INSERT OR IGNORE INTO settled_ahead VALUES (?, ?)");
    this.#aheadList = connection.prepare("SELECT sequence FROM settled_ahead WHERE consumer_id = ? ORDER BY sequence");
    this.#aheadCount = connection.prepare("SELECT count(*) AS ahead FROM settled_ahead WHERE consumer_id = ?");
    this.#aheadReached = connection.prepare("DELETE FROM settled_ahead WHERE consumer_id = ? AND sequence <= ?");
  }

  /** Messages that come again, lowest sequence first. */
  due(consumer: ConsumerRow, subject: SubjectRow, meter: PageMeter, nowMs: number): PulledEnvelope[] {
    const envelopes: PulledEnvelope[] = [];
    const bounds = { id: consumer.id, now: nowMs, subject: subject.id, limit: meter.room };
    for (const row of this.#due.iterate(bounds)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push({ ...envelopeOf(subject.name, row), deliveries: row.deliveries + 1 });
    }
    return envelopes;
  }

  /** Messages whose turn comes first now. @param messagesMax beside the meter's bounds */
  fresh(consumer: ConsumerRow, subject: SubjectRow, meter: PageMeter, messagesMax: number): PulledEnvelope[] {
    const envelopes: PulledEnvelope[] = [];
    const limit = Math.min(meter.room, messagesMax);
    if (limit <= 0) return envelopes;
    for (const row of this.#fresh.iterate(subject.id, consumer.delivered_through, consumer.id, limit)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push({ ...envelopeOf(subject.name, row), deliveries: 1 });
    }
    return envelopes;
  }

  /** Whether a consumer has messages to settle because their deliveries are used up. */
  hasExhausted(subject: string, name: string, nowMs: number): boolean {
    return this.#exhausted.get({ subject, name, now: nowMs }) !== null;
  }

  /** Settles messages whose deliveries are used up and whose lease has run out. */
  settleExhausted(consumer: ConsumerRow, nowMs: number): void {
    if (consumer.max_deliver > 0) this.#settleExhausted.run(consumer.id, nowMs, consumer.max_deliver);
  }

  /** How many are leased or nacked, and how many of them were delivered more than once. */
  counts(consumer: ConsumerRow, nowMs: number): LeaseCounts {
    return this.#counts.get({ id: consumer.id, now: nowMs }) ?? { held: 0, redelivered: 0 };
  }

  /** The highest sequence up to which everything is settled. */
  ackedThrough(consumer: ConsumerRow, nowMs: number): Sequence {
    const lowest = this.#lowest.get({ id: consumer.id, now: nowMs });
    return lowest === null ? consumer.delivered_through : lowest.sequence - 1;
  }

  /** Milliseconds until the next lease or delay runs out; null when nothing is held. */
  nextDueInMs(consumer: ConsumerRow, nowMs: number): number | null {
    const due = this.#nextDue.get(consumer.id, nowMs)?.due ?? null;
    return due === null ? null : due - nowMs;
  }

  /** Deliveries of a leased or nacked message; undefined when it is neither. */
  deliveries(consumer: ConsumerRow, sequence: Sequence): number | undefined {
    return this.#find.get(consumer.id, sequence)?.deliveries;
  }

  /** Leases a message, or changes when it comes again. */
  lease(consumer: ConsumerRow, sequence: Sequence, deliveries: number, dueAtMs: number): void {
    this.#lease.run(consumer.id, sequence, deliveries, dueAtMs);
  }

  /** Settles one message; answers whether it was unsettled. */
  settle(consumer: ConsumerRow, sequence: Sequence): boolean {
    const table = sequence > consumer.delivered_through ? this.#ahead : this.#settle;
    return table.run(consumer.id, sequence).changes > 0;
  }

  /** Settles everything up to a sequence; answers whether any of it was unsettled. */
  settleThrough(consumer: ConsumerRow, through: Sequence): boolean {
    const settled = this.#settleThrough.run(consumer.id, through).changes > 0;
    return this.advance(consumer, through) || settled;
  }

  /**
   * Moves the cursor of new messages forward, and over what was settled ahead right behind it, so that the message
   * after the cursor is always an unsettled one. Answers whether the cursor was below `through`.
   */
  advance(consumer: ConsumerRow, through: Sequence): boolean {
    const isForward = through > consumer.delivered_through;
    if (isForward) consumer.delivered_through = through;
    let reached = false;
    for (const { sequence } of this.#aheadList.iterate(consumer.id)) {
      if (sequence > consumer.delivered_through + 1) break;
      consumer.delivered_through = Math.max(consumer.delivered_through, sequence);
      reached = true;
    }
    if (reached) this.#aheadReached.run(consumer.id, consumer.delivered_through);
    return isForward;
  }

  /** How many messages beyond the cursor are settled. */
  aheadCount(consumer: ConsumerRow): number {
    return this.#aheadCount.get(consumer.id)?.ahead ?? 0;
  }

  /** Forgets everything of a consumer. */
  remove(consumer: ConsumerRow): void {
    this.#settleThrough.run(consumer.id, Number.MAX_SAFE_INTEGER);
    this.#aheadReached.run(consumer.id, Number.MAX_SAFE_INTEGER);
  }
}
