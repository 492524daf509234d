/**
 * The table of body objects: how many messages point into each, and how many of the bytes that were ever committed
 * into it they still need; and `spans`, the ranges of sequences in which an object's messages are found.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { BodyRef, Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";
import type { DeadTable } from "./dead.ts";
import { KnownHolders } from "./known-holders.ts";
import { KnownSpans } from "./known-spans.ts";

/** Stands for the object name "" of an empty body. */
export const noObjectId = 0;

/** What a body takes in its object. */
export const storedBytes = (body: BodyRef): number => body.storedLength ?? body.length;

/** Where entries come from: a publisher, an actor, the delayed messages, or messages that are stored already. */
export type Origin = "published" | "actor" | "delayed" | "copied";

/** Whether the bodies of entries were written for them. */
export const isNew = (origin: Origin): boolean => origin === "published" || origin === "actor";

/** Messages that come to point into one object. */
export interface Reference {
  /** Messages (delayed ones too) more. */
  messages: number;
  /** Bytes that were not in the object before; 0 for another reference to what is. */
  newBytes: number;
  /** Bytes that these messages need. */
  aliveBytes: number;
}

/** A range of sequences of one subject, in which messages of an object are. */
export interface SpanRow {
  readonly subject_id: number;
  readonly first_sequence: Sequence;
  readonly last_sequence: Sequence;
}

/** An object as it is after messages came to it. */
interface ReferredRow {
  readonly id: number;
  bytes: number;
  digits: number;
}

/** Objects whose rows are known, so that a commit into one that is being written to need not look for it. */
const knownMax = 16;

/** Ranges are joined over gaps up to this: looking at so many rows costs less than a range more. */
const gapMax = 64;

/** Statements on objects and their spans. */
export class ObjectTable {
  /** Of objects that are being rewritten. */
  readonly holders = new KnownHolders(gapMax);
  readonly #dead: DeadTable;
  readonly #known = new Map<string, ReferredRow>();
  readonly #knownSpans = new KnownSpans(gapMax);
  readonly #refer: Statement<ReferredRow, [string, number, number, number, number]>;
  readonly #referAgain: Statement<unknown, [number, number, number, number, number]>;
  readonly #setDigits: Statement<unknown, [number, number]>;
  readonly #find: Statement<{ readonly id: number }, [string]>;
  readonly #referenced: Statement<{ readonly id: number }, [string]>;
  readonly #release: Statement<{ readonly messages: number }, [number, number, number]>;
  readonly #forget: Statement<{ readonly name: string; readonly linger_until_ms: number }, [number]>;
  readonly #linger: Statement<unknown, [number, number]>;
  readonly #addSpan: Statement<unknown, [number, number, number, number]>;
  readonly #growSpan: Statement<unknown, [number, number, number, number]>;
  readonly #spans: Statement<SpanRow, [number]>;
  readonly #forgetSpans: Statement<unknown, [number]>;

