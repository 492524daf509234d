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
import type { ReleaseNotes } from "./release-notes.ts";
import type { SubjectRow } from "./subjects.ts";

interface LeaseRow {
  readonly deliveries: number;
}

/** A message that is leased or nacked. */
export interface HeldMessage extends LeaseRow {
  readonly sequence: Sequence;
  /** What the last nack said of it. */
  readonly error: string | null;
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

/**
 * The same for what counts as settled: with a subject for dead letters a message is not before it is there, and there
 * may be no room for it.
 */
const settledAt = (consumer: ConsumerRow, nowMs: number): At =>
  consumer.dead_letter === null
    ? at(consumer, nowMs)
    : [consumer.id, nowMs, Number.MAX_SAFE_INTEGER, consumer.gone_through ?? 0];

/** Statements on pending and settled messages. */
export class LeaseTable {
  readonly #due: Statement<LeasedMessageRow, [...At, number, number]>;
  readonly #fresh: Statement<MessageRow, [number, number, number, number, number]>;
  readonly #settleExhausted: Statement<SequenceRow, At>;
  readonly #exhaustedCount: Statement<Count, At>;
  readonly #exhausted: Statement<HeldMessage, [...At, number]>;
  readonly #redelivered: Statement<Count, [number]>;
  readonly #lowest: Statement<SequenceRow, At>;
  readonly #earliest: Statement<{ readonly due_at: number }, [number]>;
  readonly #nextDue: Statement<{ readonly due: number | null }, [number, number, number]>;
  readonly #countThrough: Statement<Count, [number, number]>;
  readonly #find: Statement<HeldMessage, [number, number]>;
  readonly #lease: Statement<unknown, [number, number, number]>;
  readonly #postpone: Statement<unknown, [number, number, string | null, number, number]>;
  readonly #settle: Statement<unknown, [number, number]>;
  readonly #settleThrough: Statement<unknown, [number, number]>;
  readonly #ahead: Statement<unknown, [number, number, number]>;
  readonly #aheadLowest: Statement<SequenceRow, [number]>;
  readonly #aheadHighest: Statement<SequenceRow, [number]>;
  readonly #aheadBetween: Statement<SequenceRow, [number, number, number]>;
  readonly #aheadGone: Statement<unknown, [number, number]>;
  readonly #isHeld: Statement<unknown, [...At, number]>;
  readonly #heldBetween: Statement<SequenceRow, [number, number, number]>;
  readonly #unsettled: Statement<SequenceRow, [number, number, number]>;
  readonly #aheadCount: Statement<Count, [number]>;
  readonly #aheadReached: Statement<unknown, [number, number]>;

  readonly #releases: ReleaseNotes;

