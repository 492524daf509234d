/**
 * What policies mean for what is stored. Age holds at every read: a subject is shown as if what is expired were
 * removed already, and the next transaction that writes to it removes it. The limits of messages and bytes hold after
 * each commit; a stricter one shows at the next commit or sweep.
 * @module
 */

import type { Sequence } from "../../core/message.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import type { Subject } from "../../core/subject.ts";
import type { MessageTable } from "./messages.ts";
import type { PolicyTable } from "./policies.ts";
import { cutSubject, type PurgeTables } from "./purge.ts";
import type { SubjectRow, SubjectTable } from "./subjects.ts";

/** What is read to show a subject. */
export interface ShownTables {
  readonly subjects: SubjectTable;
  readonly messages: MessageTable;
  readonly policies: PolicyTable;
}

/** What is read and written to cut subjects. */
export type RetentionTables = ShownTables & PurgeTables;

/** A subject without what is expired, whether or not that was removed; null when nobody published to it. */
export const shownSubject = (tables: ShownTables, name: Subject, nowMs: number): SubjectRow | null => {
  const subject = tables.subjects.find(name);
  return subject === null ? null : shownRow(tables, subject, nowMs);
};

/** The same row when nothing of it is expired. */
export const shownRow = (tables: ShownTables, subject: SubjectRow, nowMs: number): SubjectRow => {
  const first = firstByAge(tables, subject, nowMs);
  if (first === subject.first_sequence) return subject;
  return { ...subject, first_sequence: first, purged_bytes: tables.messages.bytesBefore(subject, first) };
};

/** The first sequence that is not expired; last + 1 when all are. */
const firstByAge = (tables: ShownTables, subject: SubjectRow, nowMs: number): Sequence => {
  const maxAgeMs = tables.policies.of(subject.name)?.maxAgeMs ?? null;
  // What is as old as the limit is gone.
  return maxAgeMs === null ? subject.first_sequence : tables.messages.firstSince(subject, nowMs - maxAgeMs + 1);
};

/** Removes what is expired of a subject; answers how many messages that were. */
export const cutExpired = (tables: RetentionTables, name: Subject, nowMs: number): number => {
  if (tables.policies.isEmpty) return 0;
  const subject = tables.subjects.find(name);
  return subject === null ? 0 : cutSubject(tables, subject, firstByAge(tables, subject, nowMs) - 1, nowMs);
};

/** Whether `cutExpired` would remove something. */
export const hasExpired = (tables: ShownTables, name: Subject, nowMs: number): boolean => {
  if (tables.policies.isEmpty) return false;
  const subject = tables.subjects.find(name);
  return subject !== null && firstByAge(tables, subject, nowMs) > subject.first_sequence;
};

/** Removes all that a subject's policy does not keep; answers how many messages that were. */
export const trimSubject = (
  tables: RetentionTables,
  subject: SubjectRow,
  policy: RetentionPolicy,
  nowMs: number,
): number => {
  const { maxMessages, maxBytes, discard } = policy;
  let first = firstByAge(tables, subject, nowMs);
  // Who refuses new messages keeps the old ones.
  if (discard === "old") {
    if (maxMessages !== null) first = Math.max(first, subject.last_sequence - maxMessages + 1);
    if (maxBytes !== null) first = Math.max(first, tables.messages.firstWithin(subject, maxBytes));
  }
  return cutSubject(tables, subject, first - 1, nowMs);
};

/** Trims the subjects after a name, in byte order, at most `limit` of them. */
export const expireSubjects = (
  tables: RetentionTables,
  after: string,
  limit: number,
  nowMs: number,
): { readonly expired: number; readonly next: string | undefined } => {
  if (tables.policies.isEmpty) return { expired: 0, next: undefined };
  const subjects = tables.subjects.listAfter(after, limit + 1);
  let expired = 0;
  for (const subject of subjects.slice(0, limit)) {
    const policy = tables.policies.of(subject.name);
    if (policy !== undefined) expired += trimSubject(tables, subject, policy, nowMs);
  }
  return { expired, next: subjects.length > limit ? subjects[limit - 1]?.name : undefined };
};
