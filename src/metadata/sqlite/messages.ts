/**
 * The tables of messages and of the body objects that they point into.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Envelope, Headers, Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { PageBounds } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { type MessageInsert, MessageInserts } from "./message-inserts.ts";
import type { SubjectRow } from "./subjects.ts";

/** What is read of a message. */
export interface MessageRow {
  readonly sequence: Sequence;
  readonly timestamp: number;
  /** JSON, or null when there are none. */
  readonly headers: string | null;
  readonly object: string | null;
  readonly body_offset: number;
  readonly body_length: number;
  readonly sha256: Uint8Array;
  /** What the body takes in its object; null when that is `body_length`. */
  readonly stored_length: number | null;
  readonly expires_at: number | null;
}

/** What is known of a message that goes. */
export interface StoredRow {
  readonly sequence: Sequence;
  readonly object_id: number;
  readonly body_length: number;
  readonly stored_length: number | null;
}

const storedColumns = "sequence, object_id, body_length, stored_length";

/** The columns of a `MessageRow`, from `messages m` and `objects o`. */
export const messageColumns =
  "m.sequence, m.timestamp, m.headers, o.name AS object, m.body_offset, m.body_length, m.sha256, " +
  "m.stored_length, m.expires_at";

const noHeaders: Headers = Object.freeze({});

/** A row as the contract shows it. */
export const envelopeOf = (subject: Subject, row: MessageRow): Envelope => ({
  subject,
  sequence: row.sequence,
  timestampMs: row.timestamp,
  headers: row.headers === null ? noHeaders : (JSON.parse(row.headers) as Headers),
  body: {
    object: row.object ?? "",
    offset: row.body_offset,
    length: row.body_length,
    sha256: row.sha256,
    storedLength: row.stored_length ?? undefined,
  },
  expiresAtMs: row.expires_at ?? undefined,
});

/** Counts a page up to its bounds. The first message always fits; after one that does not, none does. */
export class PageMeter {
  readonly #bodyBytesMax: number;
  readonly #limit: number;
  #messages = 0;
  #bodyBytes = 0;

  constructor(bounds: PageBounds) {
    this.#bodyBytesMax = bounds.bodyBytesMax;
    this.#limit = bounds.limit;
  }

  /** How many messages may still come. */
  get room(): number {
    return Math.max(0, this.#limit - this.#messages);
  }

  /** Whether a body of this length goes into the page; if so it is counted. */
  takes(bodyBytes: number): boolean {
    if (this.room === 0) return false;
    if (this.#messages > 0 && this.#bodyBytes + bodyBytes > this.#bodyBytesMax) {
      this.#messages = this.#limit;
      return false;
    }
    this.#messages++;
    this.#bodyBytes += bodyBytes;
    return true;
  }
}

/** Statements on messages and objects. */
export class MessageTable {
  readonly #inserts: MessageInserts;
  readonly #page: Statement<MessageRow, [number, number, number, number]>;
  readonly #find: Statement<MessageRow, [number, number, number]>;
  readonly #probe: Statement<{ readonly sequence: number; readonly timestamp: number }, [number, number]>;
  readonly #beginning: Statement<{ readonly first: number; readonly bytesBefore: number }, [number, number]>;
  readonly #amount: Statement<{ readonly messages: number; readonly bytes: number }, [number, number, number]>;
  readonly #stored: Statement<StoredRow, [number, number, number]>;
  readonly #remove: Statement<unknown, [number, number, number]>;
  readonly #expired: Statement<StoredRow, [number, number, number, number]>;
  readonly #expiredAmount: Statement<{ readonly messages: number; readonly bytes: number }, [number, number, number]>;
  readonly #alive: Statement<{ readonly sequence: number }, [number, number, number]>;
  readonly #nextExpiry: Statement<{ readonly expires_at: number | null }, [number, number]>;

