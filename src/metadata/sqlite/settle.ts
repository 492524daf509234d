/**
 * Acknowledging, giving back, and what a purge means for consumers.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { AckOutcome, AckRequest, NackOutcome, NackRequest } from "../contract.ts";
import type { ConsumerRow, ConsumerTable } from "./consumers.ts";
import type { LeaseTable } from "./leases.ts";
import { headOf, type SubjectTable } from "./subjects.ts";

/** What settling reads and writes. */
export interface SettleTables {
  readonly subjects: SubjectTable;
  readonly consumers: ConsumerTable;
  readonly leases: LeaseTable;
}

/** Applies one acknowledgement, or nothing of it. */
export const acknowledge = (tables: SettleTables, request: AckRequest, nowMs: number): AckOutcome => {
  const { subject, through, sequences } = request;
  const consumer = tables.consumers.find(subject, request.consumer);
  if (consumer === null) return { status: "consumer_not_found" };
  if (consumer.ack === "all" && sequences !== undefined) return { status: "wrong_ack_mode" };
  const { lastSequence } = headOf(tables.subjects.find(subject));
  if (highest(sequences, through) > lastSequence) return { status: "sequence_out_of_range", lastSequence };
  if (consumer.ack === "all") return acknowledgeAll(tables, consumer, through ?? 0);
  return acknowledgeExplicit(tables, consumer, request, nowMs);
};

const highest = (sequences: readonly Sequence[] = [], through: Sequence = 0): Sequence =>
  sequences.reduce((max, sequence) => Math.max(max, sequence), through);

const acknowledgeAll = (tables: SettleTables, consumer: ConsumerRow, through: Sequence): AckOutcome => {
  const moved = through > consumer.acked_through;
  if (moved) {
    consumer.acked_through = through;
    consumer.delivered_through = Math.max(consumer.delivered_through, through);
    tables.consumers.save(consumer);
  }
  return { status: "acked", ackedThrough: consumer.acked_through, moved };
};

const acknowledgeExplicit = (
  tables: SettleTables,
  consumer: ConsumerRow,
  { through, sequences = [] }: AckRequest,
  nowMs: number,
): AckOutcome => {
  const { leases, consumers } = tables;
  leases.settleExhausted(consumer, nowMs);
  let moved = false;
  for (const sequence of sequences) if (leases.settle(consumer, sequence)) moved = true;
  if (leases.settleThrough(consumer, through ?? 0)) moved = true;
  consumers.save(consumer);
  return { status: "acked", ackedThrough: leases.ackedThrough(consumer, nowMs), moved };
};

/** Gives leased messages back, or nothing of the request. */
export const giveBack = (tables: SettleTables, request: NackRequest, nowMs: number): NackOutcome => {
  const consumer = tables.consumers.find(request.subject, request.consumer);
  if (consumer === null) return { status: "consumer_not_found" };
  if (consumer.ack === "all") return { status: "wrong_ack_mode" };
  const { lastSequence } = headOf(tables.subjects.find(request.subject));
  if (highest(request.sequences) > lastSequence) return { status: "sequence_out_of_range", lastSequence };
  tables.leases.settleExhausted(consumer, nowMs);
  let redeliver = 0;
  for (const sequence of new Set(request.sequences)) {
    const deliveries = tables.leases.deliveries(consumer, sequence);
    if (deliveries === undefined) continue;
    if (consumer.max_deliver > 0 && deliveries >= consumer.max_deliver) {
      tables.leases.settle(consumer, sequence);
      continue;
    }
    tables.leases.postpone(consumer, sequence, deliveries, nowMs + request.delayMs);
    redeliver++;
  }
  tables.consumers.save(consumer);
  return { status: "nacked", redeliver };
};

/** Settles deleted messages for the explicit consumers of a subject. */
export const settleDeleted = (tables: SettleTables, subject: Subject, through: Sequence): void => {
  for (const consumer of tables.consumers.list(subject)) {
    if (consumer.ack === "all") continue;
    tables.leases.settleThrough(consumer, through);
    tables.consumers.save(consumer);
  }
};
