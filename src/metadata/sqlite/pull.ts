/**
 * What a consumer gets next: one plan for pull and peek, and its application by pull alone.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type { PageBounds, PulledEnvelope, PulledPage, PullRequest } from "../contract.ts";
import type { CommitTables } from "./commit.ts";
import { type ConsumerRow, consumerDefaults } from "./consumers.ts";
import { giveUpOverdue } from "./dead-letters.ts";
import type { LeaseTable } from "./leases.ts";
import { PageMeter } from "./messages.ts";
import { highestAcked } from "./recipients.ts";
import type { ReleaseNotes } from "./release-notes.ts";
import { hasExpired, type ShownTables, shownRow } from "./retention.ts";
import { makeConsumer, type StateTables, unmadeConsumer } from "./state.ts";
import { headOf, type SubjectRow } from "./subjects.ts";

/** One pull or peek. */
interface Turn {
  readonly consumer: ConsumerRow;
  readonly subject: SubjectRow | null;
  readonly bounds: PageBounds;
  readonly autoAck: boolean;
  readonly nowMs: number;
}

/** Messages to hand out: those that come again, then new ones, each in ascending order. */
interface Plan {
  readonly again: readonly PulledEnvelope[];
  readonly fresh: readonly PulledEnvelope[];
}

/** Shows what a pull would hand out, which would remove what is expired before. */
export const peekPage = (
  tables: StateTables & ShownTables,
  name: Subject,
  consumerName: ConsumerName,
  bounds: PageBounds,
  nowMs: number,
): PulledPage => {
  const stored = tables.subjects.find(name);
  const subject = stored === null ? null : shownRow(tables, stored, nowMs);
  let consumer = tables.consumers.find(name, consumerName) ?? unmadeConsumer(name, consumerName);
  const isCut = subject !== null && subject !== stored;
  if (isCut && consumer.ack === "explicit") consumer = tables.leases.past(consumer, subject);
  const turn: Turn = { consumer, subject, bounds, autoAck: false, nowMs };
  return pageOf(tables.leases, turn, planTurn(tables, turn));
};

/** Whether a pull settles messages, and not only leases them. */
export const pullSettles = (tables: StateTables & ShownTables, request: PullRequest, nowMs: number): boolean => {
  if (request.autoAck || hasExpired(tables, request.subject, nowMs)) return true;
  const consumer = tables.consumers.find(request.subject, request.consumer);
  return consumer !== null && tables.leases.hasExhausted(consumer, nowMs);
};

/**
 * Hands messages out, none of which is expired: leases them (`explicit`), remembers that they were seen (`all`), or settles them (`autoAck`).
 * @throws StreamError `consumer_not_found` unless told to make the consumer
 */
export const pullPage = (tables: StateTables & CommitTables, request: PullRequest, nowMs: number): PulledPage => {
  const { subject: name, autoAck } = request;
  const consumer = tables.consumers.find(name, request.consumer) ?? newConsumer(tables, request, nowMs);
  consumer.active_at = nowMs;
  giveUpOverdue(tables, consumer, nowMs);
  const turn: Turn = { consumer, subject: tables.subjects.find(name), bounds: request, autoAck, nowMs };
  const plan = planTurn(tables, turn);
  if (consumer.ack === "all") applyAll(tables.releases, turn, plan);
  else applyExplicit(tables.leases, turn, plan);
  tables.consumers.save(consumer);
  const page = pageOf(tables.leases, turn, plan);
  // Of very many dead letters some are left for the next pull.
  const isMoreDue = page.envelopes.length === 0 && tables.leases.hasExhausted(consumer, nowMs);
  return isMoreDue ? { ...page, nextDueInMs: 0 } : page;
};

const newConsumer = (tables: StateTables, { subject, consumer, create }: PullRequest, nowMs: number): ConsumerRow => {
  if (!create) throw new StreamError("consumer_not_found", "The consumer is not there (any more).");
  return makeConsumer(tables, subject, consumer, consumerDefaults, nowMs);
};

const planTurn = (tables: StateTables, { consumer, subject, bounds, autoAck, nowMs }: Turn): Plan => {
  if (subject === null) return { again: [], fresh: [] };
  const meter = new PageMeter(bounds);
  if (consumer.ack === "all") {
    const envelopes = tables.messages.page(subject, consumer.acked_through + 1, meter, nowMs);
    const deliveries = (sequence: Sequence) => (sequence <= consumer.delivered_through ? 2 : 1);
    return { again: [], fresh: envelopes.map((each) => ({ ...each, deliveries: deliveries(each.sequence) })) };
  }
  const again = tables.leases.due(consumer, subject, meter, nowMs);
  // What is acknowledged at once is never held, so it needs no place among what is.
  const leasesMax = autoAck ? Infinity : consumer.max_ack_pending - tables.leases.held(consumer, nowMs);
  return { again, fresh: tables.leases.fresh(consumer, subject, meter, leasesMax, nowMs) };
};

const applyAll = (releases: ReleaseNotes, { consumer, autoAck }: Turn, plan: Plan): void => {
  const last = plan.fresh.at(-1)?.sequence ?? 0;
  consumer.delivered_through = Math.max(consumer.delivered_through, last);
  if (!autoAck || last <= consumer.acked_through) return;
  releases.note(consumer.subject, highestAcked(consumer) + 1, last);
  consumer.acked_through = last;
};

const applyExplicit = (leases: LeaseTable, { consumer, subject, autoAck, nowMs }: Turn, plan: Plan): void => {
  if (subject === null) return;
  const dueAtMs = nowMs + consumer.ack_wait_ms;
  for (const { sequence, deliveries } of plan.again) {
    if (autoAck) leases.settle(consumer, subject, sequence);
    else leases.postpone(consumer, sequence, deliveries, dueAtMs);
  }
  if (!autoAck) for (const { sequence } of plan.fresh) leases.lease(consumer, sequence, dueAtMs);
  const last = plan.fresh.at(-1)?.sequence;
  if (last === undefined) return;
  if (autoAck) leases.noteAcked(consumer, consumer.delivered_through + 1, last);
  leases.advance(consumer, subject, last);
};

const pageOf = (leases: LeaseTable, { consumer, subject, autoAck, nowMs }: Turn, plan: Plan): PulledPage => {
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
    ackedThrough: leases.ackedThrough(consumer, nowMs),
    nextSequence: consumer.delivered_through + 1,
    envelopes,
    nextDueInMs: envelopes.length === 0 ? leases.nextDueInMs(consumer, nowMs) : null,
    saturated: hasNew && !autoAck && leases.held(consumer, nowMs) >= consumer.max_ack_pending,
  };
};
