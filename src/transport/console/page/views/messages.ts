/**
 * The messages of a subject, a page at a time: the newest, or from a sequence or a time on. Only small bodies come
 * along, for the preview.
 * @module
 */
import { type Api, type MessagePage, type MessageRow, subjectPath } from "../api.ts";
import { fill, h } from "../dom.ts";
import { formatBytes, formatCount, formatTime, shorten } from "../format.ts";
import { routeTo } from "../route.ts";
import { field, tableBox, type ViewContext } from "../view.ts";
import type { Moved } from "./subject.ts";

const pageSize = 25;
/** Bodies up to this size, in bytes, are loaded for the preview. */
const previewBytesMax = 4096;
const previewCharacters = 160;

/** A page, and where the others are. */
interface Shown {
  readonly messages: readonly MessageRow[];
  readonly earlier: string | undefined;
  readonly later: string | undefined;
  readonly lastSequence: number;
}

/** Draws the page of the address below the subject's figures. */
export const messagesPart = async (context: ViewContext, subject: string, moved: Moved): Promise<void> => {
  const { root, route, api, signal } = context;
  const from = route.query.get("from") ?? "";
  const before = Number(route.query.get("before") ?? 0);
  const news = h("div");
  const place = h("div");
  root.append(startForm(subject, from), news, place);
  const shown = from === "" ? await newest(api, subject, before, signal) : await onwards(api, subject, from, signal);
  if (shown.messages.length === 0) {
    fill(place, h("div", { class: "empty" }, h("p", {}, "There are no messages here.")));
  } else {
    const previews = await previewsOf(api, shown.messages, signal);
    const order = from === "" ? shown.messages.toReversed() : shown.messages;
    const columns = [
      { text: "Sequence", number: true },
      "Time",
      "Type",
      { text: "Size", number: true },
      "Content",
      { text: "Headers", number: true },
    ] as const;
    const rows = order.map((message) => messageRow(message, previews.get(message.sequence)));
    fill(place, tableBox("Messages", columns, h("tbody", {}, rows)));
  }
  place.append(pager(subject, shown, from !== "" || before > 0));
  if (from !== "" || before > 0) return;
  // Rows that move under the hand help nobody: what is new is offered.
  const again = h("a", { class: "button news", href: routeTo(["subjects", subject]) });
  again.addEventListener("click", (event) => {
    event.preventDefault();
    dispatchEvent(new HashChangeEvent("hashchange"));
  });
  moved(({ last_sequence }) => {
    const count = last_sequence - shown.lastSequence;
    if (count <= 0) return;
    again.textContent = `Show ${formatCount(count)} newer message${count === 1 ? "" : "s"}`;
    if (!again.isConnected) news.append(again);
  });
};

const startForm = (subject: string, from: string): HTMLElement => {
  const isTime = /\D/.test(from) && from !== "first";
  const how = h(
    "select",
    { id: "from" },
    [
      ["newest", "Newest"],
      ["first", "Oldest"],
      ["sequence", "From sequence"],
      ["time", "From time"],
    ].map(([value, text]) => h("option", { value: value ?? "" }, text)),
  );
  how.value = from === "" ? "newest" : from === "first" ? "first" : isTime ? "time" : "sequence";
  const sequence = h("input", {
    id: "sequence",
    type: "number",
    min: 1,
    step: 1,
    value: isTime ? "" : from,
    required: true,
  });
  const time = h("input", { id: "time", type: "datetime-local", step: 1, required: true });
  if (isTime) time.value = localTime(from);
  const fields = { sequence: field("Sequence", sequence), time: field("Time", time) };
  const show = (): void => {
    fields.sequence.hidden = sequence.disabled = how.value !== "sequence";
    fields.time.hidden = time.disabled = how.value !== "time";
  };
  how.addEventListener("change", show);
  show();
  const start = (): string | undefined => {
    if (how.value === "first") return "first";
    if (how.value === "sequence") return sequence.value;
    return how.value === "time" ? new Date(time.value).toISOString() : undefined;
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    const hash = routeTo(["subjects", subject], { from: start() });
    if (hash === location.hash) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = hash;
  };
  return h(
    "form",
    { class: "search", on: { submit } },
    field("Show", how),
    fields.sequence,
    fields.time,
    h("button", { type: "submit" }, "Go"),
  );
};

