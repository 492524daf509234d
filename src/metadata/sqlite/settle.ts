/**
 * Acknowledging and giving back.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { AckOutcome, AckRequest, NackOutcome, NackRequest } from "../contract.ts";
import type { CommitTables } from "./commit.ts";
import type { ConsumerRow } from "./consumers.ts";
import { giveUp, giveUpOverdue } from "./dead-letters.ts";
import type { HeldMessage } from "./leases.ts";
import { highestAcked } from "./recipients.ts";
import type { SettleTables } from "./settle-deleted.ts";
import { headOf, type SubjectRow } from "./subjects.ts";

/** Applies one acknowledgement, or nothing of it. */
export const acknowledge = (tables: CommitTables, request: AckRequest, nowMs: number): AckOutcome => {
  const { subject, through, sequences } = request;
  const consumer = tables.consumers.find(subject, request.consumer);
  if (consumer === null) return { status: "consumer_not_found" };
  if (consumer.ack === "all" && sequences !== undefined) return { status: "wrong_ack_mode" };
  const row = tables.subjects.find(subject);
  const { lastSequence } = headOf(row);
  if (highest(sequences, through) > lastSequence) return { status: "sequence_out_of_range", lastSequence };
  consumer.active_at = nowMs;
  if (consumer.ack === "all") return acknowledgeAll(tables, consumer, through ?? 0);
  return acknowledgeExplicit(tables, consumer, row, request, nowMs);
};

const highest = (sequences: readonly Sequence[] = [], through: Sequence = 0): Sequence =>
  sequences.reduce((max, sequence) => Math.max(max, sequence), through);

const acknowledgeAll = (tables: SettleTables, consumer: ConsumerRow, through: Sequence): AckOutcome => {
  const moved = through > consumer.acked_through;
  if (moved) {
    tables.releases.note(consumer.subject, highestAcked(consumer) + 1, through);
    consumer.acked_through = through;
    consumer.delivered_through = Math.max(consumer.delivered_through, through);
  }
  tables.consumers.save(consumer);
  return { status: "acked", ackedThrough: consumer.acked_through, moved };
};

const acknowledgeExplicit = (
  tables: CommitTables,
  consumer: ConsumerRow,
  subject: SubjectRow | null,
  { through = 0, sequences = [] }: AckRequest,
  nowMs: number,
): AckOutcome => {
  const { leases, consumers } = tables;
  giveUpOverdue(tables, consumer, nowMs);
  let moved = false;
  if (subject !== null) {
    for (const sequence of sequences) if (leases.settle(consumer, subject, sequence)) moved = true;
    if (through > 0) leases.noteAcked(consumer, leases.ackedThrough(consumer, nowMs) + 1, through);
    if (leases.settleThrough(consumer, subject, through)) moved = true;
  }
  consumers.save(consumer);
  return { status: "acked", ackedThrough: leases.ackedThrough(consumer, nowMs), moved };
};

/** Gives leased messages back, or nothing of the request. */
export const giveBack = (tables: CommitTables, request: NackRequest, nowMs: number): NackOutcome => {
  const consumer = tables.consumers.find(request.subject, request.consumer);
  if (consumer === null) return { status: "consumer_not_found" };
  if (consumer.ack === "all") return { status: "wrong_ack_mode" };
  const { lastSequence } = headOf(tables.subjects.find(request.subject));
  if (highest(request.sequences) > lastSequence) return { status: "sequence_out_of_range", lastSequence };
  consumer.active_at = nowMs;
  giveUpOverdue(tables, consumer, nowMs);
  // What was said is of use to dead letters only.
  const error = consumer.dead_letter === null ? null : (request.error ?? null);
  const given: HeldMessage[] = [];
  let redeliver = 0;
  for (const sequence of new Set(request.sequences)) {
    const held = tables.leases.find(consumer, sequence);
    if (held === undefined) continue;
    if (consumer.max_deliver > 0 && held.deliveries >= consumer.max_deliver) {
      given.push({ ...held, error: error ?? held.error });
      continue;
    }
    tables.leases.postpone(consumer, sequence, held.deliveries, nowMs + request.delayMs, error);
    redeliver++;
  }
  giveUp(tables, consumer, given, nowMs);
  tables.consumers.save(consumer);
  return { status: "nacked", redeliver };
};
