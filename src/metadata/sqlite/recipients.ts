/**
 * How consumers stand to the messages of their subject.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { ConsumerRow } from "./consumers.ts";
import type { LeaseTable } from "./leases.ts";
import type { PutPolicy } from "./policies.ts";
import { type Span, spansWithout } from "./spans.ts";

/** The highest message that a consumer has acknowledged; 0 when none. */
export const highestAcked = (consumer: ConsumerRow): Sequence => {
  if (consumer.ack === "explicit") return consumer.acked_highest;
  return consumer.acked_through > consumer.started_after ? consumer.acked_through : 0;
};

/** The highest message that a consumer has settled. */
export const highestSettled = (leases: LeaseTable, consumer: ConsumerRow): Sequence =>
  consumer.ack === "explicit" ? leases.highestSettled(consumer) : consumer.acked_through;

/** What a consumer has acknowledged of a range, of what is owed to it. */
export const ackedSpans = (leases: LeaseTable, consumer: ConsumerRow, { first, last }: Span): readonly Span[] => {
  const from = Math.max(first, consumer.started_after + 1);
  if (consumer.ack === "all") return spansWithout(from, Math.min(last, consumer.acked_through), []);
  const cursor = Math.min(last, consumer.delivered_through);
  const spans = spansWithout(from, cursor, leases.heldBetween(consumer, from, cursor));
  for (const sequence of leases.aheadBetween(consumer, Math.max(from, cursor + 1), last)) {
    const end = spans.at(-1);
    if (end?.last === sequence - 1) spans.splice(-1, 1, { first: end.first, last: sequence });
    else spans.push({ first: sequence, last: sequence });
  }
  return spans;
};

/**
 * When a named recipient (undefined: there is no such consumer) is not waited for any more on messages that are as old;
 * null: it is waited for ever.
 */
export const waitedUntilMs = (consumer: ConsumerRow | undefined, policy: PutPolicy): number | null =>
  policy.recipientTimeoutMs === null ? null : (consumer?.active_at ?? policy.putAtMs) + policy.recipientTimeoutMs;
