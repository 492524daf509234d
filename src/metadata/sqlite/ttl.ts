/**
 * Times to live. What has ended is removed before anything is read or decided on, so that nothing else needs to think
 * of it: by the transaction that is about to do so, or, when that is much, in slices before it.
 * @module
 */
import { type GoneTables, removeRows } from "./gone.ts";
import type { SubjectRow } from "./subjects.ts";

/** Messages that one transaction removes at most: some ten milliseconds. */
export const sliceMessages = 2000;

/** Whether messages of the subject may have outlived their time. */
export const mayHaveEnded = (subject: SubjectRow | null, nowMs: number): boolean =>
  subject !== null && subject.next_expiry !== null && subject.next_expiry <= nowMs;

/** Removes messages whose time is over; answers how many that were. Fewer than `limit`: no such is left. */
export const removeEnded = (tables: GoneTables, subject: SubjectRow, nowMs: number, limit: number): number => {
  if (!mayHaveEnded(subject, nowMs)) return 0;
  const rows = tables.messages.expired(subject, nowMs, limit);
  removeRows(
    tables,
    subject,
    rows.toSorted((a, b) => a.sequence - b.sequence),
    nowMs,
  );
  if (rows.length < limit) tables.subjects.setExpiry(subject.id, tables.messages.nextExpiry(subject.id, nowMs));
  return rows.length;
};
