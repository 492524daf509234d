/**
 * Purging: the subject's beginning moves at once, the rows below it go later.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Garbage } from "./garbage.ts";
import { begin, type GoneTables } from "./gone.ts";
import { settleDeleted } from "./settle-deleted.ts";
import { messagesOf, type SubjectRow } from "./subjects.ts";

/** What purging reads and writes. */
export interface PurgeTables extends GoneTables {
  readonly garbage: Garbage;
}

/** Deletes through a sequence (beyond the end: all); answers how many messages that were. */
export const cutSubject = (tables: PurgeTables, subject: SubjectRow, through: Sequence, nowMs: number): number => {
  const last = Math.min(through, subject.last_sequence);
  if (last < subject.first_sequence) return 0;
  const left = begin(tables, subject, last + 1);
  tables.garbage.note(subject.id, last, nowMs);
  settleDeleted(tables, left);
  return messagesOf(subject) - messagesOf(left);
};
