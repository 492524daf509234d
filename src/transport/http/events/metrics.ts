/**
 * Sums of events by the minute at which they happened.
 * @module
 */
import { amountText, isoText } from "../../../codec/event.ts";
import { minuteMs, minuteOf } from "../../../codec/event-metrics.ts";
import type { View } from "../../../codec/view.ts";
import { eventTypes } from "../../../core/event.ts";
import type { EventHub, MinuteMetrics } from "../../../hub/contract.ts";
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
  const windows = await hub.metrics(broker, { fromMs, toMs, eventType });
  const types = eventTypes.filter((type) => eventType === undefined || type === eventType);
  const head = {
    time_window: `${isoText(fromMs)}/${isoText(toMs)}`,
    ...totalsView(windows),
    by_type: types.map((type) => ({
      event_type: type,
      ...totalsView(windows.filter((window) => window.eventType === type)),
    })),
  };
  if (representation === "msgpack") {
    return structuredResponse({ ...head, windows: windows.map(windowView) }, representation);
  }
  // Thousands of windows, most of which are what they were a moment ago: their text is kept.
  const text = `${JSON.stringify(head).slice(0, -1)},"windows":[${windows.map(windowText).join(",")}]}`;
  return new Response(text, { headers: { "content-type": mediaTypes.json[0], "cache-control": "no-store" } });
};

const windowView = (window: MinuteMetrics): View => ({
  start: isoText(window.minuteMs),
  event_type: window.eventType,
  ...totalsView([window]),
});

/** The text of a window; the hub answers the same object as long as nothing has changed. */
const windowTexts = new WeakMap<MinuteMetrics, string>();

const windowText = (window: MinuteMetrics): string => {
  const known = windowTexts.get(window);
  if (known !== undefined) return known;
  const text = JSON.stringify(windowView(window));
  windowTexts.set(window, text);
  return text;
};

/** Sums over some minutes: exact as text, and as the nearest number for charts. */
const totalsView = (windows: readonly MinuteMetrics[]): View => {
  let count = 0;
  let lateCount = 0;
  let cents = 0n;
  let lateCents = 0n;
  for (const window of windows) {
    count += window.count;
    lateCount += window.lateCount;
    cents += window.sumCents;
    lateCents += window.lateSumCents;
  }
  return {
    event_count: count,
    total_amount: Number(amountText(cents)),
    total_amount_exact: amountText(cents),
    late_count: lateCount,
    late_amount: Number(amountText(lateCents)),
    late_amount_exact: amountText(lateCents),
  };
};
