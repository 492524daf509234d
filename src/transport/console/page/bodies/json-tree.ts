/**
 * JSON to fold and unfold. What is folded is not drawn before it is opened, and long lists come in parts.
 * @module
 */
import { type Child, h } from "../dom.ts";
import { formatCount } from "../format.ts";
import { Digits } from "./kind.ts";

/** Entries drawn at once. */
const partSize = 100;
/** What is open at first, as long as it is not larger than this. */
const openEntriesMax = 50;
const openDepthMax = 3;

type Entry = readonly [name: string | undefined, value: unknown];

/** The tree of a value. */
export const jsonTree = (value: unknown): HTMLElement =>
  h("div", { class: "json", role: "region", "aria-label": "JSON", tabindex: 0 }, node([undefined, value], 0));

const entriesOf = (value: unknown): readonly Entry[] | undefined => {
  if (Array.isArray(value)) return value.map((item: unknown) => [undefined, item]);
  if (typeof value !== "object" || value === null || value instanceof Digits) return undefined;
  return Object.entries(value);
};

const nameOf = (name: string | undefined): Child =>
  name === undefined ? undefined : [h("span", { class: "json-name" }, JSON.stringify(name)), ": "];

const node = ([name, value]: Entry, depth: number): HTMLElement => {
  const entries = entriesOf(value);
  if (entries === undefined) return h("div", { class: "json-leaf" }, nameOf(name), leaf(value));
  const isArray = Array.isArray(value);
  const [open, close] = isArray ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return h("div", { class: "json-leaf" }, nameOf(name), `${open}${close}`);
  const count = `${formatCount(entries.length)} ${isArray ? "item" : "field"}${entries.length === 1 ? "" : "s"}`;
  const inside = h("div", { class: "json-inside" });
  const details = h(
    "details",
    {},
    h(
      "summary",
      {},
      nameOf(name),
      open,
      h("span", { class: "json-count" }, count),
      h("span", { class: "json-folded" }, close),
    ),
    inside,
    h("div", { class: "json-close" }, close),
  );
  const draw = (): void => {
    if (inside.childElementCount === 0) addPart(inside, entries, 0, depth + 1);
  };
  details.addEventListener("toggle", draw);
  if (depth === 0 || (depth < openDepthMax && entries.length <= openEntriesMax)) {
    draw();
    details.open = true;
  }
  return details;
};

const addPart = (parent: HTMLElement, entries: readonly Entry[], from: number, depth: number): void => {
  parent.append(...entries.slice(from, from + partSize).map((entry) => node(entry, depth)));
  const left = entries.length - from - partSize;
  if (left <= 0) return;
  const more = h(
    "button",
    {
      type: "button",
      class: "quiet",
      on: {
        click: () => {
          more.remove();
          addPart(parent, entries, from + partSize, depth);
        },
      },
    },
    `${formatCount(Math.min(left, partSize))} more of ${formatCount(left)}`,
  );
  parent.append(more);
};

const leaf = (value: unknown): HTMLElement => {
  if (value instanceof Digits) return h("span", { class: "json-number" }, value.text);
  return h("span", { class: `json-${value === null ? "null" : typeof value}` }, JSON.stringify(value));
};