/** A time as the field wants it: local, without a zone. */
const localTime = (time: string): string => {
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? "" : formatTime(ms).slice(0, 19).replace(" ", "T");
};

const envelopes = (api: Api, subject: string, from: string | number, limit: number, signal: AbortSignal) =>
  api.json<MessagePage>(subjectPath(subject, "messages"), { from, limit, headers_only: true }, { signal });

const newest = async (api: Api, subject: string, before: number, signal: AbortSignal): Promise<Shown> => {
  const { first_sequence: first, last_sequence: last } = await envelopes(api, subject, "last", 1, signal);
  const end = before > 0 ? Math.min(before, last + 1) : last + 1;
  const from = Math.max(first, end - pageSize);
  const page = from < end ? await envelopes(api, subject, from, Math.min(pageSize, end - from), signal) : undefined;
  const messages = page?.messages.filter(({ sequence }) => sequence < end) ?? [];
  return {
    messages,
    earlier: from > first ? routeTo(["subjects", subject], { before: from }) : undefined,
    later: end > last ? undefined : routeTo(["subjects", subject], { before: end + pageSize }),
    lastSequence: last,
  };
};

const onwards = async (api: Api, subject: string, from: string, signal: AbortSignal): Promise<Shown> => {
  const page = await envelopes(api, subject, from, pageSize, signal);
  const start = page.messages[0]?.sequence ?? page.next_sequence;
  const before = Math.max(page.first_sequence, start - pageSize);
  return {
    messages: page.messages,
    earlier: start > page.first_sequence ? routeTo(["subjects", subject], { from: before }) : undefined,
    later:
      page.next_sequence <= page.last_sequence
        ? routeTo(["subjects", subject], { from: page.next_sequence })
        : undefined,
    lastSequence: page.last_sequence,
  };
};

/** Neighbouring messages with small bodies, to be read in one request each. Pure. */
export const smallRuns = (
  messages: readonly Pick<MessageRow, "sequence" | "size">[],
): readonly (readonly number[])[] => {
  const runs: number[][] = [];
  let open: number[] | undefined;
  for (const { sequence, size } of messages) {
    if (size > previewBytesMax) open = undefined;
    else if (open === undefined) runs.push((open = [sequence]));
    else open.push(sequence);
  }
  return runs;
};

/** The beginnings of the small ones, by sequence. What cannot be read has none. */
const previewsOf = async (
  api: Api,
  messages: readonly MessageRow[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> => {
  const previews = new Map<number, string>();
  const [subject] = messages.map((message) => message.subject);
  if (subject === undefined) return previews;
  const read = async (run: readonly number[]): Promise<void> => {
    const query = { from: run[0], limit: run.length };
    const page = await api.json<MessagePage>(subjectPath(subject, "messages"), query, { signal });
    for (const { sequence, data } of page.messages) {
      if (data !== undefined) previews.set(sequence, shorten(data, previewCharacters));
    }
  };
  await Promise.allSettled(smallRuns(messages).map(read));
  signal.throwIfAborted();
  return previews;
};

const messageRow = (message: MessageRow, preview: string | undefined): HTMLElement => {
  const { subject, sequence, timestamp, headers, size } = message;
  const type = headers["content-type"] ?? "";
  return h(
    "tr",
    { class: "linked" },
    h("th", { scope: "row", class: "number" }, h("a", { href: routeTo(["subjects", subject, sequence]) }, sequence)),
    h("td", { class: "time" }, formatTime(timestamp)),
    h("td", { class: "type" }, type === "" ? h("span", { class: "muted" }, "none") : shorten(type, 32)),
    h("td", { class: "number" }, formatBytes(size)),
    h("td", { class: "preview" }, preview ?? h("span", { class: "muted" }, size > previewBytesMax ? "large" : "bytes")),
    h("td", { class: "number" }, Object.keys(headers).length),
  );
};

const pager = (subject: string, { earlier, later }: Shown, elsewhere: boolean): HTMLElement =>
  h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    elsewhere && h("a", { class: "button", href: routeTo(["subjects", subject]) }, "Newest"),
    later !== undefined && h("a", { class: "button", href: later }, "Later"),
    earlier !== undefined && h("a", { class: "button", href: earlier }, "Earlier"),
  );
