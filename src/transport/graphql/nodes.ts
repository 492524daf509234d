/**
 * What the fields of the schema are read from: plain values under the names of the schema.
 * @module
 */
import { amountText, isoText } from "../../codec/event.ts";
import { type BusinessEvent, type EventType, eventSubject, eventTypes } from "../../core/event.ts";
import type { MinuteMetrics } from "../../hub/contract.ts";

const minuteMs = 60_000;

/** An event; the names are the schema's. */
export interface EventNode {
  readonly id: string;
  readonly userId: string;
  readonly eventType: EventType;
  readonly amount: number;
  readonly timestamp: string;
  readonly receivedAt: string;
  readonly subject: string;
  readonly sequence: number;
  readonly cursor: string | undefined;
}

/** @param cursor where a stream goes on behind it */
export const eventNode = (event: BusinessEvent, cursor?: string): EventNode => ({
  id: event.id,
  userId: event.userId,
  eventType: event.eventType,
  amount: event.amountCents / 100,
  timestamp: event.timestamp,
  receivedAt: isoText(event.receivedAtMs),
  subject: eventSubject(event.eventType),
  sequence: event.sequence,
  cursor,
});

/** ISO 8601 interval. */
const interval = (fromMs: number, toMs: number): string => `${isoText(fromMs)}/${isoText(toMs)}`;

/** Cents as a number; the nearest one where the sum is beyond exact numbers. */
const amountOf = (cents: bigint): number => Number(amountText(cents));

const windowNode = (minute: MinuteMetrics) => ({
  start: isoText(minute.minuteMs),
  timeWindow: interval(minute.minuteMs, minute.minuteMs + minuteMs),
  eventType: minute.eventType,
  eventCount: minute.count,
  totalAmount: amountOf(minute.sumCents),
  totalAmountExact: amountText(minute.sumCents),
  lateCount: minute.lateCount,
  lateAmountExact: amountText(minute.lateSumCents),
});

/** Whole minutes in Unix milliseconds: the running one and those before it. */
export const minutesUpTo = (nowMs: number, minutes: number): { readonly fromMs: number; readonly toMs: number } => {
  const toMs = (Math.floor(nowMs / minuteMs) + 1) * minuteMs;
  return { fromMs: toMs - minutes * minuteMs, toMs };
};

/** What minutes add up to. */
export const metricsNode = (
  minutes: readonly MinuteMetrics[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
) => ({
  ...sumsOf(minutes),
  timeWindow: interval(fromMs, toMs),
  windows: () => minutes.map(windowNode),
  byType: () =>
    eventTypes.flatMap((eventType) => {
      const own = minutes.filter((minute) => minute.eventType === eventType);
      return own.length === 0 ? [] : [{ eventType, ...sumsOf(own) }];
    }),
});

const sumsOf = (minutes: readonly MinuteMetrics[]) => {
  let eventCount = 0;
  let cents = 0n;
  for (const { count, sumCents } of minutes) {
    eventCount += count;
    cents += sumCents;
  }
  return { eventCount, totalAmount: amountOf(cents), totalAmountExact: amountText(cents) };
};
