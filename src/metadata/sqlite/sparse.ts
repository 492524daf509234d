/**
 * The statements of compaction: which objects are worth rewriting, what is left in them, and moving it elsewhere.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { BodyRef, Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";
import type { SpanRow } from "./objects.ts";

/** An object that may be worth rewriting. */
export interface Candidate {
  readonly id: number;
  readonly name: string;
  readonly messages: number;
  readonly alive_bytes: number;
  readonly committed_at: number;
}

interface SparseRow extends Candidate {
  readonly share: number;
  readonly is_free: number;
}

/** A stored message of an object. */
export interface HolderRow {
  readonly subject_id: number;
  readonly sequence: Sequence;
  readonly body_offset: number;
  readonly body_length: number;
  readonly stored_length: number | null;
  readonly sha256: Uint8Array;
}

/** What candidates have in common: nobody has them, they are old enough, and no delayed message points into them. */
const isFree = `compacted_until_ms <= ?1 AND committed_at <= ?2
  AND NOT EXISTS (SELECT 1 FROM delayed d WHERE d.object_id = objects.id)`;
const columns = "id, name, messages, alive_bytes, committed_at";
const share = "CAST(alive_bytes AS REAL) / bytes";
/** Objects, and sequences of messages, that are looked at in one go: a fraction of a millisecond. */
const pageObjects = 500;
const pageSequences = 1000;

/** What is asked of candidates. */
export interface Wanted {
  /** Committed into at this time or before. */
  readonly committedMsMax: number;
  readonly nowMs: number;
  /** So many are enough. */
  readonly limit: number;
}

/** Statements of compaction. What may look at many rows comes piece by piece, with a `yield` after each. */
export class SparseTable {
  readonly #sparseAfter: Statement<SparseRow, [number, number, number, number]>;
  readonly #sparseAt: Statement<SparseRow, [number, number, number, number]>;
  readonly #smallEnd: Statement<{ readonly id: number | null }, [number, number]>;
  readonly #small: Statement<Candidate, [number, number, number, number, number, number]>;
  readonly #take: Statement<unknown, [number, number, number, number]>;
  readonly #holders: Statement<HolderRow, [number, number, number, number]>;
  readonly #ends: Statement<{ readonly first_sequence: Sequence; readonly last_sequence: Sequence }, [number]>;
  readonly #move: Statement<unknown, [number, number, number | null, number, number]>;

  constructor(connection: Connection) {
    const sparse = (where: string): string =>
      `SELECT ${columns}, ${share} AS share, ${isFree} AS is_free FROM objects INDEXED BY objects_sparse
       WHERE alive_bytes < bytes AND ${share} ${where} ORDER BY ${share}, id LIMIT ${pageObjects}`;
    this.#sparseAfter = connection.prepare(sparse("> ?3 AND CAST(alive_bytes AS REAL) / bytes <= ?4"));
    this.#sparseAt = connection.prepare(sparse("= ?3 AND id > ?4"));
    this.#smallEnd = connection.prepare(
      `SELECT max(id) AS id FROM (SELECT id FROM objects INDEXED BY objects_small
       WHERE digits = ? AND id > ? ORDER BY id LIMIT ${pageObjects})`,
    );
    this.#small = connection.prepare(
      `SELECT ${columns} FROM objects INDEXED BY objects_small
       WHERE digits = ?3 AND id > ?4 AND id <= ?5 AND bytes > 0 AND bytes < ?6 AND ${isFree} ORDER BY id`,
    );
    this.#take = connection.prepare(`UPDATE objects SET compacted_until_ms = ?3 WHERE id = ?4 AND ${isFree}`);
    this.#holders = connection.prepare(
      `SELECT m.subject_id, m.sequence, m.body_offset, m.body_length, m.stored_length, m.sha256
       FROM subjects s CROSS JOIN messages m ON m.subject_id = s.id AND m.sequence BETWEEN max(?2, s.first_sequence) AND ?3
       WHERE s.id = ?1 AND m.object_id = ?4 ORDER BY m.sequence`,
    );
    this.#ends = connection.prepare("SELECT first_sequence, last_sequence FROM subjects WHERE id = ?");
    this.#move = connection.prepare(
      "UPDATE messages SET object_id = ?, body_offset = ?, stored_length = ? WHERE subject_id = ? AND sequence = ?",
    );
  }

  /** Objects of whose bytes at most a share is alive, the worst first. */
  *sparse(aliveShareMax: number, { committedMsMax, nowMs, limit }: Wanted): Generator<undefined, readonly Candidate[]> {
    const found: Candidate[] = [];
    let last: SparseRow | undefined;
    while (found.length < limit) {
      // Of those with the same share the rest, then those with a greater one.
      let page = last === undefined ? [] : this.#sparseAt.all(nowMs, committedMsMax, last.share, last.id);
      if (page.length === 0) page = this.#sparseAfter.all(nowMs, committedMsMax, last?.share ?? -1, aliveShareMax);
      if (page.length === 0) break;
      for (const row of page) if (row.is_free !== 0) found.push(row);
      last = page.at(-1);
      yield undefined;
    }
    return found.slice(0, limit);
  }

  /** Objects with fewer bytes than this, about the oldest first. */
  *small(bytesEnd: number, { committedMsMax, nowMs, limit }: Wanted): Generator<undefined, readonly Candidate[]> {
    const found: Candidate[] = [];
    for (let digits = 1; digits <= String(bytesEnd).length; digits++) {
      const enough = found.length + limit;
      let after = 0;
      while (found.length < enough) {
        const end = this.#smallEnd.get(digits, after)?.id ?? null;
        if (end === null) break;
        found.push(...this.#small.all(nowMs, committedMsMax, digits, after, end, bytesEnd));
        after = end;
        yield undefined;
      }
    }
    return found.sort((a, b) => a.committed_at - b.committed_at || a.id - b.id).slice(0, limit);
  }

  /** Hands an object out, unless it is not to be had any more. */
  take(id: number, { committedMsMax, nowMs }: Wanted, untilMs: number): boolean {
    return this.#take.run(nowMs, committedMsMax, untilMs, id).changes > 0;
  }

  /** The stored messages of an object in one of its spans, ascending. */
  *holders(objectId: number, span: SpanRow): Generator<undefined, readonly HolderRow[]> {
    const { subject_id, first_sequence, last_sequence } = span;
    const ends = this.#ends.get(subject_id);
    if (ends === null) return [];
    const found: HolderRow[] = [];
    const last = Math.min(last_sequence, ends.last_sequence);
    for (let from = Math.max(first_sequence, ends.first_sequence); from <= last; from += pageSequences) {
      const through = Math.min(last, from + pageSequences - 1);
      for (const holder of this.#holders.all(subject_id, from, through, objectId)) found.push(holder);
      yield undefined;
    }
    return found;
  }

  /** Lets a message point elsewhere. */
  move({ subject_id, sequence }: HolderRow, objectId: number, { offset, storedLength }: BodyRef): void {
    this.#move.run(objectId, offset, storedLength ?? null, subject_id, sequence);
  }
}
