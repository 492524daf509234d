/**
 * One message: where and when, its headers, its body, and where the bytes of it are stored.
 * @module
 */
import { type MessagePage, type MessageRow, subjectPath } from "../api.ts";
import { bodyView } from "../bodies/body.ts";
import { fill, h } from "../dom.ts";
import { formatBytes, formatCount, formatTime } from "../format.ts";
import { routeTo } from "../route.ts";
import { errorBox, errorText, facts, tableBox, type ViewContext } from "../view.ts";

/** The whole pointer; names as on the wire. */
type Pointer = Readonly<Record<string, unknown>>;

/** Draws the message below the subject's figures. */
export const messagePart = async (context: ViewContext, subject: string, sequence: number): Promise<void> => {
  const { root, api, signal } = context;
  const query = { from: sequence, limit: 1, headers_only: true };
  const page = await api.json<MessagePage>(subjectPath(subject, "messages"), query, { signal });
  const neighbour = (name: string, at: number): HTMLElement | undefined =>
    at < page.first_sequence || at > page.last_sequence
      ? undefined
      : h("a", { class: "button", href: routeTo(["subjects", subject, at]) }, name);
  const [message] = page.messages;
  root.append(
    h(
      "nav",
      { class: "pager", "aria-label": "Neighbours" },
      neighbour("Earlier", sequence - 1),
      neighbour("Later", sequence + 1),
    ),
  );
  if (message?.sequence !== sequence) {
    // It says whether it is gone, was never there, or cannot be read.
    await api.ask(subjectPath(subject, "messages", sequence), {}, { signal });
    return;
  }
  const place = h("div", {}, h("p", { class: "muted" }, "Loading …"));
  root.append(
    h(
      "div",
      { class: "split" },
      h("section", { "aria-labelledby": "body-title" }, h("h2", { id: "body-title" }, "Body"), place),
      h(
        "section",
        { class: "card", "aria-labelledby": "about-title" },
        h("h2", { id: "about-title" }, "About"),
        about(message),
        headersTable(message),
        actions(context, message),
      ),
    ),
  );
  try {
    fill(place, await bodyView(api, message, signal));
  } catch (error) {
    if (!signal.aborted) fill(place, errorBox(error));
  }
};

const about = ({ sequence, timestamp, size, sha256, expires_at: expiresAt }: MessageRow): HTMLElement =>
  facts([
    ["Sequence", sequence],
    ["Stored", formatTime(timestamp)],
    ["Size", size < 1024 ? formatBytes(size) : `${formatBytes(size)} (${formatCount(size)} bytes)`],
    ["Expires", expiresAt === undefined ? undefined : formatTime(expiresAt)],
    ["SHA-256", h("code", { class: "digest" }, sha256)],
  ]);

const headersTable = ({ headers }: MessageRow): HTMLElement => {
  const entries = Object.entries(headers);
  if (entries.length === 0) return h("p", { class: "muted" }, "It has no headers.");
  const rows = entries.map(([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "value" }, value)),
  );
  return tableBox("Headers", ["Header", "Value"], h("tbody", {}, rows));
};

const actions = ({ api, signal, announce }: ViewContext, message: MessageRow): HTMLElement => {
  const path = subjectPath(message.subject, "messages", message.sequence);
  const stored = h("div");
  const download = async (): Promise<void> => {
    try {
      const blob = await (await api.ask(path, { deliver: "decoded" }, { signal })).blob();
      // Whatever it says it is: it is saved, not shown.
      const url = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
      h("a", { href: url, download: fileName(message) }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      announce(`Saved as ${fileName(message)}.`);
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    }
  };
  const showPointer = async (): Promise<void> => {
    try {
      fill(stored, pointerFacts(await api.json<Pointer>(path, { deliver: "pointer" }, { signal })));
    } catch (error) {
      if (!signal.aborted) fill(stored, errorBox(error));
    }
  };
  return h(
    "div",
    {},
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", on: { click: () => void download() } }, "Download"),
      h("button", { type: "button", on: { click: () => void showPointer() } }, "Where it is stored"),
    ),
    h("div", { role: "status" }, stored),
  );
};

const fileName = ({ subject, sequence }: MessageRow): string => `${subject.replaceAll(/[^\w.-]/g, "_")}-${sequence}`;

const pointerFacts = (pointer: Pointer): HTMLElement =>
  facts(
    Object.entries(pointer).map(([name, value]) => [
      name.replaceAll("_", " "),
      h("code", { class: "digest" }, name === "expires_at" ? formatTime(Number(value)) : plain(value)),
    ]),
  );

const plain = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
