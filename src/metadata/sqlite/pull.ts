/**
 * What a consumer gets next: one plan for pull and peek, and its application by pull alone.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { PageBounds, PulledEnvelope, PulledPage } from "../contract.ts";
import type { ConsumerRow, ConsumerTable } from "./consumers.ts";
import type { LeaseTable } from "./leases.ts";
import { type MessageTable, PageMeter } from "./messages.ts";
import { headOf, type SubjectRow } from "./subjects.ts";

/** What pulling reads and writes. */
export interface PullTables {
  readonly messages: MessageTable;
  readonly consumers: ConsumerTable;
  readonly leases: LeaseTable;
}

/** Messages to hand out: those that come again, then new ones, each in ascending order. */
interface Plan {
  readonly again: readonly PulledEnvelope[];
  readonly fresh: readonly PulledEnvelope[];
}

const nothing: Plan = { again: [], fresh: [] };

/** Shows what a pull would hand out. */
export const peekPage = (
  tables: PullTables,
  consumer: ConsumerRow,
  subject: SubjectRow | null,
  bounds: PageBounds,
  nowMs: number,
): PulledPage => {
  const plan = planPull(tables, consumer, subject, bounds, false, nowMs);
  return pageOf(tables, consumer, subject, plan, false, nowMs);
};

/** Hands messages out: leases them (`explicit`), remembers that they were seen (`all`), or settles them (`autoAck`). */
export const pullPage = (
  tables: PullTables,
  consumer: ConsumerRow,
  subject: SubjectRow | null,
  bounds: PageBounds,
  autoAck: boolean,
  nowMs: number,
): PulledPage => {
  const before = { ...consumer };
  if (consumer.ack === "explicit") tables.leases.settleExhausted(consumer, nowMs);
  const plan = planPull(tables, consumer, subject, bounds, autoAck, nowMs);
  if (consumer.ack === "all") advanceAll(consumer, plan, autoAck);
  else applyExplicit(tables.leases, consumer, plan, autoAck, nowMs);
  if (before.delivered_through !== consumer.delivered_through || before.acked_through !== consumer.acked_through) {
    tables.consumers.save(consumer);
  }
  return pageOf(tables, consumer, subject, plan, autoAck, nowMs);
};

const planPull = (
  tables: PullTables,
  consumer: ConsumerRow,
  subject: SubjectRow | null,
  bounds: PageBounds,
  autoAck: boolean,
  nowMs: number,
): Plan => {
  if (subject === null) return nothing;
  const meter = new PageMeter(bounds);
  if (consumer.ack === "all") {
    const envelopes = tables.messages.page(subject, consumer.acked_through + 1, meter);
    const deliveries = (sequence: Sequence) => (sequence <= consumer.delivered_through ? 2 : 1);
    return { again: [], fresh: envelopes.map((each) => ({ ...each, deliveries: deliveries(each.sequence) })) };
  }
  const again = tables.leases.due(consumer, subject, meter, nowMs);
  const isBehind = subject.last_sequence > consumer.delivered_through;
  if (!isBehind || meter.room === 0) return { again, fresh: [] };
  // What is acknowledged at once is never held, so it needs no place among what is.
  const leasesMax = autoAck ? Infinity : consumer.max_ack_pending - tables.leases.counts(consumer, nowMs).held;
  return { again, fresh: tables.leases.fresh(consumer, subject, meter, leasesMax) };
};

const advanceAll = (consumer: ConsumerRow, plan: Plan, autoAck: boolean): void => {
  const last = plan.fresh.at(-1)?.sequence ?? 0;
  consumer.delivered_through = Math.max(consumer.delivered_through, last);
  if (autoAck) consumer.acked_through = Math.max(consumer.acked_through, last);
};

const applyExplicit = (
  leases: LeaseTable,
  consumer: ConsumerRow,
  plan: Plan,
  autoAck: boolean,
  nowMs: number,
): void => {
  const dueAtMs = nowMs + consumer.ack_wait_ms;
  for (const { sequence, deliveries } of plan.again) {
    if (autoAck) leases.settle(consumer, sequence);
    else leases.lease(consumer, sequence, deliveries, dueAtMs);
  }
  if (!autoAck) for (const { sequence } of plan.fresh) leases.lease(consumer, sequence, 1, dueAtMs);
  const last = plan.fresh.at(-1)?.sequence;
  if (last !== undefined) leases.advance(consumer, last);
};

const pageOf = (
  tables: PullTables,
  consumer: ConsumerRow,
  subject: SubjectRow | null,
  plan: Plan,
  autoAck: boolean,
  nowMs: number,
): PulledPage => {
  const head = headOf(subject);
  const envelopes = [...plan.again, ...plan.fresh];
  if (consumer.ack === "all") {
    const { acked_through: ackedThrough } = consumer;
    const nextSequence = Math.max(ackedThrough + 1, head.firstSequence);
    return { head, ack: "all", ackedThrough, nextSequence, envelopes, nextDueInMs: null, saturated: false };
  }
  const hasNew = head.lastSequence > consumer.delivered_through;
  return {
    head,
    ack: "explicit",
    ackedThrough: tables.leases.ackedThrough(consumer, nowMs),
    nextSequence: consumer.delivered_through + 1,
    envelopes,
    nextDueInMs: envelopes.length === 0 ? tables.leases.nextDueInMs(consumer, nowMs) : null,
    saturated: hasNew && !autoAck && tables.leases.counts(consumer, nowMs).held >= consumer.max_ack_pending,
  };
};
