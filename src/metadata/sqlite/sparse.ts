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
  readonly alive_bytes: number;
  readonly committed_at: number;
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
const columns = "id, name, alive_bytes, committed_at";

/** Statements of compaction. */
export class SparseTable {
  readonly #sparse: Statement<Candidate, [number, number, number, number]>;
  readonly #small: Statement<Candidate, [number, number, number, number, number]>;
  readonly #take: Statement<unknown, [number, number]>;
  readonly #holders: Statement<HolderRow, [number, number, number, number]>;
  readonly #move: Statement<unknown, [number, number, number | null, number, number]>;

  constructor(connection: Connection) {
    this.#sparse = connection.prepare(
      `SELECT ${columns} FROM objects INDEXED BY objects_sparse
       WHERE alive_bytes < bytes AND CAST(alive_bytes AS REAL) / bytes <= ?3 AND ${isFree}
       ORDER BY CAST(alive_bytes AS REAL) / bytes LIMIT ?4`,
    );
    this.#small = connection.prepare(
      `SELECT ${columns} FROM objects INDEXED BY objects_small
       WHERE digits = ?3 AND bytes > 0 AND bytes < ?4 AND ${isFree} ORDER BY id LIMIT ?5`,
    );
    this.#take = connection.prepare("UPDATE objects SET compacted_until_ms = ? WHERE id = ?");
    this.#holders = connection.prepare(
      `SELECT m.subject_id, m.sequence, m.body_offset, m.body_length, m.stored_length, m.sha256
       FROM subjects s CROSS JOIN messages m ON m.subject_id = s.id AND m.sequence BETWEEN max(?2, s.first_sequence) AND ?3
       WHERE s.id = ?1 AND m.object_id = ?4 ORDER BY m.sequence`,
    );
    this.#move = connection.prepare(
      "UPDATE messages SET object_id = ?, body_offset = ?, stored_length = ? WHERE subject_id = ? AND sequence = ?",
    );
  }

  /** Objects of whose bytes at most a share is alive, the worst first. */
  sparse(aliveShareMax: number, committedMsMax: number, nowMs: number, limit: number): readonly Candidate[] {
    return this.#sparse.all(nowMs, committedMsMax, aliveShareMax, limit);
  }

  /** Objects with fewer bytes than this, about the oldest first. */
  small(bytesEnd: number, committedMsMax: number, nowMs: number, limit: number): readonly Candidate[] {
    const found: Candidate[] = [];
    for (let digits = 1; digits <= String(bytesEnd).length; digits++) {
      found.push(...this.#small.all(nowMs, committedMsMax, digits, bytesEnd, limit));
    }
    return found.sort((a, b) => a.committed_at - b.committed_at || a.id - b.id).slice(0, limit);
  }

  /** Hands an object out. */
  take(id: number, untilMs: number): void {
    this.#take.run(untilMs, id);
  }

  /** The stored messages of an object in one of its spans. */
  holders(objectId: number, { subject_id, first_sequence, last_sequence }: SpanRow): readonly HolderRow[] {
    return this.#holders.all(subject_id, first_sequence, last_sequence, objectId);
  }

  /** Lets a message point elsewhere. */
  move({ subject_id, sequence }: HolderRow, objectId: number, { offset, storedLength }: BodyRef): void {
    this.#move.run(objectId, offset, storedLength ?? null, subject_id, sequence);
  }
}
