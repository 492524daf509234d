/**
 * Sums of events by the minute at which they happened.
 * @module
 */
import { amountText, isoText } from "../../../codec/event.ts";
import { emptyMinute, type MinuteTotals, minuteMs, minuteOf } from "../../../codec/event-metrics.ts";
import type { View } from "../../../codec/view.ts";
import { eventTypes } from "../../../core/event.ts";
import { addedTotals, totalsOf } from "../../../hub/blocks.ts";
import type { EventHub, MinuteBlock, MinuteMetrics } from "../../../hub/contract.ts";
import { mediaTypes } from "../accept.ts";
import { structuredResponse } from "../answer.ts";
import { queryInteger } from "../query.ts";
import type { HttpCall } from "../route.ts";
import { eventTypeOf } from "./list.ts";

/** Longest span, in minutes: a week. */
export const minutesMax = 7 * 24 * 60;

/** So many minutes up to the one that runs, which counts as one. */
export const showMetrics = async ({ query, broker, representation }: HttpCall, hub: EventHub): Promise<Response> => {
  const minutes = queryInteger(query, "minutes", { min: 1, max: minutesMax }, 1);
  const eventType = eventTypeOf(query);
  const toMs = minuteOf(Date.now()) + minuteMs;
  const fromMs = toMs - minutes * minuteMs;
  const blocks = await hub.metrics(broker, { fromMs, toMs, eventType });
  const byType = totalsOf(blocks);
  const types = eventTypes.filter((type) => eventType === undefined || type === eventType);
  const head = {
    time_window: `${isoText(fromMs)}/${isoText(toMs)}`,
    ...totalsView([...byType.values()].reduce(addedTotals, emptyMinute)),
    by_type: types.map((type) => ({ event_type: type, ...totalsView(byType.get(type) ?? emptyMinute) })),
  };
  if (representation === "msgpack") {
    const windows = blocks.flatMap((block) => block.minutes.map(windowView));
    return structuredResponse({ ...head, windows }, representation);
  }
  // Thousands of windows, most of which are what they were a moment ago: their text is kept.
  const text = `${JSON.stringify(head).slice(0, -1)},"windows":[${blocks.map(windowsText).join(",")}]}`;
  return new Response(text, { headers: { "content-type": mediaTypes.json[0], "cache-control": "no-store" } });
};

const windowView = (window: MinuteMetrics): View => ({
  start: isoText(window.minuteMs),
  event_type: window.eventType,
  ...totalsView(window),
});

/** The text of a window or of those of a block; the hub answers the same object as long as nothing has changed. */
const texts = new WeakMap<MinuteMetrics | MinuteBlock, string>();

const kept = <T extends MinuteMetrics | MinuteBlock>(of: T, make: (of: T) => string): string => {
  const known = texts.get(of);
  if (known !== undefined) return known;
  const text = make(of);
  texts.set(of, text);
  return text;
};

const windowsText = (block: MinuteBlock): string =>
  kept(block, ({ minutes }) =>
    minutes.map((window) => kept(window, (each) => JSON.stringify(windowView(each)))).join(","),
  );

/** Exact as text, and as the nearest number for charts. */
const totalsView = ({ count, sumCents, lateCount, lateSumCents }: MinuteTotals): View => ({
  event_count: count,
  total_amount: Number(amountText(sumCents)),
  total_amount_exact: amountText(sumCents),
  late_count: lateCount,
  late_amount: Number(amountText(lateSumCents)),
  late_amount_exact: amountText(lateSumCents),
});
