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

interface SequenceRow {
  readonly sequence: number;
}

interface Count {
  readonly count: number;
}

/**
 * A row whose deliveries are used up and whose lease has run out: settled, whether or not it was removed yet.
 * Parameters: 2 = now, 3 = most deliveries. (By number: names cost ten microseconds a call.)
 */
const isExhausted = "(deliveries >= ?3 AND due_at <= ?2)";
/** A row that is still meant. Parameter 4 = through where messages are gone. (With `+` it is not looked for by it.) */
const isLeft = "+sequence > ?4";

/** Consumer, now, most deliveries, what is gone. */
type At = [number, number, number, number];

const at = (consumer: ConsumerRow, nowMs: number): At => [
  consumer.id,
  nowMs,
  consumer.max_deliver > 0 ? consumer.max_deliver : Number.MAX_SAFE_INTEGER,
  consumer.gone_through ?? 0,
];

/** Statements on pending and settled messages. */
export class LeaseTable {
  readonly #due: Statement<LeasedMessageRow, [...At, number, number]>;
  readonly #fresh: Statement<MessageRow, [number, number, number, number]>;
  readonly #settleExhausted: Statement<unknown, At>;
  readonly #exhaustedCount: Statement<Count, At>;
  readonly #redelivered: Statement<Count, [number]>;
  readonly #lowest: Statement<SequenceRow, At>;
  readonly #earliest: Statement<{ readonly due_at: number }, [number]>;
  readonly #nextDue: Statement<{ readonly due: number | null }, [number, number, number]>;
  readonly #countThrough: Statement<Count, [number, number]>;
  readonly #find: Statement<LeaseRow, [number, number]>;
  readonly #lease: Statement<unknown, [number, number, number]>;
  readonly #postpone: Statement<unknown, [number, number, number, number]>;
  readonly #settle: Statement<unknown, [number, number]>;
  readonly #settleThrough: Statement<unknown, [number, number]>;
  readonly #ahead: Statement<unknown, [number, number]>;
  readonly #aheadList: Statement<SequenceRow, [number]>;
  readonly #aheadCount: Statement<Count, [number]>;
  readonly #aheadReached: Statement<unknown, [number, number]>;

