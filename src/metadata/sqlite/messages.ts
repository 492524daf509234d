/**
 * The tables of messages and of the body objects that they point into.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Envelope, Headers, Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { CommitEntry, PageBounds } from "../contract.ts";
import type { Connection } from "./connection.ts";
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
}

/** The columns of a `MessageRow`, from `messages m` and `objects o`. */
export const messageColumns =
  "m.sequence, m.timestamp, m.headers, o.name AS object, m.body_offset, m.body_length, m.sha256";

/** Stands for the object name "" of an empty body. */
const noObjectId = 0;
const noHeaders: Headers = Object.freeze({});

/** The headers as text; parsing makes own properties of every name, `__proto__` too. */
const headersText = (headers: Headers): string | null => {
  // Most messages have none, or few: this is cheaper than Object.keys.
  for (const _name in headers) return JSON.stringify(headers);
  return null;
};

/** A row as the contract shows it. */
export const envelopeOf = (subject: Subject, row: MessageRow): Envelope => ({
  subject,
  sequence: row.sequence,
  timestampMs: row.timestamp,
  headers: row.headers === null ? noHeaders : (JSON.parse(row.headers) as Headers),
  body: { object: row.object ?? "", offset: row.body_offset, length: row.body_length, sha256: row.sha256 },
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

type InsertParams = [number, number, number, string | null, number, number, number, Uint8Array, number];

/** Statements on messages and objects. */
export class MessageTable {
  readonly #insert: Statement<unknown, InsertParams>;
  readonly #refer: Statement<{ readonly id: number }, [string, number]>;
  readonly #referenced: Statement<{ readonly id: number }, [string]>;
  readonly #page: Statement<MessageRow, [number, number, number]>;
  readonly #probe: Statement<{ readonly sequence: number; readonly timestamp: number }, [number, number]>;
  readonly #bytesThrough: Statement<{ readonly bytes: number }, [number, number]>;

  constructor(connection: Connection) {
    this.#insert = connection.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#refer = connection.prepare(
      `INSERT INTO objects (name, messages) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET messages = messages + excluded.messages RETURNING id`,
    );
    this.#referenced = connection.prepare("SELECT id FROM objects WHERE name = ? AND messages > 0");
    this.#page = connection.prepare(
      `SELECT ${messageColumns} FROM messages m LEFT JOIN objects o ON o.id = m.object_id
       WHERE m.subject_id = ? AND m.sequence >= ? ORDER BY m.sequence LIMIT ?`,
    );
    this.#probe = connection.prepare(
      "SELECT sequence, timestamp FROM messages WHERE subject_id = ? AND sequence >= ? ORDER BY sequence LIMIT 1",
    );
    this.#bytesThrough = connection.prepare(
      `SELECT body_bytes_through AS bytes FROM messages
       WHERE subject_id = ? AND sequence <= ? ORDER BY sequence DESC LIMIT 1`,
    );
  }

  /** Counts so many more messages in an object and answers its id. */
  refer(object: string, messages: number): number {
    return object === "" ? noObjectId : (this.#refer.get(object, messages)?.id ?? noObjectId);
  }

  /** Whether a message points into the object. */
  isReferenced(object: string): boolean {
    return this.#referenced.get(object) !== null;
  }

  /** @param bodyBytesThrough body bytes of the subject, this message included */
  insert(
    subjectId: number,
    sequence: Sequence,
    timestampMs: number,
    entry: CommitEntry,
    objectId: number,
    bodyBytesThrough: number,
  ): void {
    const { headers, body } = entry;
    this.#insert.run(
      subjectId,
      sequence,
      timestampMs,
      headersText(headers),
      objectId,
      body.offset,
      body.length,
      body.sha256,
      bodyBytesThrough,
    );
  }

  /** Stored messages from a sequence on, as far as the meter goes; nothing below the subject's first. */
  page(subject: SubjectRow, fromSequence: Sequence, meter: PageMeter): Envelope[] {
    const envelopes: Envelope[] = [];
    const from = Math.max(fromSequence, subject.first_sequence);
    for (const row of this.#page.iterate(subject.id, from, meter.room)) {
      if (!meter.takes(row.body_length)) break;
      envelopes.push(envelopeOf(subject.name, row));
    }
    return envelopes;
  }

  /** Body bytes ever published to the subject before a stored sequence, or before last + 1. */
  bytesBefore(subject: SubjectRow, sequence: Sequence): number {
    if (sequence > subject.last_sequence) return subject.body_bytes;
    if (sequence <= subject.first_sequence) return subject.purged_bytes;
    return this.#bytesThrough.get(subject.id, sequence - 1)?.bytes ?? subject.purged_bytes;
  }

  /** The first sequence from which on the bodies have at most so many bytes; the last one when it alone has more. */
  firstWithin(subject: SubjectRow, bodyBytesMax: number): Sequence {
    const bytesMin = subject.body_bytes - bodyBytesMax;
    const isWithin = (sequence: Sequence): boolean => this.bytesBefore(subject, sequence) >= bytesMin;
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
    return low;
  }
}
