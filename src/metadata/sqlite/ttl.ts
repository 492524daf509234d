/**
 * Times to live. What has ended is removed before anything is read or decided on, so that nothing else needs to think
 * of it: by the transaction that is about to do so, or, when that is much, in slices before it.
 * @module
 */
import { begunAt, type GoneTable, type GoneTables, removeRows } from "./gone.ts";
import type { MessageTable } from "./messages.ts";
import type { SubjectRow } from "./subjects.ts";

/** Messages that are removed at once, and for how long one transaction goes on with it. */
const pieceMessages = 250;
const sliceMs = 1;

/** Whether messages of the subject may have outlived their time. */
export const mayHaveEnded = (subject: SubjectRow | null, nowMs: number): boolean =>
  subject !== null && subject.next_expiry !== null && subject.next_expiry <= nowMs;

/**
 * Removes messages whose time is over; answers how many that were, and whether that is all: with very many, some are
 * left for another transaction.
 */
export const removeEnded = (
  tables: GoneTables,
  subject: SubjectRow,
  nowMs: number,
): { readonly removed: number; readonly isAll: boolean } => {
  const startedMs = performance.now();
  let [removed, row] = [0, subject];
  while (mayHaveEnded(row, nowMs)) {
    const piece = removePiece(tables, row, nowMs);
    removed += piece;
    if (piece < pieceMessages) break;
    if (performance.now() - startedMs >= sliceMs) return { removed, isAll: false };
    row = tables.subjects.find(row.name) ?? row;
  }
  return { removed, isAll: true };
};

/** A subject as it is when what has ended is removed. */
export const withoutEnded = (
  { messages, gone }: { readonly messages: MessageTable; readonly gone: GoneTable },
  subject: SubjectRow,
  nowMs: number,
): SubjectRow => {
  const first = messages.firstAlive(subject, nowMs);
  const row = first === subject.first_sequence ? subject : begunAt(subject, gone.beginningAt(subject, first));
  const ended = messages.expiredAmount(row, nowMs);
  return {
    ...row,
    gone_messages: row.gone_messages + ended.messages,
    gone_bytes: row.gone_bytes + ended.bytes,
  };
};

/** Removes some that have ended; fewer than a piece when that is all. */
const removePiece = (tables: GoneTables, subject: SubjectRow, nowMs: number): number => {
  const rows = tables.messages.expired(subject, nowMs, pieceMessages);
  const ascending = rows.toSorted((a, b) => a.sequence - b.sequence);
  removeRows(tables, subject, ascending, nowMs);
  if (rows.length < pieceMessages) {
    tables.subjects.setExpiry(subject.id, tables.messages.nextExpiry(subject.id, nowMs));
  }
  return rows.length;
};