  constructor(connection: Connection) {
    // Bounded before the messages are joined; by the index, as most rows are not due.
    this.#due = connection.prepare(
      `WITH due AS MATERIALIZED (
         SELECT sequence, deliveries FROM pending INDEXED BY pending_due
         WHERE consumer_id = ?1 AND due_at <= ?2 AND ${isLeft} AND NOT ${isExhausted} ORDER BY sequence LIMIT ?6)
       SELECT ${messageColumns}, due.deliveries FROM due
         CROSS JOIN messages m ON m.subject_id = ?5 AND m.sequence = due.sequence
         LEFT JOIN objects o ON o.id = m.object_id ORDER BY due.sequence`,
    );
    this.#fresh = connection.prepare(
      `SELECT ${messageColumns} FROM messages m LEFT JOIN objects o ON o.id = m.object_id
       WHERE m.subject_id = ? AND m.sequence > ?
         AND NOT EXISTS (SELECT 1 FROM settled_ahead s WHERE s.consumer_id = ? AND s.sequence = m.sequence)
       ORDER BY m.sequence LIMIT ?`,
    );
    this.#settleExhausted = connection.prepare(
      `DELETE FROM pending WHERE consumer_id = ?1 AND ${isLeft} AND ${isExhausted}`,
    );
    this.#exhaustedCount = connection.prepare(
      `SELECT count(*) AS count FROM pending WHERE consumer_id = ?1 AND ${isLeft} AND ${isExhausted}`,
    );
    this.#redelivered = connection.prepare(
      "SELECT count(*) AS count FROM pending WHERE consumer_id = ? AND deliveries > 1",
    );
    this.#lowest = connection.prepare(
      `SELECT sequence FROM pending WHERE consumer_id = ?1 AND sequence > ?4 AND NOT ${isExhausted} ORDER BY sequence LIMIT 1`,
    );
    this.#earliest = connection.prepare("SELECT due_at FROM pending WHERE consumer_id = ? ORDER BY due_at LIMIT 1");
    this.#nextDue = connection.prepare(
      "SELECT min(due_at) AS due FROM pending WHERE consumer_id = ? AND due_at > ? AND +sequence > ?",
    );
    this.#countThrough = connection.prepare(
      "SELECT count(*) AS count FROM pending WHERE consumer_id = ? AND sequence <= ?",
    );
    this.#find = connection.prepare("SELECT deliveries FROM pending WHERE consumer_id = ? AND sequence = ?");
    this.#lease = connection.prepare("INSERT INTO pending VALUES (?, ?, 1, ?)");
    this.#postpone = connection.prepare(
      "UPDATE pending SET deliveries = ?, due_at = ? WHERE consumer_id = ? AND sequence = ?",
    );
    this.#settle = connection.prepare("DELETE FROM pending WHERE consumer_id = ? AND sequence = ?");
    this.#settleThrough = connection.prepare("DELETE FROM pending WHERE consumer_id = ? AND sequence <= ?");
    this.#ahead = connection.prepare("INSERT OR IGNORE INTO settled_ahead VALUES (?, ?)");
    this.#aheadList = connection.prepare("SELECT sequence FROM settled_ahead WHERE consumer_id = ? ORDER BY sequence");
    this.#aheadCount = connection.prepare("SELECT count(*) AS count FROM settled_ahead WHERE consumer_id = ?");
    this.#aheadReached = connection.prepare("DELETE FROM settled_ahead WHERE consumer_id = ? AND sequence <= ?");
  }

  /** Messages that come again, lowest sequence first. */
  due(consumer: ConsumerRow, subject: SubjectRow, meter: PageMeter, nowMs: number): PulledEnvelope[] {
    const envelopes: PulledEnvelope[] = [];
    const earliest = this.#earliest.get(consumer.id);
    // Mostly nothing is due, and this look-up is far cheaper than the next.
    if (earliest === null || earliest.due_at > nowMs) return envelopes;
    for (const row of this.#due.iterate(...at(consumer, nowMs), subject.id, meter.room)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push({ ...envelopeOf(subject.name, row), deliveries: row.deliveries + 1 });
    }
    return envelopes;
  }

  /** Messages whose turn comes first now. @param messagesMax beside the meter's bounds */
  fresh(consumer: ConsumerRow, subject: SubjectRow, meter: PageMeter, messagesMax: number): PulledEnvelope[] {
    const envelopes: PulledEnvelope[] = [];
    const limit = Math.min(meter.room, messagesMax);
    if (limit <= 0 || subject.last_sequence <= consumer.delivered_through) return envelopes;
    for (const row of this.#fresh.iterate(subject.id, consumer.delivered_through, consumer.id, limit)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push({ ...envelopeOf(subject.name, row), deliveries: 1 });
    }
    return envelopes;
  }

  /** Whether there are messages to settle because their deliveries are used up. */
  hasExhausted(consumer: ConsumerRow, nowMs: number): boolean {
    return this.held(consumer, nowMs) < consumer.held;
  }

  /** Settles messages whose deliveries are used up and whose lease has run out. */
  settleExhausted(consumer: ConsumerRow, nowMs: number): void {
    if (consumer.max_deliver > 0) consumer.held -= this.#settleExhausted.run(...at(consumer, nowMs)).changes;
  }

  /** How many are leased or nacked. */
  held(consumer: ConsumerRow, nowMs: number): number {
    if (consumer.max_deliver === 0) return consumer.held;
    return consumer.held - (this.#exhaustedCount.get(...at(consumer, nowMs))?.count ?? 0);
  }

  /** How many of the leased or nacked were delivered more than once. */
  redelivered(consumer: ConsumerRow): number {
    return this.#redelivered.get(consumer.id)?.count ?? 0;
  }

  /** The highest sequence up to which everything is settled. */
  ackedThrough(consumer: ConsumerRow, nowMs: number): Sequence {
    const lowest = this.#lowest.get(...at(consumer, nowMs));
    return lowest === null ? consumer.delivered_through : lowest.sequence - 1;
  }

  /** Milliseconds until the next lease or delay runs out; null when nothing is held. */
  nextDueInMs(consumer: ConsumerRow, nowMs: number): number | null {
    const due = this.#nextDue.get(consumer.id, nowMs, consumer.gone_through ?? 0)?.due ?? null;
    return due === null ? null : due - nowMs;
  }

  /** Deliveries of a leased or nacked message; undefined when it is neither. */
  deliveries(consumer: ConsumerRow, sequence: Sequence): number | undefined {
    return this.#find.get(consumer.id, sequence)?.deliveries;
  }

  /** Leases a message for the first time. */
  lease(consumer: ConsumerRow, sequence: Sequence, dueAtMs: number): void {
    this.#lease.run(consumer.id, sequence, dueAtMs);
    consumer.held++;
  }

  /** Changes when a leased or nacked message comes again. */
  postpone(consumer: ConsumerRow, sequence: Sequence, deliveries: number, dueAtMs: number): void {
    this.#postpone.run(deliveries, dueAtMs, consumer.id, sequence);
  }

  /** Settles one message; answers whether it was unsettled. */
  settle(consumer: ConsumerRow, sequence: Sequence): boolean {
    if (sequence > consumer.delivered_through) return this.#ahead.run(consumer.id, sequence).changes > 0;
    const { changes } = this.#settle.run(consumer.id, sequence);
    consumer.held -= changes;
    return changes > 0;
  }

  /** Settles everything up to a sequence; answers whether any of it was unsettled. */
  settleThrough(consumer: ConsumerRow, through: Sequence): boolean {
    const { changes } = this.#settleThrough.run(consumer.id, through);
    consumer.held -= changes;
    return this.advance(consumer, through) || changes > 0;
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

  /** An explicit consumer as it would be if everything up to a sequence were settled; nothing is written. */
  past(consumer: ConsumerRow, through: Sequence): ConsumerRow {
    const held = consumer.held - (this.#countThrough.get(consumer.id, through)?.count ?? 0);
    return { ...consumer, held, gone_through: through, delivered_through: this.#reached(consumer, through) };
  }

  /** Where the cursor would stand after everything up to a sequence is settled. */
  #reached(consumer: ConsumerRow, through: Sequence): Sequence {
    let reached = Math.max(consumer.delivered_through, through);
    for (const { sequence } of this.#aheadList.iterate(consumer.id)) {
      if (sequence > reached + 1) break;
      reached = Math.max(reached, sequence);
    }
    return reached;
  }

  /** How many messages beyond the cursor are settled. */
  aheadCount(consumer: ConsumerRow): number {
    return this.#aheadCount.get(consumer.id)?.count ?? 0;
  }

  /** Forgets everything of a consumer. */
  remove(consumer: ConsumerRow): void {
    this.#settleThrough.run(consumer.id, Number.MAX_SAFE_INTEGER);
    this.#aheadReached.run(consumer.id, Number.MAX_SAFE_INTEGER);
  }
}
