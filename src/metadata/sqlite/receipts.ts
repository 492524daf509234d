/**
 * How the recipients stand to one message.
 * @module
 */
import type { Receipts, RecipientStatus, Sequence } from "../../core/message.ts";
import type { ConsumerName } from "../../core/subject.ts";
import type { ConsumerRow, ConsumerTable } from "./consumers.ts";
import type { LeaseTable } from "./leases.ts";
import { waitedUntilMs } from "./recipients.ts";
import type { ShownTables } from "./retention.ts";
import type { SubjectRow } from "./subjects.ts";

/** What is read for receipts. */
export interface ReceiptTables extends ShownTables {
  readonly consumers: ConsumerTable;
  readonly leases: LeaseTable;
}

/** Null beyond the last sequence. @param subject as it is shown */
export const receiptsOf = (
  tables: ReceiptTables,
  subject: SubjectRow,
  sequence: Sequence,
  nowMs: number,
): Receipts | null => {
  if (sequence < 1 || sequence > subject.last_sequence) return null;
  const policy = tables.policies.of(subject.name);
  const timestampMs = tables.messages.timestampOf(subject, sequence);
  const consumers = tables.consumers.list(subject.name);
  const named = policy?.retain === "acked" && typeof policy.recipients === "object" ? policy.recipients : null;
  const isLate = (consumer: ConsumerRow | undefined): boolean => {
    if (named === null || policy === undefined || timestampMs === undefined) return false;
    const untilMs = waitedUntilMs(consumer, policy);
    return untilMs !== null && nowMs >= Math.max(untilMs, timestampMs + (policy.recipientTimeoutMs ?? 0));
  };
  const statusOf = (consumer: ConsumerRow | undefined): RecipientStatus => {
    if (consumer !== undefined && sequence <= consumer.started_after) return "exempt";
    if (consumer !== undefined && hasAcked(tables.leases, consumer, sequence, nowMs)) return "acked";
    if (isLate(consumer)) return "timed_out";
    return consumer === undefined ? "absent" : "pending";
  };
  const find = (name: ConsumerName) => consumers.find((each) => each.name === name);
  const recipients =
    named === null
      ? consumers.map((each) => ({ name: each.name, status: statusOf(each) }))
      : named.map((name) => ({ name, status: statusOf(find(name)) }));
  const owing = recipients.filter(({ status }) => status !== "exempt").length;
  return {
    subject: subject.name,
    sequence,
    released: timestampMs === undefined,
    recipientsTotal: named?.length ?? (typeof policy?.recipients === "number" ? policy.recipients : owing),
    acked: recipients.filter(({ status }) => status === "acked").length,
    recipients,
  };
};

const hasAcked = (leases: LeaseTable, consumer: ConsumerRow, sequence: Sequence, nowMs: number): boolean =>
  consumer.ack === "all" ? sequence <= consumer.acked_through : leases.isSettled(consumer, sequence, nowMs);