  /** @param releases is told of what is acknowledged or given up */
  constructor(connection: Connection, releases: ReleaseNotes) {
    this.#releases = releases;
    // Bounded before the messages are joined; by the index, as most rows are not due.
    this.#due = connection.prepare(
      `WITH due AS MATERIALIZED (
         SELECT sequence, deliveries FROM pending INDEXED BY pending_due
         WHERE consumer_id = ?1 AND due_at <= ?2 AND ${isLeft} AND NOT ${isExhausted} ORDER BY sequence LIMIT ?6)
       SELECT ${messageColumns}, due.deliveries FROM due
         CROSS JOIN messages m ON m.subject_id = ?5 AND m.sequence = due.sequence
           AND (m.expires_at IS NULL OR m.expires_at > ?2)
         LEFT JOIN objects o ON o.id = m.object_id ORDER BY due.sequence`,
    );
    this.#fresh = connection.prepare(
      `SELECT ${messageColumns} FROM messages m LEFT JOIN objects o ON o.id = m.object_id
       WHERE m.subject_id = ? AND m.sequence > ?
         AND NOT EXISTS (SELECT 1 FROM settled_ahead s WHERE s.consumer_id = ? AND s.sequence = m.sequence)
         AND (m.expires_at IS NULL OR m.expires_at > ?) ORDER BY m.sequence LIMIT ?`,
    );
    this.#settleExhausted = connection.prepare(
      `DELETE FROM pending WHERE consumer_id = ?1 AND ${isLeft} AND ${isExhausted} RETURNING sequence`,
    );
    this.#exhaustedCount = connection.prepare(
      `SELECT count(*) AS count FROM pending WHERE consumer_id = ?1 AND ${isLeft} AND ${isExhausted}`,
    );
    this.#exhausted = connection.prepare(
      `SELECT sequence, deliveries, error FROM pending INDEXED BY pending_due
       WHERE consumer_id = ?1 AND due_at <= ?2 AND ${isLeft} AND ${isExhausted} ORDER BY sequence LIMIT ?5`,
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
    this.#find = connection.prepare(
      "SELECT sequence, deliveries, error FROM pending WHERE consumer_id = ? AND sequence = ?",
    );
    this.#lease = connection.prepare(
      "INSERT INTO pending (consumer_id, sequence, deliveries, due_at) VALUES (?, ?, 1, ?)",
    );
    this.#postpone = connection.prepare(
      "UPDATE pending SET deliveries = ?, due_at = ?, error = coalesce(?, error) WHERE consumer_id = ? AND sequence = ?",
    );
    this.#settle = connection.prepare("DELETE FROM pending WHERE consumer_id = ? AND sequence = ?");
    this.#settleThrough = connection.prepare("DELETE FROM pending WHERE consumer_id = ? AND sequence <= ?");
    // What is gone is settled already.
    this.#ahead = connection.prepare(
      `INSERT OR IGNORE INTO settled_ahead (consumer_id, sequence)
       SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM messages WHERE subject_id = ?3 AND sequence = ?2)`,
    );
    this.#aheadLowest = connection.prepare(
      "SELECT sequence FROM settled_ahead WHERE consumer_id = ? ORDER BY sequence LIMIT 1",
    );
    this.#aheadHighest = connection.prepare(
      "SELECT sequence FROM settled_ahead WHERE consumer_id = ? ORDER BY sequence DESC LIMIT 1",
    );
    this.#aheadBetween = connection.prepare(
      "SELECT sequence FROM settled_ahead WHERE consumer_id = ? AND sequence >= ? AND sequence <= ? ORDER BY sequence",
    );
    this.#aheadGone = connection.prepare("UPDATE settled_ahead SET gone = 1 WHERE consumer_id = ? AND sequence = ?");
    this.#isHeld = connection.prepare(
      `SELECT 1 FROM pending WHERE consumer_id = ?1 AND sequence = ?5 AND ${isLeft} AND NOT ${isExhausted}`,
    );
    this.#heldBetween = connection.prepare(
      "SELECT sequence FROM pending WHERE consumer_id = ? AND sequence >= ? AND sequence <= ? ORDER BY sequence",
    );
    this.#unsettled = connection.prepare(
      `SELECT m.sequence FROM messages m WHERE m.subject_id = ? AND m.sequence > ?
         AND NOT EXISTS (SELECT 1 FROM settled_ahead s WHERE s.consumer_id = ? AND s.sequence = m.sequence)
       ORDER BY m.sequence LIMIT 1`,
    );
    this.#aheadCount = connection.prepare(
      "SELECT count(*) AS count FROM settled_ahead WHERE consumer_id = ? AND gone = 0",
    );
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
  fresh(
    consumer: ConsumerRow,
    subject: SubjectRow,
    meter: PageMeter,
    messagesMax: number,
    nowMs: number,
  ): PulledEnvelope[] {
    const envelopes: PulledEnvelope[] = [];
    const limit = Math.min(meter.room, messagesMax);
    if (limit <= 0 || subject.last_sequence <= consumer.delivered_through) return envelopes;
    for (const row of this.#fresh.iterate(subject.id, consumer.delivered_through, consumer.id, nowMs, limit)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push({ ...envelopeOf(subject.name, row), deliveries: 1 });
    }
    return envelopes;
  }

  /** Whether there are messages to settle because their deliveries are used up. */
  hasExhausted(consumer: ConsumerRow, nowMs: number): boolean {
    return consumer.max_deliver > 0 && (this.#exhaustedCount.get(...at(consumer, nowMs))?.count ?? 0) > 0;
  }

  /** Settles messages whose deliveries are used up and whose lease has run out. */
  settleExhausted(consumer: ConsumerRow, nowMs: number): void {
    if (consumer.max_deliver === 0) return;
    for (const { sequence } of this.#settleExhausted.all(...at(consumer, nowMs))) {
      consumer.held--;
      this.noteAcked(consumer, sequence, sequence);
    }
  }

  /** Messages whose deliveries are used up and whose lease has run out, lowest sequence first. */
  exhausted(consumer: ConsumerRow, limit: number, nowMs: number): readonly HeldMessage[] {
    return this.#exhausted.all(...at(consumer, nowMs), limit);
  }

  /** How many are leased or nacked. */
  held(consumer: ConsumerRow, nowMs: number): number {
    if (consumer.max_deliver === 0 || consumer.dead_letter !== null) return consumer.held;
    return consumer.held - (this.#exhaustedCount.get(...at(consumer, nowMs))?.count ?? 0);
  }

  /** How many of the leased or nacked were delivered more than once. */
  redelivered(consumer: ConsumerRow): number {
    return this.#redelivered.get(consumer.id)?.count ?? 0;
  }

  /** The highest sequence up to which everything is settled. */
  ackedThrough(consumer: ConsumerRow, nowMs: number): Sequence {
    const lowest = this.#lowest.get(...settledAt(consumer, nowMs));
    return lowest === null ? consumer.delivered_through : lowest.sequence - 1;
  }

  /** Milliseconds until the next lease or delay runs out; null when nothing is held. */
  nextDueInMs(consumer: ConsumerRow, nowMs: number): number | null {
    const due = this.#nextDue.get(consumer.id, nowMs, consumer.gone_through ?? 0)?.due ?? null;
    return due === null ? null : due - nowMs;
  }

  /** A leased or nacked message; undefined when it is neither. */
  find(consumer: ConsumerRow, sequence: Sequence): HeldMessage | undefined {
    return this.#find.get(consumer.id, sequence) ?? undefined;
  }

  /** Leases a message for the first time. */
  lease(consumer: ConsumerRow, sequence: Sequence, dueAtMs: number): void {
    this.#lease.run(consumer.id, sequence, dueAtMs);
    consumer.held++;
  }

  /** Changes when a leased or nacked message comes again. @param error why; null leaves what was said before */
  postpone(
    consumer: ConsumerRow,
    sequence: Sequence,
    deliveries: number,
    dueAtMs: number,
    error: string | null = null,
  ): void {
    this.#postpone.run(deliveries, dueAtMs, error, consumer.id, sequence);
  }

  /** Notes that a consumer acknowledged something from the first to the last of these. */
  noteAcked(consumer: ConsumerRow, first: Sequence, last: Sequence): void {
    // Where it is the first to come so far, it may be what others wait for.
    this.#releases.note(consumer.subject, Math.min(first, consumer.acked_highest + 1), last);
    consumer.acked_highest = Math.max(consumer.acked_highest, last);
  }

  /** Settles one message that was acknowledged or given up; answers whether it was unsettled. */
  settle(consumer: ConsumerRow, subject: SubjectRow, sequence: Sequence): boolean {
    this.noteAcked(consumer, sequence, sequence);
    if (sequence > consumer.delivered_through) return this.#ahead.run(consumer.id, sequence, subject.id).changes > 0;
    const { changes } = this.#settle.run(consumer.id, sequence);
    consumer.held -= changes;
    return changes > 0;
  }

  /** Settles everything up to a sequence; answers whether any of it was unsettled. */
  settleThrough(consumer: ConsumerRow, subject: SubjectRow, through: Sequence): boolean {
    const { changes } = this.#settleThrough.run(consumer.id, through);
    consumer.held -= changes;
    return this.advance(consumer, subject, through) || changes > 0;
  }

  /** Settles messages that are gone. @param sequences ascending */
  settleGone(consumer: ConsumerRow, subject: SubjectRow, sequences: readonly Sequence[]): void {
    const [from, through] = [sequences[0] ?? 0, sequences.at(-1) ?? 0];
    const held = this.#heldBetween.all(consumer.id, from, through);
    const ahead = this.#aheadBetween.all(consumer.id, from, through);
    if (held.length + ahead.length > 0) {
      const gone = new Set(sequences);
      for (const { sequence } of held) {
        if (gone.has(sequence)) consumer.held -= this.#settle.run(consumer.id, sequence).changes;
      }
      for (const { sequence } of ahead) if (gone.has(sequence)) this.#aheadGone.run(consumer.id, sequence);
    }
    this.advance(consumer, subject, subject.first_sequence - 1);
  }

  /**
   * Moves the cursor of new messages forward, and over what was settled ahead or is gone right behind it, so that the
   * message after the cursor is always an unsettled one. Answers whether the cursor was below `through`.
   */
  advance(consumer: ConsumerRow, subject: SubjectRow, through: Sequence): boolean {
    const before = consumer.delivered_through;
    const { reached, isAhead } = this.#reached(consumer, subject, through);
    consumer.delivered_through = reached;
    if (isAhead) this.#aheadReached.run(consumer.id, reached);
    return through > before;
  }

  /** An explicit consumer as it would be if its subject began where it does in this row; nothing is written. */
  past(consumer: ConsumerRow, subject: SubjectRow): ConsumerRow {
    const through = subject.first_sequence - 1;
    const held = consumer.held - (this.#countThrough.get(consumer.id, through)?.count ?? 0);
    const { reached } = this.#reached(consumer, subject, through);
    return { ...consumer, held, gone_through: through, delivered_through: reached };
  }

  /** Where the cursor stands after everything up to a sequence is settled, and whether that is over what was ahead. */
  #reached(
    consumer: ConsumerRow,
    subject: SubjectRow,
    through: Sequence,
  ): { readonly reached: Sequence; readonly isAhead: boolean } {
    const reached = Math.max(consumer.delivered_through, through);
    const ahead = this.#aheadLowest.get(consumer.id);
    // Mostly the next message is there and nobody has settled it before its turn.
    if (ahead === null && subject.gone_messages === 0) return { reached, isAhead: false };
    const next = this.#unsettled.get(subject.id, reached, consumer.id)?.sequence ?? subject.last_sequence + 1;
    const isAhead = ahead !== null && ahead.sequence < next;
    return { reached: Math.max(reached, next - 1), isAhead };
  }

  /** Held messages from a sequence through another one, ascending. */
  heldBetween(consumer: ConsumerRow, from: Sequence, through: Sequence): readonly Sequence[] {
    return this.#heldBetween.all(consumer.id, from, through).map(({ sequence }) => sequence);
  }

  /** What is settled beyond the cursor, from a sequence through another one, ascending. */
  aheadBetween(consumer: ConsumerRow, from: Sequence, through: Sequence): readonly Sequence[] {
    return this.#aheadBetween.all(consumer.id, from, through).map(({ sequence }) => sequence);
  }

  /** Whether a message is settled. */
  isSettled(consumer: ConsumerRow, sequence: Sequence, nowMs: number): boolean {
    if (sequence > consumer.delivered_through) return this.aheadBetween(consumer, sequence, sequence).length > 0;
    return this.#isHeld.get(...settledAt(consumer, nowMs), sequence) === null;
  }

  /** The highest settled sequence, what is held below it left aside. */
  highestSettled(consumer: ConsumerRow): Sequence {
    return Math.max(consumer.delivered_through, this.#aheadHighest.get(consumer.id)?.sequence ?? 0);
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
