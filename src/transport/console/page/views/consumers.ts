/**
 * The consumers of a subject: how far each is, how far behind, and taking one away.
 * @module
 */
import { type ConsumerRow, subjectPath } from "../api.ts";
import { fill, h, hidden, LiveRows, setText } from "../dom.ts";
import { formatCount, formatTime } from "../format.ts";
import { confirmed, errorText, Fault, repeat, tableBox, type ViewContext } from "../view.ts";

const everyMs = 1000;

/** Draws the table below the subject's figures. */
export const consumersPart = (context: ViewContext, subject: string): void => {
  const { root, api } = context;
  const body = h("tbody");
  const rows = new LiveRows<ConsumerRow>(body, ({ name }) => name, consumerRow(context, subject));
  const empty = h("div");
  const fault = new Fault();
  const table = tableBox(
    "Consumers",
    [
      "Consumer",
      { text: "Lag", number: true },
      "Acknowledges",
      { text: "Acknowledged through", number: true },
      { text: "Waiting for ack", number: true },
      { text: "Redelivered", number: true },
      "Made",
      "Actions",
    ],
    body,
  );
  table.hidden = true;
  root.append(fault.element, table, empty);
  let isEmpty: boolean | undefined;
  void repeat(everyMs, context, fault, async () => {
    const path = subjectPath(subject, "consumers");
    const { consumers } = await api.json<{ readonly consumers: readonly ConsumerRow[] }>(path, {}, context);
    rows.show(consumers);
    const nothing = consumers.length === 0;
    if (nothing === isEmpty) return;
    isEmpty = nothing;
    table.hidden = nothing;
    fill(empty, nothing && h("div", { class: "empty" }, h("p", {}, "This subject has no consumers.")));
  });
};

const consumerRow =
  ({ api, announce }: ViewContext, subject: string) =>
  (first: ConsumerRow) => {
    const { name } = first;
    const lag = h("td", { class: "number lag" });
    const acked = h("td", { class: "number" });
    const waiting = h("td", { class: "number" });
    const redelivered = h("td", { class: "number" });
    const remove = async (): Promise<void> => {
      const detail = `Its position is lost, and whoever reads under this name ends. The messages of ${subject} stay.`;
      if (!(await confirmed(`Delete the consumer ${name}?`, detail, "Delete"))) return;
      try {
        await api.ask(subjectPath(subject, "consumers", name), {}, { method: "DELETE" });
        announce(`The consumer ${name} is deleted.`);
      } catch (error) {
        announce(errorText(error));
      }
    };
    const mode = first.ack === "all" ? "all before" : "one by one";
    const element = h(
      "tr",
      { "data-consumer": name },
      h("th", { scope: "row" }, h("span", { class: "subject" }, name)),
      lag,
      h(
        "td",
        {},
        mode,
        first.dead_letter !== undefined && h("div", { class: "muted" }, `dead letters: ${first.dead_letter}`),
      ),
      acked,
      waiting,
      redelivered,
      h("td", { class: "muted" }, formatTime(first.created_at).slice(0, 16)),
      h(
        "td",
        {},
        h(
          "button",
          { type: "button", class: "danger quiet", on: { click: () => void remove() } },
          "Delete",
          hidden(` ${name}`),
        ),
      ),
    );
    const update = (row: ConsumerRow): void => {
      setText(lag, formatCount(row.pending));
      lag.classList.toggle("behind", row.pending > 0);
      setText(acked, row.acked_through);
      setText(waiting, formatCount(row.ack_pending));
      setText(redelivered, formatCount(row.redelivered));
    };
    return { element, update };
  };
