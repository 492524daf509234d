/**
 * Messages that go from the middle of a subject: their rows are deleted at once, and what they leave is counted by
 * blocks of sequences, so that how much is stored between two places is known without looking at what lies between.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";
import type { MessageTable, StoredRow } from "./messages.ts";
import type { ObjectTable } from "./objects.ts";
import { type SettleTables, settleGone } from "./settle-deleted.ts";
import type { SubjectRow } from "./subjects.ts";

/** Sequences of one block: as many rows are looked at where a block is cut. */
const blockSize = 1024;

const blockOf = (sequence: Sequence): number => Math.floor(sequence / blockSize);
const firstOf = (block: number): Sequence => block * blockSize;

/** Messages, and the bytes of their bodies. */
export interface Amount {
  readonly messages: number;
  readonly bytes: number;
}

const nothing: Amount = { messages: 0, bytes: 0 };

interface BlockRow extends Amount {
  /** Body bytes ever published before the block, or before the subject's first message when that lies in it. */
  readonly bytes_before: number;
}

/** A subject as it is when it begins at a later message. */
export interface Beginning {
  /** A stored message, or last + 1. */
  readonly first: Sequence;
  /** Body bytes ever published before it. */
  readonly bytesBefore: number;
  /** What is gone behind it. */
  readonly gone: Amount;
  /** What is gone of its own block. */
  readonly goneOfBlock: Amount;
}

/** Statements on what is gone between the ends of subjects. */
export class GoneTable {
  readonly #messages: MessageTable;
  readonly #find: Statement<BlockRow, [number, number]>;
  readonly #sum: Statement<Amount, [number, number, number]>;
  readonly #add: Statement<unknown, [number, number, number, number, number]>;
  readonly #set: Statement<unknown, [number, number, number, number, number]>;
  readonly #removeThrough: Statement<unknown, [number, number]>;

  constructor(connection: Connection, messages: MessageTable) {
    this.#messages = messages;
    this.#find = connection.prepare(
      "SELECT bytes_before, messages, bytes FROM gone_blocks WHERE subject_id = ? AND block = ?",
    );
    this.#sum = connection.prepare(
      `SELECT coalesce(sum(messages), 0) AS messages, coalesce(sum(bytes), 0) AS bytes FROM gone_blocks
       WHERE subject_id = ? AND block >= ? AND block < ?`,
    );
    this.#add = connection.prepare(
      `INSERT INTO gone_blocks (subject_id, block, bytes_before, messages, bytes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (subject_id, block) DO UPDATE
       SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes`,
    );
    this.#set = connection.prepare(
      `INSERT OR REPLACE INTO gone_blocks (subject_id, block, bytes_before, messages, bytes) VALUES (?, ?, ?, ?, ?)`,
    );
    this.#removeThrough = connection.prepare("DELETE FROM gone_blocks WHERE subject_id = ? AND block <= ?");
  }

  /** Counts rows that are there still and will be deleted. @param rows ascending, of one subject */
  add(subject: SubjectRow, rows: readonly StoredRow[]): Amount {
    let [messages, bytes] = [0, 0];
    let [blockMessages, blockBytes] = [0, 0];
    for (const [index, { sequence, body_length }] of rows.entries()) {
      blockMessages++;
      blockBytes += body_length;
      const block = blockOf(sequence);
      const next = rows[index + 1];
      if (next !== undefined && blockOf(next.sequence) === block) continue;
      this.#add.run(subject.id, block, this.#bytesBeforeBlock(subject, block), blockMessages, blockBytes);
      messages += blockMessages;
      bytes += blockBytes;
      [blockMessages, blockBytes] = [0, 0];
    }
    return { messages, bytes };
  }

  /** How the subject is when everything before a sequence is gone. */
  beginningAt(subject: SubjectRow, sequence: Sequence): Beginning {
    const { first, bytesBefore } = this.#messages.beginningAt(subject, sequence);
    if (subject.gone_messages === 0) return { first, bytesBefore, gone: nothing, goneOfBlock: nothing };
    const block = blockOf(first);
    const startBlock = blockOf(subject.first_sequence);
    const below = this.#sum.get(subject.id, startBlock, block) ?? nothing;
    const row = this.#find.get(subject.id, block);
    const start = Math.max(firstOf(block), subject.first_sequence);
    const before = row === null ? nothing : this.#goneBetween(subject, start, row.bytes_before, first, bytesBefore);
    return {
      first,
      bytesBefore,
      gone: {
        messages: subject.gone_messages - below.messages - before.messages,
        bytes: subject.gone_bytes - below.bytes - before.bytes,
      },
      goneOfBlock:
        row === null ? nothing : { messages: row.messages - before.messages, bytes: row.bytes - before.bytes },
    };
  }

  /** Forgets what is gone before a beginning; the subject begins there from now on. */
  cut(subject: SubjectRow, { first, bytesBefore, goneOfBlock }: Beginning): void {
    if (subject.gone_messages === 0) return;
    const block = blockOf(first);
    this.#removeThrough.run(subject.id, block);
    const { messages, bytes } = goneOfBlock;
    if (messages > 0) this.#set.run(subject.id, block, bytesBefore, messages, bytes);
  }

  /** How many messages are stored after a sequence. */
  storedAfter(subject: SubjectRow, sequence: Sequence): number {
    const from = Math.max(sequence + 1, subject.first_sequence);
    const spanned = Math.max(0, subject.last_sequence - from + 1);
    if (subject.gone_messages === 0 || spanned === 0) return spanned;
    if (from === subject.first_sequence) return spanned - subject.gone_messages;
    const block = blockOf(from);
    const end = Math.min(firstOf(block + 1), subject.last_sequence + 1);
    const inBlock = this.#messages.amountBetween(subject.id, from, end).messages;
    const behind = Math.max(0, subject.last_sequence - end + 1);
    return inBlock + behind - (this.#sum.get(subject.id, block + 1, Number.MAX_SAFE_INTEGER)?.messages ?? 0);
  }

  /** The first stored sequence that has at least so many messages and bytes before it; the last one when none has. */
  firstBehind(subject: SubjectRow, least: Amount): Sequence {
    let [messages, bytes] = [0, 0];
    const isReached = (): boolean => messages >= least.messages && bytes >= least.bytes;
    let from = subject.first_sequence;
    if (isReached()) return from;
    for (let block = blockOf(from); firstOf(block + 1) <= subject.last_sequence; block++) {
      const next = firstOf(block + 1);
      const gone = this.#find.get(subject.id, block) ?? nothing;
      const inBlock = {
        messages: next - from - gone.messages,
        bytes: this.#bytesBeforeBlock(subject, block + 1) - this.#bytesBeforeBlock(subject, block) - gone.bytes,
      };
      if (messages + inBlock.messages >= least.messages && bytes + inBlock.bytes >= least.bytes) break;
      messages += inBlock.messages;
      bytes += inBlock.bytes;
      from = next;
    }
    let last = subject.first_sequence;
    for (const row of this.#messages.stored(subject.id, from, subject.last_sequence)) {
      last = row.sequence;
      if (isReached()) return last;
      messages++;
      bytes += row.body_length;
    }
    return last;
  }

  /** What is gone from a start up to a stored message, when so much was ever published before the one and the other. */
  #goneBetween(
    subject: SubjectRow,
    start: Sequence,
    bytesBeforeStart: number,
    end: Sequence,
    bytesBeforeEnd: number,
  ): Amount {
    if (end <= start) return nothing;
    const stored = this.#messages.amountBetween(subject.id, start, end);
    return {
      messages: end - start - stored.messages,
      bytes: bytesBeforeEnd - bytesBeforeStart - stored.bytes,
    };
  }

  /** Body bytes ever published before a block, or before the subject's first message when that lies in it. */
  #bytesBeforeBlock(subject: SubjectRow, block: number): number {
    const row = this.#find.get(subject.id, block);
    // Nothing of a block without a row is gone, so that its first message is there.
    return row?.bytes_before ?? this.#messages.beginningAt(subject, firstOf(block)).bytesBefore;
  }
}

