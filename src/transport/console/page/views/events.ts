/**
 * Business events: how many and how much, minute by minute, and the latest of them.
 * @module
 */
import { Problem } from "../api.ts";
import { barChart } from "../chart.ts";
import { fill, h, LiveRows, setText } from "../dom.ts";
import { formatClock, formatCount, formatTime } from "../format.ts";
import { Fault, heading, repeat, tableBox, type ViewContext } from "../view.ts";

const everyMs = 2000;
const minutesShown = 60;
const minuteMs = 60_000;
const latestMax = 20;
const types = ["purchase", "return", "refund"] as const;

const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** One minute of one type. */
interface MinuteRow {
  readonly start: string;
  readonly event_type: string;
  readonly event_count: number;
  readonly total_amount: number;
}

/** `GET /events/metrics`. */
interface Metrics {
  readonly event_count: number;
  readonly total_amount_exact: string;
  readonly late_count: number;
  readonly by_type: readonly { readonly event_type: string; readonly event_count: number }[];
  readonly windows: readonly MinuteRow[];
}

interface EventRow {
  readonly id: string;
  readonly user_id: string;
  readonly event_type: string;
  readonly amount: number;
  readonly timestamp: string;
  readonly received_at: string;
}

type Measure = "count" | "amount";

/** A minute of all types, in the order of `types`. */
interface Minute {
  readonly atMs: number;
  readonly count: readonly number[];
  readonly amount: readonly number[];
}

/** Every minute of the last hour, also those in which nothing happened. Pure. */
export const minutesOf = (rows: readonly MinuteRow[], nowMs: number): readonly Minute[] => {
  const last = Math.floor(nowMs / minuteMs) * minuteMs;
  return Array.from({ length: minutesShown }, (_, index) => {
    const atMs = last - (minutesShown - 1 - index) * minuteMs;
    const own = types.map((type) => rows.find((row) => row.event_type === type && Date.parse(row.start) === atMs));
    return {
      atMs,
      count: own.map((row) => row?.event_count ?? 0),
      amount: own.map((row) => row?.total_amount ?? 0),
    };
  });
};

/** The exact digits, grouped. */
const moneyText = (exact: string): string => {
  const [whole = "0", cents = "00"] = exact.split(".");
  return `${formatCount(Number(whole))}.${cents.padEnd(2, "0")}`;
};

/** Draws figures, the chart with its table, and the latest events. */
export const eventsView = (context: ViewContext): void => {
  const { root, api } = context;
  const fault = new Fault();
  const latestFault = new Fault();
  let measure: Measure = "count";
  let minutes: readonly Minute[] = [];
  let metrics: Metrics | undefined;
  const figures = new Map(
    ["Events", "Amount", "Purchases", "Returns", "Refunds", "Too late"].map((name) => [name, h("dd", {}, "–")]),
  );
  const chart = h("div", { class: "chart-box", role: "region", "aria-label": "Chart", tabindex: 0 });
  const body = h("tbody");
  const rows = new LiveRows<Minute>(body, ({ atMs }) => String(atMs), minuteRow);

  const show = (): void => {
    if (metrics === undefined) return;
    const { by_type: byType, event_count: count, late_count: late } = metrics;
    const counts = types.map((type) => byType.find((row) => row.event_type === type)?.event_count ?? 0);
    const texts = [formatCount(count), moneyText(metrics.total_amount_exact), ...[...counts, late].map(formatCount)];
    [...figures.values()].forEach((element, at) => setText(element, texts[at] ?? ""));
    const what = measure === "count" ? `${texts[0] ?? ""} events` : `an amount of ${texts[1] ?? ""}`;
    fill(
      chart,
      barChart({
        summary: `Events of the last hour, minute by minute: ${what} in all. The same is in the table below.`,
        series: types,
        bars: minutes.map((minute) => ({ label: formatClock(minute.atMs).slice(0, 5), values: minute[measure] })),
      }),
    );
    rows.show(minutes.filter((minute) => minute.count.some((count) => count > 0)).toReversed());
  };
  const choice = h("div", { class: "choice", role: "group", "aria-label": "Draw" });
  const choose = (name: string, chosen: Measure): HTMLElement => {
    const button = h("button", { type: "button", "aria-pressed": String(chosen === measure) }, name);
    button.addEventListener("click", () => {
      measure = chosen;
      for (const each of choice.children) each.setAttribute("aria-pressed", String(each === button));
      show();
    });
    return button;
  };
  choice.append(choose("Count", "count"), choose("Amount", "amount"));

  const legend = h(
    "ul",
    { class: "legend", "aria-hidden": "true" },
    types.map((type, at) => h("li", { class: `series-${at}` }, type)),
  );
  root.append(
    heading("Events"),
    h("p", { class: "lead" }, "The last hour by the time at which events happened."),
    fault.element,
    h(
      "dl",
      { class: "figures" },
      [...figures].map(([name, value]) => h("div", { class: "figure" }, h("dt", {}, name), value)),
    ),
    h("div", { class: "card" }, h("div", { class: "chart-head" }, choice, legend), chart),
    h(
      "details",
      { class: "as-table" },
      h("summary", {}, "As a table"),
      tableBox(
        "Events by minute",
        ["Minute", ...["Purchases", "Returns", "Refunds", "Amount"].map((text) => ({ text, number: true as const }))],
        body,
      ),
    ),
    h("h2", {}, "Latest"),
    latestFault.element,
    latestPart(context, latestFault),
  );
  void repeat(everyMs, context, fault, async () => {
    // The minute that runs, and those before it.
    const query = { minutes: minutesShown - 1 };
    metrics = await api.json<Metrics>("events/metrics", query, context).catch(explained);
    minutes = minutesOf(metrics.windows, Date.now());
    show();
  });
};

/** Says what it means that there is no metrics actor. */
const explained = (error: unknown): never => {
  if (!(error instanceof Problem) || error.code !== "actor_not_found") throw error;
  throw new Problem(404, error.code, "This server does not run the actor that counts events.");
};

const minuteRow = ({ atMs }: Minute) => {
  const cells = types.map(() => h("td", { class: "number" }));
  const amount = h("td", { class: "number" });
  const element = h("tr", {}, h("th", { scope: "row" }, formatTime(atMs).slice(0, 16)), cells, amount);
  const update = (minute: Minute): void => {
    cells.forEach((cell, at) => setText(cell, formatCount(minute.count[at] ?? 0)));
    setText(amount, money.format(minute.amount.reduce((sum, value) => sum + value, 0)));
  };
  return { element, update };
};

const latestPart = (context: ViewContext, fault: Fault): HTMLElement => {
  const body = h("tbody");
  const rows = new LiveRows<EventRow>(body, ({ id }) => id, eventRow);
  void repeat(everyMs, context, fault, async () => {
    const { events } = await context.api.json<{ readonly events: readonly EventRow[] }>(
      "events",
      { limit: latestMax },
      context,
    );
    rows.show(events);
  });
  return tableBox("Latest events", ["Event", "Type", "User", { text: "Amount", number: true }, "Happened"], body);
};

const eventRow = (event: EventRow) => ({
  element: h(
    "tr",
    {},
    h("th", { scope: "row" }, h("code", {}, event.id)),
    h("td", {}, event.event_type),
    h("td", {}, event.user_id),
    h("td", { class: "number" }, money.format(event.amount)),
    h("td", { class: "time" }, event.timestamp),
  ),
  // An event never changes.
  update: () => undefined,
});
