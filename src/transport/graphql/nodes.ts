/**
 * What the fields of the schema are read from: plain values under the names of the schema.
 * @module
 */
import { amountText, isoText } from "../../codec/event.ts";
import { emptyMinute, type MinuteTotals } from "../../codec/event-metrics.ts";
import { type BusinessEvent, type EventType, eventSubject, eventTypes } from "../../core/event.ts";
import { addedTotals, totalsOf } from "../../hub/blocks.ts";
import type { MinuteBlock, MinuteMetrics } from "../../hub/contract.ts";

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
  blocks: readonly MinuteBlock[],
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
) => {
  const byType = totalsOf(blocks);
  return {
    ...sumsOf([...byType.values()].reduce(addedTotals, emptyMinute)),
    timeWindow: interval(fromMs, toMs),
    windows: () => blocks.flatMap(({ minutes }) => minutes.map(windowNode)),
    byType: () =>
      eventTypes.flatMap((eventType) => {
        const own = byType.get(eventType);
        return own === undefined ? [] : [{ eventType, ...sumsOf(own) }];
      }),
  };
};

const sumsOf = ({ count: eventCount, sumCents }: MinuteTotals) => ({
  eventCount,
  totalAmount: amountOf(sumCents),
  totalAmountExact: amountText(sumCents),
});
