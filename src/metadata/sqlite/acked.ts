/**
 * Subjects that keep a message until its recipients have acknowledged it (`retain: acked`).
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type { ConsumerRow } from "./consumers.ts";
import { removeRows } from "./gone.ts";
import type { StoredRow } from "./messages.ts";
import type { PutPolicy } from "./policies.ts";
import { cutSubject } from "./purge.ts";
import { ackedSpans, highestAcked, highestSettled, waitedUntilMs } from "./recipients.ts";
import type { RetentionTables } from "./retention.ts";
import { coveredBy, type Span } from "./spans.ts";
import type { SubjectRow } from "./subjects.ts";

/** What was released, and whether that is all: of very many in the middle some are left for another transaction. */
export interface Release {
  readonly released: number;
  readonly isAll: boolean;
}

const nothing: Release = { released: 0, isAll: true };

/**
 * Deletes messages of a subject that all recipients have acknowledged.
 * @param rowsMax how many at most behind others that stay
 * @param touched what the acknowledgements of this transaction may have completed; undefined: look at everything
 */
export const releaseAcked = (
  tables: RetentionTables,
  name: Subject,
  nowMs: number,
  rowsMax: number,
  touched?: Span,
): Release => {
  const policy = tables.policies.of(name);
  if (policy?.retain !== "acked") return nothing;
  const subject = tables.subjects.find(name);
  if (subject === null || subject.first_sequence > subject.last_sequence) return nothing;
  // Whom nobody waits for any more may stand anywhere.
  const span = touched === undefined || policy.recipientTimeoutMs !== null ? stored(subject) : touched;
  return release(tables, subject, releasable(tables, subject, policy, nowMs, span), nowMs, rowsMax);
};

const stored = ({ first_sequence, last_sequence }: SubjectRow): Span => ({
  first: first_sequence,
  last: last_sequence,
});

const release = (
  tables: RetentionTables,
  subject: SubjectRow,
  spans: readonly Span[],
  nowMs: number,
  rowsMax: number,
): Release => {
  const [first, ...others] = spans;
  if (first === undefined) return nothing;
  const isPrefix = first.first <= subject.first_sequence;
  const cut = isPrefix ? cutSubject(tables, subject, first.last, nowMs) : 0;
  const left = cut > 0 ? (tables.subjects.find(subject.name) ?? subject) : subject;
  const rows: StoredRow[] = [];
  for (const span of isPrefix ? others : spans) {
    for (const row of tables.messages.stored(left.id, span.first, span.last)) {
      if (rows.length === rowsMax) return { released: cut + removeRows(tables, left, rows, nowMs), isAll: false };
      rows.push(row);
    }
  }
  return { released: cut + removeRows(tables, left, rows, nowMs), isAll: true };
};

/** What can go of a range. */
const releasable = (
  tables: RetentionTables,
  subject: SubjectRow,
  policy: PutPolicy,
  nowMs: number,
  { first, last }: Span,
): readonly Span[] => {
  const consumers = tables.consumers.list(subject.name);
  const range = {
    first: Math.max(first, subject.first_sequence),
    last: Math.min(last, subject.last_sequence),
  };
  if (typeof policy.recipients === "number") return releasableByAny(tables, consumers, policy.recipients, range);
  return releasableByNamed(tables, subject, policy, policy.recipients ?? [], consumers, nowMs, range);
};

/** What so many have acknowledged. */
const releasableByAny = (
  { leases }: RetentionTables,
  consumers: readonly ConsumerRow[],
  least: number,
  { first, last }: Span,
): readonly Span[] => {
  const reached = consumers.map((each) => highestSettled(leases, each)).sort((a, b) => b - a)[least - 1] ?? 0;
  const range = { first, last: Math.min(last, reached) };
  if (range.last < range.first) return [];
  return coveredBy(
    consumers.map((each) => ackedSpans(leases, each, range)),
    least,
  );
};

/** What none of these owes any more, as far as one of them has acknowledged. */
const releasableByNamed = (
  tables: RetentionTables,
  subject: SubjectRow,
  policy: PutPolicy,
  names: readonly ConsumerName[],
  consumers: readonly ConsumerRow[],
  nowMs: number,
  { first, last }: Span,
): readonly Span[] => {
  const { leases, messages } = tables;
  const recipients = names.map((name) => consumers.find((each) => each.name === name));
  let acked = 0;
  for (const each of recipients) if (each !== undefined) acked = Math.max(acked, highestAcked(each));
  let oldThrough: Sequence | undefined;
  // Through where it owes nothing: it began later, or is not waited for any more on what is as old.
  const freed = recipients.map((each) => {
    const exemptThrough = each?.started_after ?? 0;
    const untilMs = waitedUntilMs(each, policy);
    if (untilMs === null || untilMs > nowMs || policy.recipientTimeoutMs === null) return exemptThrough;
    oldThrough ??= messages.sequenceAt(subject, nowMs - policy.recipientTimeoutMs + 1) - 1;
    return Math.max(exemptThrough, oldThrough);
  });
  const reached = recipients.map((each, index) =>
    Math.max(freed[index] ?? 0, each === undefined ? 0 : highestSettled(leases, each)),
  );
  const range = { first, last: Math.min(last, acked, ...reached) };
  if (range.last < range.first) return [];
  const spans = recipients.map((each, index): readonly Span[] => {
    const free = freed[index] ?? 0;
    const exempt = free < range.first ? [] : [{ first: range.first, last: Math.min(free, range.last) }];
    if (each === undefined || free >= range.last) return exempt;
    return [...exempt, ...ackedSpans(leases, each, { first: Math.max(range.first, free + 1), last: range.last })];
  });
  return coveredBy(spans, recipients.length);
};
