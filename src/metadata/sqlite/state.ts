/**
 * Making consumers and showing their state.
 * @module
 */
import { assert } from "../../core/errors.ts";
import type { ConsumerConfig, ConsumerState, Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type { ConsumerBacklog } from "../contract.ts";
import type { CommitTables } from "./commit.ts";
import { type ConsumerRow, type ConsumerTable, consumerDefaults } from "./consumers.ts";
import { giveUpOverdue } from "./dead-letters.ts";
import type { GoneTable } from "./gone.ts";
import type { LeaseTable } from "./leases.ts";
import type { MessageTable } from "./messages.ts";
import { headOf, type SubjectRow, type SubjectTable } from "./subjects.ts";

/** What is read of a consumer's subject, and the consumer's own tables. */
export interface StateTables {
  readonly subjects: SubjectTable;
  readonly messages: MessageTable;
  readonly consumers: ConsumerTable;
  readonly leases: LeaseTable;
  readonly gone: GoneTable;
}

/** Makes a consumer that is not there; its start is resolved now. */
export const makeConsumer = (
  tables: StateTables,
  subject: Subject,
  name: ConsumerName,
  config: ConsumerConfig,
  nowMs: number,
): ConsumerRow => {
  const subjectRow = tables.subjects.find(subject);
  const start = startPosition(tables.messages, subjectRow, config);
  // What was deleted before the consumer came is settled for an explicit one; the others move by acknowledging only.
  const deletedThrough = config.ack === "explicit" ? headOf(subjectRow).firstSequence - 1 : 0;
  const row = tables.consumers.insert(subject, name, config, Math.max(start, deletedThrough), nowMs);
  assert(row !== null, "An insert returns its row.");
  return row;
};

/** The sequence after which a new consumer begins. */
const startPosition = (messages: MessageTable, subject: SubjectRow | null, { start }: ConsumerConfig): Sequence => {
  switch (start.kind) {
    case "first":
      return 0;
    case "new":
      return headOf(subject).lastSequence;
    case "sequence":
      return Math.max(0, start.sequence - 1);
    case "time":
      return subject === null ? 0 : messages.sequenceAt(subject, start.timestampMs) - 1;
  }
};

/** The consumer that a pull would make, for a peek that makes none. */
export const unmadeConsumer = (subject: Subject, name: ConsumerName): ConsumerRow => ({
  id: 0,
  subject,
  name,
  start_kind: "first",
  start_value: 0,
  ack: consumerDefaults.ack,
  ack_wait_ms: consumerDefaults.ackWaitMs,
  max_deliver: consumerDefaults.maxDeliver,
  max_ack_pending: consumerDefaults.maxAckPending,
  acked_through: 0,
  delivered_through: 0,
  held: 0,
  created_at: 0,
  started_after: 0,
  acked_highest: 0,
  active_at: 0,
  dead_letter: null,
});

/** The state of a consumer; what has used up its deliveries is settled now, for good. */
export const consumerState = (tables: StateTables & CommitTables, row: ConsumerRow, nowMs: number): ConsumerState => {
  const subject = tables.subjects.find(row.subject);
  const storedAfter = (sequence: Sequence): number =>
    subject === null ? 0 : tables.gone.storedAfter(subject, sequence);
  const common = {
    name: row.name,
    subject: row.subject,
    ack: row.ack,
    deliveredThrough: row.delivered_through,
    createdAtMs: row.created_at,
    deadLetter: row.dead_letter ?? undefined,
  };
  if (row.ack === "all") {
    const pending = storedAfter(row.acked_through);
    return { ...common, ackedThrough: row.acked_through, pending, ackPending: 0, redelivered: 0 };
  }
  giveUpOverdue(tables, row, nowMs);
  tables.consumers.save(row);
  return {
    ...common,
    ackedThrough: tables.leases.ackedThrough(row, nowMs),
    pending: storedAfter(row.delivered_through) - tables.leases.aheadCount(row) + row.held,
    ackPending: row.held,
    redelivered: tables.leases.redelivered(row),
  };
};

/** How far behind a consumer is, by a look alone. */
export const backlogOf = (tables: StateTables, row: ConsumerRow): ConsumerBacklog => {
  const { subject, name, held } = row;
  const subjectRow = tables.subjects.find(subject);
  const isAll = row.ack === "all";
  const behind = isAll ? row.acked_through : row.delivered_through;
  const stored = subjectRow === null ? 0 : tables.gone.storedAfter(subjectRow, behind);
  const pending = isAll ? stored : stored - tables.leases.aheadCount(row) + held;
  return { subject, name, pending, ackPending: isAll ? 0 : held };
};
