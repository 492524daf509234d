/**
 * What policies and times to live mean for what is stored. Age holds at every read: a subject is shown as if what is
 * too old were removed already, and the next transaction that writes to it removes it. The limits of messages and
 * bytes hold after each commit; a stricter one shows at the next commit or sweep.
 * @module
 */

import type { Sequence } from "../../core/message.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import type { Subject } from "../../core/subject.ts";
import { begunAt, type GoneTable } from "./gone.ts";
import type { MessageTable } from "./messages.ts";
import type { PolicyTable } from "./policies.ts";
import { cutSubject, type PurgeTables } from "./purge.ts";
import { bytesOf, messagesOf, type SubjectRow, type SubjectTable } from "./subjects.ts";
import { mayHaveEnded, removeEnded, withoutEnded } from "./ttl.ts";

/** What is read to show a subject. */
export interface ShownTables {
  readonly subjects: SubjectTable;
  readonly messages: MessageTable;
  readonly gone: GoneTable;
  readonly policies: PolicyTable;
}

/** What is read and written to cut subjects. */
export type RetentionTables = ShownTables & PurgeTables;

/** A subject without what is too old or ended, whether or not that was removed; null when nobody published to it. */
export const shownSubject = (tables: ShownTables, name: Subject, nowMs: number): SubjectRow | null => {
  const subject = tables.subjects.find(name);
  return subject === null ? null : shownRow(tables, subject, nowMs);
};

/** The same row when nothing of it is too old or ended. */
export const shownRow = (tables: ShownTables, subject: SubjectRow, nowMs: number): SubjectRow => {
  const first = firstByAge(tables, subject, nowMs);
  const row = first === subject.first_sequence ? subject : begunAt(subject, tables.gone.beginningAt(subject, first));
  return mayHaveEnded(row, nowMs) ? withoutEnded(tables, row, nowMs) : row;
};

/** The first sequence that is not too old; last + 1 when all are. */
const firstByAge = (tables: ShownTables, subject: SubjectRow, nowMs: number): Sequence => {
  const maxAgeMs = tables.policies.of(subject.name)?.maxAgeMs ?? null;
  // What is as old as the limit is gone.
  return maxAgeMs === null ? subject.first_sequence : tables.messages.firstSince(subject, nowMs - maxAgeMs + 1);
};

/** Whether nothing of the store is ever too old. */
const keepsAll = ({ policies, subjects }: ShownTables): boolean => policies.isEmpty && !subjects.mayExpire;

/**
 * Removes what is too old of a subject, and what has outlived its time. Answers how many messages that were, and
 * whether that is all: with very many, some are left for another transaction.
 */
export const cutExpired = (
  tables: RetentionTables,
  name: Subject,
  nowMs: number,
): { readonly removed: number; readonly isAll: boolean } => {
  if (keepsAll(tables)) return { removed: 0, isAll: true };
  const subject = tables.subjects.find(name);
  if (subject === null) return { removed: 0, isAll: true };
  const old = cutSubject(tables, subject, firstByAge(tables, subject, nowMs) - 1, nowMs);
  const left = old === 0 ? subject : (tables.subjects.find(name) ?? subject);
  const { removed, isAll } = removeEnded(tables, left, nowMs);
  return { removed: old + removed, isAll };
};

/** Whether `cutExpired` would remove something. */
export const hasExpired = (tables: ShownTables, name: Subject, nowMs: number): boolean => {
  if (keepsAll(tables)) return false;
  const subject = tables.subjects.find(name);
  if (subject === null) return false;
  return mayHaveEnded(subject, nowMs) || firstByAge(tables, subject, nowMs) > subject.first_sequence;
};

/** Removes all that a subject's policy does not keep; answers how many messages that were. */
export const trimSubject = (
  tables: RetentionTables,
  subject: SubjectRow,
  policy: RetentionPolicy,
  nowMs: number,
): number => {
  const byAge = firstByAge(tables, subject, nowMs);
  // Who refuses new messages keeps the old ones.
  const byLimits = policy.discard === "old" ? firstByLimits(tables, subject, policy) : byAge;
  return cutSubject(tables, subject, Math.max(byAge, byLimits) - 1, nowMs);
};

/** The first sequence from which on the policy has room for all. */
const firstByLimits = (
  { messages, gone }: ShownTables,
  subject: SubjectRow,
  { maxMessages, maxBytes }: RetentionPolicy,
): Sequence => {
  const { first_sequence: first, last_sequence: last, gone_messages } = subject;
  if (gone_messages === 0) {
    const byMessages = maxMessages === null ? first : last - maxMessages + 1;
    return Math.max(byMessages, maxBytes === null ? first : messages.firstWithin(subject, maxBytes));
  }
  const tooMany = maxMessages === null ? 0 : messagesOf(subject) - maxMessages;
  const tooMuch = maxBytes === null ? 0 : bytesOf(subject) - maxBytes;
  return tooMany <= 0 && tooMuch <= 0 ? first : gone.firstBehind(subject, { messages: tooMany, bytes: tooMuch });
};
