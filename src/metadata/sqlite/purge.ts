/**
 * Purging: the subject's beginning moves at once, the rows below it go later.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { Garbage } from "./garbage.ts";
import type { MessageTable } from "./messages.ts";
import { type SettleTables, settleDeleted } from "./settle.ts";

/** What purging reads and writes. */
export interface PurgeTables extends SettleTables {
  readonly messages: MessageTable;
  readonly garbage: Garbage;
}

/** Deletes through a sequence (beyond the end: all); answers how many messages that were. */
export const purgeSubject = (tables: PurgeTables, name: Subject, through: Sequence): number => {
  const subject = tables.subjects.find(name);
  if (subject === null) return 0;
  const last = Math.min(through, subject.last_sequence);
  if (last < subject.first_sequence) return 0;
  const purgedBytes =
    last === subject.last_sequence ? subject.body_bytes : tables.messages.bytesThrough(subject.id, last);
  tables.subjects.cut(subject.id, last + 1, purgedBytes);
  tables.garbage.note(subject.id, last);
  settleDeleted(tables, name, last);
  return last - subject.first_sequence + 1;
};