/** What removing messages reads and writes. */
export interface GoneTables extends SettleTables {
  readonly messages: MessageTable;
  readonly gone: GoneTable;
  readonly objects: ObjectTable;
}

/**
 * Removes messages of one subject, wherever they are; what is not stored (any more) is left out. Answers how many
 * that were.
 * @param subject its row as it is stored now; a caller that goes on reads it again
 */
export const removeMessages = (
  tables: GoneTables,
  subject: SubjectRow,
  sequences: readonly Sequence[],
  nowMs: number,
): number => {
  const ascending = [...new Set(sequences)].sort((a, b) => a - b);
  const rows = ascending.flatMap((sequence) =>
    sequence < subject.first_sequence ? [] : [...tables.messages.stored(subject.id, sequence, sequence)],
  );
  return removeRows(tables, subject, rows, nowMs);
};

/** Removes rows of one subject. @param rows ascending, all in it and none below its first sequence */
export const removeRows = (
  tables: GoneTables,
  subject: SubjectRow,
  rows: readonly StoredRow[],
  nowMs: number,
): number => {
  const first = rows[0];
  if (first === undefined) return 0;
  const { messages, bytes } = tables.gone.add(subject, rows);
  releaseObjects(tables.objects, rows, nowMs);
  tables.messages.remove(subject.id, rows);
  const left: SubjectRow = {
    ...subject,
    gone_messages: subject.gone_messages + messages,
    gone_bytes: subject.gone_bytes + bytes,
  };
  const isAtBeginning = first.sequence === subject.first_sequence;
  if (!isAtBeginning) tables.subjects.setGone(left.id, left.gone_messages, left.gone_bytes);
  settleGone(tables, isAtBeginning ? begin(tables, left, left.first_sequence) : left, rows);
  return rows.length;
};

/** Lets a subject begin at the first stored message from a sequence on; answers how it is then. */
export const begin = (
  tables: Pick<GoneTables, "subjects" | "gone">,
  subject: SubjectRow,
  from: Sequence,
): SubjectRow => {
  const beginning = tables.gone.beginningAt(subject, from);
  tables.gone.cut(subject, beginning);
  const row = begunAt(subject, beginning);
  tables.subjects.cut(row);
  return row;
};

/** The row of a subject that begins there. */
export const begunAt = (subject: SubjectRow, { first, bytesBefore, gone }: Beginning): SubjectRow => ({
  ...subject,
  first_sequence: first,
  purged_bytes: bytesBefore,
  gone_messages: gone.messages,
  gone_bytes: gone.bytes,
});

const releaseObjects = (objects: ObjectTable, rows: readonly StoredRow[], nowMs: number): void => {
  const released = new Map<number, { messages: number; bytes: number }>();
  for (const { object_id, body_length, stored_length } of rows) {
    let each = released.get(object_id);
    if (each === undefined) released.set(object_id, (each = { messages: 0, bytes: 0 }));
    each.messages++;
    each.bytes += stored_length ?? body_length;
  }
  for (const [objectId, { messages, bytes }] of released) objects.release(objectId, messages, bytes, nowMs);
};