  constructor(connection: Connection, dead: DeadTable) {
    this.#dead = dead;
    this.#refer = connection.prepare(
      `INSERT INTO objects (name, messages, bytes, alive_bytes, committed_at, digits)
       VALUES (?1, ?2, ?3, ?4, ?5, length(?3))
       ON CONFLICT (name) DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes,
         alive_bytes = alive_bytes + excluded.alive_bytes, committed_at = max(committed_at, excluded.committed_at)
       RETURNING id, bytes, digits`,
    );
    this.#referAgain = connection.prepare(
      `UPDATE objects SET messages = messages + ?1, bytes = bytes + ?2, alive_bytes = alive_bytes + ?3,
         committed_at = max(committed_at, ?4) WHERE id = ?5`,
    );
    this.#setDigits = connection.prepare("UPDATE objects SET digits = ? WHERE id = ?");
    this.#find = connection.prepare("SELECT id FROM objects WHERE name = ?");
    this.#referenced = connection.prepare("SELECT id FROM objects WHERE name = ? AND messages > 0");
    this.#release = connection.prepare(
      "UPDATE objects SET messages = messages - ?, alive_bytes = alive_bytes - ? WHERE id = ? RETURNING messages",
    );
    this.#forget = connection.prepare("DELETE FROM objects WHERE id = ? RETURNING name, linger_until_ms");
    this.#linger = connection.prepare("UPDATE objects SET linger_until_ms = ? WHERE id = ?");
    this.#addSpan = connection.prepare(
      `INSERT INTO spans VALUES (?, ?, ?, ?) ON CONFLICT (object_id, subject_id, first_sequence)
       DO UPDATE SET last_sequence = max(last_sequence, excluded.last_sequence)`,
    );
    this.#growSpan = connection.prepare(
      `UPDATE spans SET last_sequence = ?4 WHERE object_id = ?1 AND subject_id = ?2 AND first_sequence =
         (SELECT max(first_sequence) FROM spans WHERE object_id = ?1 AND subject_id = ?2 AND first_sequence < ?3)
       AND last_sequence >= ?3 - ${gapMax} AND last_sequence < ?4`,
    );
    this.#spans = connection.prepare("SELECT subject_id, first_sequence, last_sequence FROM spans WHERE object_id = ?");
    this.#forgetSpans = connection.prepare("DELETE FROM spans WHERE object_id = ?");
  }

  /** Counts messages that come to point into an object, and answers its id. */
  refer(object: string, { messages, newBytes, aliveBytes }: Reference, nowMs: number): number {
    if (object === "") return noObjectId;
    let row = this.#known.get(object);
    if (row === undefined) {
      row = this.#refer.get(object, messages, newBytes, aliveBytes, nowMs) ?? undefined;
      if (row === undefined) return noObjectId;
      this.#know(object, row);
    } else {
      this.#referAgain.run(messages, newBytes, aliveBytes, nowMs, row.id);
      row.bytes += newBytes;
    }
    if (messages > 0) this.holders.drop(row.id);
    // An index leads with it, which would have to be written at each commit if it were counted there.
    const digits = String(row.bytes).length;
    if (digits === row.digits) return row.id;
    row.digits = digits;
    this.#setDigits.run(digits, row.id);
    return row.id;
  }

  /** The id of an object that is referred to; undefined for another one. */
  idOf(object: string): number | undefined {
    return object === "" ? noObjectId : this.#find.get(object)?.id;
  }

  /** Whether a message, delayed or not, points into the object. */
  isReferenced(object: string): boolean {
    return this.#referenced.get(object) !== null;
  }

  /**
   * Takes messages that are gone from the count of their object; with the last one it is dead.
   * @param bytes what they took in it @param sinceMs when they were deleted
   */
  release(objectId: number, messages: number, bytes: number, sinceMs: number): void {
    if (objectId === noObjectId) return;
    const left = this.#release.get(messages, bytes, objectId);
    if (left === null || left.messages > 0) return;
    const forgotten = this.#forget.get(objectId);
    this.#knownSpans.drop(objectId);
    this.holders.drop(objectId);
    if (forgotten !== null) this.#known.delete(forgotten.name);
    this.#forgetSpans.run(objectId);
    if (forgotten !== null) this.#dead.add(forgotten.name, Math.max(sinceMs, forgotten.linger_until_ms));
  }

  /** When the object dies, it is as if that had not been before this time. */
  linger(objectId: number, untilMs: number): void {
    this.#linger.run(untilMs, objectId);
  }

  /**
   * Notes where new messages of one commit are, from the first to the last of a subject. What is published into an
   * object for a while takes few ranges, each noted beyond its end; the others are put to what is near them.
   */
  noteSpan(objectId: number, subjectId: number, first: Sequence, last: Sequence, origin: Origin): void {
    if (objectId === noObjectId) return;
    const span = this.#knownSpans.cover(objectId, subjectId, first, last);
    if (span === undefined) return;
    if (!isNew(origin) && this.#growSpan.run(objectId, subjectId, span.first, span.last).changes > 0) return;
    this.#addSpan.run(objectId, subjectId, span.first, span.last);
  }

  /** What was noted may not be there: a transaction was undone. */
  forgetKnown(): void {
    this.#known.clear();
    this.#knownSpans.clear();
  }

  /** Notes where messages of the object are that lie anywhere in a subject. */
  addSpans(objectId: number, subjectId: number, sequences: readonly Sequence[]): void {
    let first: Sequence | undefined;
    let last: Sequence = 0;
    for (const sequence of sequences.toSorted((a, b) => a - b)) {
      if (first !== undefined && sequence - last > gapMax) {
        this.#addSpan.run(objectId, subjectId, first, last);
        first = undefined;
      }
      first ??= sequence;
      last = sequence;
    }
    if (first !== undefined) this.#addSpan.run(objectId, subjectId, first, last);
  }

  /** Where messages of the object may be; others may lie between them. */
  spans(objectId: number): readonly SpanRow[] {
    return this.#spans.all(objectId);
  }

  #know(object: string, row: ReferredRow): void {
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < knownMax) break;
      this.#known.delete(oldest);
    }
    this.#known.set(object, row);
  }
}