  constructor(connection: Connection) {
    this.#inserts = new MessageInserts(connection);
    this.#page = connection.prepare(
      `SELECT ${messageColumns} FROM messages m LEFT JOIN objects o ON o.id = m.object_id
       WHERE m.subject_id = ? AND m.sequence >= ? AND (m.expires_at IS NULL OR m.expires_at > ?)
       ORDER BY m.sequence LIMIT ?`,
    );
    this.#find = connection.prepare(
      `SELECT ${messageColumns} FROM messages m LEFT JOIN objects o ON o.id = m.object_id
       WHERE m.subject_id = ? AND m.sequence = ? AND (m.expires_at IS NULL OR m.expires_at > ?)`,
    );
    this.#probe = connection.prepare(
      "SELECT sequence, timestamp FROM messages WHERE subject_id = ? AND sequence >= ? ORDER BY sequence LIMIT 1",
    );
    this.#beginning = connection.prepare(
      `SELECT sequence AS first, body_bytes_through - body_length AS bytesBefore FROM messages
       WHERE subject_id = ? AND sequence >= ? ORDER BY sequence LIMIT 1`,
    );
    this.#amount = connection.prepare(
      `SELECT count(*) AS messages, coalesce(sum(body_length), 0) AS bytes FROM messages
       WHERE subject_id = ? AND sequence >= ? AND sequence < ?`,
    );
    this.#stored = connection.prepare(
      `SELECT ${storedColumns} FROM messages
       WHERE subject_id = ? AND sequence >= ? AND sequence <= ? ORDER BY sequence`,
    );
    this.#remove = connection.prepare("DELETE FROM messages WHERE subject_id = ? AND sequence >= ? AND sequence <= ?");
    this.#expired = connection.prepare(
      `SELECT ${storedColumns} FROM messages INDEXED BY messages_expiry
       WHERE subject_id = ?1 AND expires_at / 1000 <= ?2 / 1000 AND expires_at <= ?2 AND sequence >= ?3
       ORDER BY expires_at / 1000, sequence LIMIT ?4`,
    );
    this.#expiredAmount = connection.prepare(
      `SELECT count(*) AS messages, coalesce(sum(body_length), 0) AS bytes FROM messages INDEXED BY messages_expiry
       WHERE subject_id = ?1 AND expires_at / 1000 <= ?2 / 1000 AND expires_at <= ?2 AND sequence >= ?3`,
    );
    this.#alive = connection.prepare(
      `SELECT sequence FROM messages WHERE subject_id = ? AND sequence >= ? AND (expires_at IS NULL OR expires_at > ?)
       ORDER BY sequence LIMIT 1`,
    );
    this.#nextExpiry = connection.prepare(
      `SELECT min(expires_at) AS expires_at FROM messages INDEXED BY messages_expiry
       WHERE subject_id = ?1 AND expires_at > ?2 AND expires_at / 1000 = (
         SELECT expires_at / 1000 FROM messages INDEXED BY messages_expiry
         WHERE subject_id = ?1 AND expires_at / 1000 >= ?2 / 1000 AND expires_at > ?2
         ORDER BY expires_at / 1000 LIMIT 1)`,
    );
  }

  /** Stores messages; in the order of their keys it costs least. */
  insert(messages: readonly MessageInsert[]): void {
    this.#inserts.run(messages);
  }

  /**
   * Messages from a sequence on that are stored and whose time to live has not ended, as far as the meter goes; nothing
   * below the subject's first.
   */
  page(subject: SubjectRow, fromSequence: Sequence, meter: PageMeter, nowMs: number): Envelope[] {
    const envelopes: Envelope[] = [];
    const from = Math.max(fromSequence, subject.first_sequence);
    for (const row of this.#page.iterate(subject.id, from, nowMs, meter.room)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push(envelopeOf(subject.name, row));
    }
    return envelopes;
  }

  /** One message that is stored and whose time to live has not ended. */
  find(subject: SubjectRow, sequence: Sequence, nowMs: number): Envelope | undefined {
    const row = sequence < subject.first_sequence ? null : this.#find.get(subject.id, sequence, nowMs);
    return row === null ? undefined : envelopeOf(subject.name, row);
  }

  /** The first stored sequence from one on (last + 1 when there is none), and the bytes ever published before it. */
  beginningAt(subject: SubjectRow, sequence: Sequence): { readonly first: Sequence; readonly bytesBefore: number } {
    const { first_sequence: first, last_sequence: last, purged_bytes, body_bytes } = subject;
    if (sequence <= last) {
      const from = Math.max(sequence, first);
      const found = this.#beginning.get(subject.id, from);
      // The running sum of a message that is gone is in the next one's.
      if (found !== null) return from === first && found.first === first ? { first, bytesBefore: purged_bytes } : found;
    }
    return { first: Math.max(first, last + 1), bytesBefore: body_bytes };
  }

  /** How many messages are stored from a sequence up to another one, that excluded, and their bytes. */
  amountBetween(
    subjectId: number,
    from: Sequence,
    end: Sequence,
  ): { readonly messages: number; readonly bytes: number } {
    return this.#amount.get(subjectId, from, end) ?? { messages: 0, bytes: 0 };
  }

  /** Rows from a sequence through another one, ascending; to be read before anything else is asked for in this way. */
  stored(subjectId: number, from: Sequence, through: Sequence): Iterable<StoredRow> {
    return this.#stored.iterate(subjectId, from, through);
  }

  /** Deletes rows. @param rows ascending, each there */
  remove(subjectId: number, rows: readonly StoredRow[]): void {
    for (let index = 0; index < rows.length; index++) {
      const from = rows[index]?.sequence ?? 0;
      let through = from;
      // Mostly they are neighbours.
      while (rows[index + 1]?.sequence === through + 1) [index, through] = [index + 1, through + 1];
      this.#remove.run(subjectId, from, through);
    }
  }

  /** Some of the messages of a subject whose time to live is over: by seconds, and within one ascending. */
  expired(subject: SubjectRow, nowMs: number, limit: number): readonly StoredRow[] {
    return this.#expired.all(subject.id, nowMs, subject.first_sequence, limit);
  }

  /** How many of a subject's messages have outlived their time, and their bytes. */
  expiredAmount(subject: SubjectRow, nowMs: number): { readonly messages: number; readonly bytes: number } {
    return this.#expiredAmount.get(subject.id, nowMs, subject.first_sequence) ?? { messages: 0, bytes: 0 };
  }

  /** The first message whose time has not ended; last + 1 when there is none. */
  firstAlive(subject: SubjectRow, nowMs: number): Sequence {
    return this.#alive.get(subject.id, subject.first_sequence, nowMs)?.sequence ?? subject.last_sequence + 1;
  }

  /** When the next time to live ends that ends after now; null when none does. */
  nextExpiry(subjectId: number, nowMs: number): number | null {
    return this.#nextExpiry.get(subjectId, nowMs)?.expires_at ?? null;
  }

  /** The time of a stored message; undefined when there is none. */
  timestampOf(subject: SubjectRow, sequence: Sequence): number | undefined {
    if (sequence < subject.first_sequence || sequence > subject.last_sequence) return undefined;
    const row = this.#probe.get(subject.id, sequence);
    return row?.sequence === sequence ? row.timestamp : undefined;
  }

  /**
   * The first sequence from which on the bodies have at most so many bytes; the last one when it alone has more. For
   * subjects of which nothing is gone between the ends.
   */
  firstWithin(subject: SubjectRow, bodyBytesMax: number): Sequence {
    const bytesMin = subject.body_bytes - bodyBytesMax;
    const isWithin = (sequence: Sequence): boolean => this.beginningAt(subject, sequence).bytesBefore >= bytesMin;
    let low = subject.first_sequence;
    if (low >= subject.last_sequence || isWithin(low)) return low;
    // Mostly few messages are too many, so that the look-ups begin at the first and leap further each time.
    let high = low + 1;
    while (high < subject.last_sequence && !isWithin(high)) {
      const leap = 2 * (high - subject.first_sequence);
      low = high;
      high = Math.min(subject.first_sequence + leap, subject.last_sequence);
    }
    while (high - low > 1) {
      const middle = low + Math.floor((high - low) / 2);
      if (isWithin(middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  /** Like `sequenceAt`, for a time that is mostly before the first message. */
  firstSince(subject: SubjectRow, timestampMs: number): Sequence {
    const { first_sequence: first, last_sequence: last } = subject;
    if (first > last) return first;
    const row = this.#probe.get(subject.id, first);
    return row === null || row.timestamp >= timestampMs ? first : this.sequenceAt(subject, timestampMs);
  }

  /** The first stored sequence with a timestamp at or after `timestampMs`; last + 1 when there is none. */
  sequenceAt(subject: SubjectRow, timestampMs: number): Sequence {
    let low = subject.first_sequence;
    let high = subject.last_sequence + 1;
    if (subject.last_published_at < timestampMs) return high;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      const row = this.#probe.get(subject.id, middle);
      if (row === null || row.timestamp >= timestampMs) high = middle;
      else low = row.sequence + 1;
    }
    // The search ends right behind an older message, which may be where others are gone.
    return subject.gone_messages === 0 ? low : this.beginningAt(subject, low).first;
  }
}
