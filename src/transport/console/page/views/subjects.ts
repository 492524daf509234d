/**
 * The subjects: what there is, how much, and how fast it grows.
 * @module
 */
import type { SubjectRow } from "../api.ts";
import { Sparkline } from "../chart.ts";
import { fill, h, LiveRows, setText } from "../dom.ts";
import { formatBytes, formatCount, formatRate } from "../format.ts";
import { Rate } from "../rates.ts";
import { routeTo } from "../route.ts";
import { Fault, field, heading, repeat, tableBox, type ViewContext } from "../view.ts";

const pageSize = 50;
const everyMs = 1000;

interface Listing {
  readonly subjects: readonly SubjectRow[];
  readonly has_more: boolean;
}

/** A row with its rate. */
const subjectRow = ({ subject }: SubjectRow) => {
  const rate = new Rate();
  const spark = new Sparkline();
  const perSecond = h("td", { class: "number rate" });
  const messages = h("td", { class: "number" });
  const bytes = h("td", { class: "number" });
  const range = h("td", { class: "number muted" });
  const element = h(
    "tr",
    { "data-subject": subject },
    h("th", { scope: "row" }, h("a", { class: "subject", href: routeTo(["subjects", subject]) }, subject)),
    perSecond,
    h("td", { class: "spark-cell" }, spark.element),
    messages,
    bytes,
    range,
  );
  const update = (row: SubjectRow): void => {
    rate.look(row.last_sequence, performance.now());
    const now = rate.perSecond();
    setText(perSecond, now === undefined ? "–" : formatRate(now));
    perSecond.classList.toggle("busy", now !== undefined && now > 0);
    spark.show(rate.history());
    setText(messages, formatCount(row.messages));
    setText(bytes, formatBytes(row.bytes));
    setText(range, row.messages === 0 ? "empty" : `${row.first_sequence} – ${row.last_sequence}`);
  };
  return { element, update };
};

/** The listing, page by page. */
export const subjectsView = (context: ViewContext): void => {
  const { root, route, api } = context;
  const filter = route.query.get("filter") ?? "";
  // The pages before this one, so that there is a way back.
  const afters = route.query.getAll("after");
  const after = afters.at(-1);
  const input = h("input", {
    id: "filter",
    type: "search",
    value: filter,
    placeholder: "orders.>",
    autocomplete: "off",
    spellcheck: "false",
  });
  const search = h(
    "form",
    {
      class: "search",
      role: "search",
      on: {
        submit: (event) => {
          event.preventDefault();
          location.hash = routeTo(["subjects"], { filter: input.value.trim() });
        },
      },
    },
    field("Filter", input, "* is one token, > is the rest: orders.*.paid, sensors.>"),
    h("button", { type: "submit" }, "Search"),
  );
  const body = h("tbody");
  const rows = new LiveRows<SubjectRow>(body, ({ subject }) => subject, subjectRow);
  const empty = h("div");
  const pager = h("nav", { class: "pager", "aria-label": "Pages" });
  const fault = new Fault();
  const table = tableBox(
    "Subjects",
    [
      "Subject",
      { text: "Messages/s", number: true },
      "Last minute",
      { text: "Messages", number: true },
      { text: "Size", number: true },
      { text: "Sequences", number: true },
    ],
    body,
  );
  root.append(heading("Subjects"), search, fault.element, table, empty, pager);

  let shown = "";
  const showPager = (listing: Listing): void => {
    const next = listing.has_more ? listing.subjects.at(-1)?.subject : undefined;
    const state = `${afters.length} ${next ?? ""}`;
    // Links that are rebuilt lose the focus.
    if (state === shown) return;
    shown = state;
    fill(
      pager,
      afters.length > 0 && h("a", { class: "button", href: pageAddress(filter, afters.slice(0, -1)) }, "Previous"),
      next !== undefined && h("a", { class: "button", href: pageAddress(filter, [...afters, next]) }, "Next"),
    );
  };

  let isEmpty: boolean | undefined;
  void repeat(everyMs, context, fault, async () => {
    const query = { limit: pageSize, filter: filter === "" ? undefined : filter, after };
    const listing = await api.json<Listing>("v1/subjects", query, context);
    rows.show(listing.subjects);
    showPager(listing);
    const nothing = listing.subjects.length === 0;
    if (nothing === isEmpty) return;
    isEmpty = nothing;
    table.hidden = nothing;
    fill(empty, nothing && nothingHere(filter));
  });
};

const pageAddress = (filter: string, afters: readonly string[]): string => {
  const address = routeTo(["subjects"], { filter });
  const rest = new URLSearchParams(afters.map((subject) => ["after", subject])).toString();
  return rest === "" ? address : `${address}${address.includes("?") ? "&" : "?"}${rest}`;
};

const nothingHere = (filter: string): HTMLElement =>
  h(
    "div",
    { class: "empty" },
    h("p", {}, filter === "" ? "Nothing has been published yet." : "No subject matches this filter."),
    filter === ""
      ? h("a", { class: "button primary", href: routeTo(["publish"]) }, "Publish a message")
      : h("a", { class: "button", href: routeTo(["subjects"]) }, "Show all"),
  );
