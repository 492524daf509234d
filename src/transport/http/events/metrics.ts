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
  const byType = new Map(types.map((type) => [type, noTotals()]));
  for (const window of windows) addTo(byType.get(window.eventType), window);
  const all = noTotals();
  for (const totals of byType.values()) addTo(all, totals);
  const head = {
    time_window: `${isoText(fromMs)}/${isoText(toMs)}`,
    ...totalsView(all),
    by_type: [...byType].map(([type, totals]) => ({ event_type: type, ...totalsView(totals) })),
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
  ...totalsView(window),
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

type Totals = Pick<MinuteMetrics, "count" | "sumCents" | "lateCount" | "lateSumCents">;

const noTotals = (): Mutable<Totals> => ({ count: 0, sumCents: 0n, lateCount: 0, lateSumCents: 0n });

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** In one pass over thousands of minutes, of which few have late events. */
const addTo = (totals: Mutable<Totals> | undefined, more: Totals): void => {
  if (totals === undefined) return;
  totals.count += more.count;
  totals.sumCents += more.sumCents;
  if (more.lateCount === 0) return;
  totals.lateCount += more.lateCount;
  totals.lateSumCents += more.lateSumCents;
};

/** Exact as text, and as the nearest number for charts. */
const totalsView = ({ count, sumCents, lateCount, lateSumCents }: Totals): View => ({
  event_count: count,
  total_amount: Number(amountText(sumCents)),
  total_amount_exact: amountText(sumCents),
  late_count: lateCount,
  late_amount: Number(amountText(lateSumCents)),
  late_amount_exact: amountText(lateSumCents),
});
