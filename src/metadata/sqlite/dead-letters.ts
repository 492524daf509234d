/**
 * Giving up messages whose deliveries are used up: they are settled, and where the consumer names a subject for its
 * dead letters each goes there in the same transaction.
 * @module
 */
import { deadLetterHeaders, type Envelope, type Headers } from "../../core/message.ts";
import type { CommitEntry } from "../contract.ts";
import { type CommitTables, commitEntries } from "./commit.ts";
import type { ConsumerRow } from "./consumers.ts";
import type { HeldMessage } from "./leases.ts";
import type { SubjectRow } from "./subjects.ts";

/** Dead letters that one transaction commits for one consumer; the rest waits for the next. */
const givenUpMax = 1000;
/** A message that its subject of dead letters has no room for is leased for as long again, but no longer than this. */
const retryMsMax = 30_000;

/** Gives up what is overdue after its last delivery. The caller saves the consumer. */
export const giveUpOverdue = (tables: CommitTables, consumer: ConsumerRow, nowMs: number): void => {
  if (consumer.max_deliver === 0) return;
  if (consumer.dead_letter === null) tables.leases.settleExhausted(consumer, nowMs);
  else giveUp(tables, consumer, tables.leases.exhausted(consumer, givenUpMax, nowMs), nowMs);
};

/** Gives up held messages; what there is no room for stays held, to be tried again. The caller saves the consumer. */
export const giveUp = (
  tables: CommitTables,
  consumer: ConsumerRow,
  messages: readonly HeldMessage[],
  nowMs: number,
): void => {
  const subject = messages.length === 0 ? null : tables.subjects.find(consumer.subject);
  if (subject === null) return;
  const refused = refusedOf(tables, consumer, subject, messages, nowMs);
  const retryAtMs = nowMs + Math.min(consumer.ack_wait_ms, retryMsMax);
  for (const { sequence, deliveries, error } of messages) {
    if (refused.has(sequence)) tables.leases.postpone(consumer, sequence, deliveries, retryAtMs, error);
    else tables.leases.settle(consumer, subject, sequence);
  }
};

/** Commits dead letters; answers which messages were not taken. What is not stored any more needs none. */
const refusedOf = (
  tables: CommitTables,
  consumer: ConsumerRow,
  subject: SubjectRow,
  messages: readonly HeldMessage[],
  nowMs: number,
): ReadonlySet<number> => {
  if (consumer.dead_letter === null) return new Set();
  const entries: CommitEntry[] = [];
  const sequences: number[] = [];
  for (const message of messages) {
    const envelope = tables.messages.find(subject, message.sequence, nowMs);
    if (envelope === undefined) continue;
    const headers = { ...withoutMarks(envelope.headers), ...marksOf(consumer, envelope, message) };
    entries.push({ subject: consumer.dead_letter, headers, body: envelope.body });
    sequences.push(message.sequence);
  }
  const outcomes = commitEntries(tables, entries, nowMs, "copied");
  return new Set(sequences.filter((_, index) => outcomes[index]?.status !== "committed"));
};

/** What tells of the dead letter where it came from. */
const marksOf = (consumer: ConsumerRow, envelope: Envelope, { deliveries, error }: HeldMessage): Headers => ({
  [deadLetterHeaders.reason]: "max_deliver",
  [deadLetterHeaders.consumer]: consumer.name,
  [deadLetterHeaders.subject]: envelope.subject,
  [deadLetterHeaders.sequence]: String(envelope.sequence),
  [deadLetterHeaders.timestamp]: String(envelope.timestampMs),
  [deadLetterHeaders.deliveries]: String(deliveries),
  ...(error === null ? {} : { [deadLetterHeaders.error]: error }),
});

const marks: ReadonlySet<string> = new Set(Object.values(deadLetterHeaders));

/** The headers that the message had before it was a dead letter. */
export const withoutMarks = (headers: Headers): Headers =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !marks.has(name)));
