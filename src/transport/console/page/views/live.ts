/**
 * Messages as they come: the latest of a filter, with a pause in which nothing moves.
 * @module
 */
import type { Message } from "../../../../client/index.ts";
import { textOf } from "../bodies/kind.ts";
import { fill, h, setText } from "../dom.ts";
import { formatBytes, formatClock, formatCount, formatRate, shorten } from "../format.ts";
import { routeTo } from "../route.ts";
import { Fault, field, heading, tableBox, type ViewContext } from "../view.ts";

/** Messages that are kept and shown. */
const keptMax = 200;
/** Messages on their way at once: few, as each brings its body. */
const credit = 64;
const drawMs = 200;
const previewBytes = 400;

/** What is kept of a message: its body is not. */
interface Line {
  readonly subject: string;
  readonly sequence: number;
  readonly timestamp: number;
  readonly size: number;
  readonly preview: string;
}

const lineOf = ({ subject, sequence, timestamp, data }: Message): Line => {
  const text = textOf(data.subarray(0, previewBytes), data.length <= previewBytes);
  return {
    subject,
    sequence,
    timestamp,
    size: data.length,
    preview: text === undefined ? "bytes" : shorten(text, 160),
  };
};

/** Draws the list and fills it from the moment somebody comes. */
export const liveView = (context: ViewContext): void => {
  const { root, route, mts, signal, announce } = context;
  const filter = route.query.get("filter") ?? ">";
  const input = h("input", { id: "filter", type: "search", value: filter, autocomplete: "off", spellcheck: "false" });
  const fault = new Fault();
  const submit = (event: Event): void => {
    event.preventDefault();
    location.hash = routeTo(["live"], { filter: input.value.trim() });
  };
  const body = h("tbody");
  const table = tableBox(
    "Live messages",
    ["Time", "Subject", { text: "Sequence", number: true }, { text: "Size", number: true }, "Content"],
    body,
  );
  const state = h("p", { class: "live-state", role: "status" }, "Connecting …");
  const figure = h("p", { class: "muted live-figure" });
  const list = new LiveList(body);
  const pauseButton = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  pauseButton.addEventListener("click", () => {
    list.paused = !list.paused;
    pauseButton.setAttribute("aria-pressed", String(list.paused));
    setText(state, list.paused ? "Paused" : "Listening");
    state.dataset["state"] = list.paused ? "paused" : "on";
    if (!list.paused) list.draw();
  });
  const clear = h("button", { type: "button" }, "Clear");
  clear.addEventListener("click", () => {
    list.clear();
    announce("The list is empty.");
  });
  root.append(
    heading("Live"),
    h(
      "form",
      { class: "search", role: "search", on: { submit } },
      field("Filter", input, "* is one token, > is the rest: everything is >"),
      h("button", { type: "submit" }, "Listen"),
    ),
    fault.element,
    h("div", { class: "live-bar" }, state, figure, h("div", { class: "actions" }, pauseButton, clear)),
    table,
  );

  const listen = async (): Promise<void> => {
    const damaged = (error: Error): void => fault.show(error);
    const subscription = mts().subscribe(filter, { from: "new", credit, signal, onDamaged: damaged });
    await subscription.ready;
    setText(state, "Listening");
    state.dataset["state"] = "on";
    for await (const message of subscription) list.add(lineOf(message));
  };
  listen().catch((error: unknown) => {
    if (signal.aborted) return;
    setText(state, "Ended");
    delete state.dataset["state"];
    fault.show(error);
  });

  let before = 0;
  const timer = setInterval(() => {
    if (!list.paused) list.draw();
    const come = list.count - before;
    before = list.count;
    const waiting = list.paused ? `, ${formatCount(list.waiting)} since the pause` : "";
    setText(figure, `${formatRate((come * 1000) / drawMs)} a second, ${formatCount(list.count)} in all${waiting}`);
  }, drawMs);
  signal.addEventListener("abort", () => clearInterval(timer));
};

/** The latest lines, the newest on top. */
class LiveList {
  paused = false;
  /** All that ever came. */
  count = 0;
  /** Not drawn yet; the latest of them. */
  #fresh: Line[] = [];
  #drawnCount = 0;
  readonly #body: HTMLElement;

  constructor(body: HTMLElement) {
    this.#body = body;
  }

  get waiting(): number {
    return this.count - this.#drawnCount;
  }

  add(line: Line): void {
    this.count++;
    this.#fresh.push(line);
    if (this.#fresh.length > 2 * keptMax) this.#fresh = this.#fresh.slice(-keptMax);
  }

  draw(): void {
    this.#drawnCount = this.count;
    const fresh = this.#fresh.slice(-keptMax);
    this.#fresh = [];
    if (fresh.length === 0) return;
    this.#body.prepend(...fresh.reverse().map(lineRow));
    while (this.#body.childElementCount > keptMax) this.#body.lastElementChild?.remove();
  }

  clear(): void {
    this.#fresh = [];
    this.#drawnCount = this.count;
    fill(this.#body);
  }
}

const lineRow = ({ subject, sequence, timestamp, size, preview }: Line): HTMLElement =>
  h(
    "tr",
    { class: "linked" },
    h("td", { class: "time" }, formatClock(timestamp)),
    h("td", {}, h("span", { class: "subject" }, subject)),
    h("td", { class: "number" }, h("a", { href: routeTo(["subjects", subject, sequence]) }, sequence)),
    h("td", { class: "number" }, formatBytes(size)),
    h("td", { class: "preview" }, preview),
  );
