/**
 * What a view is, and what all of them need: looking again and again, and saying what went wrong.
 * @module
 */
import { MtsError } from "../../../client/errors.ts";
import type { Mts } from "../../../client/index.ts";
import { type Api, Problem } from "./api.ts";
import { fill, h } from "./dom.ts";
import type { Route } from "./route.ts";

/** What a view is drawn with. */
export interface ViewContext {
  /** Empty, and the view's own. */
  readonly root: HTMLElement;
  readonly route: Route;
  /** Ends when somebody goes elsewhere. */
  readonly signal: AbortSignal;
  readonly api: Api;
  /** The connection for publishing and live messages. */
  readonly mts: () => Mts;
  /** Says something to everybody, also to those who listen to the page. */
  readonly announce: (text: string) => void;
}

/** Draws itself into the root; the heading comes first. */
export type View = (context: ViewContext) => void | Promise<void>;

/** The heading of a view; it gets the focus when somebody comes to it. */
export const heading = (text: string, ...beside: readonly (Node | undefined)[]): HTMLElement =>
  h("div", { class: "heading" }, h("h1", { tabindex: -1 }, text), ...beside.filter((node) => node !== undefined));

/** What went wrong, for people. */
export const errorText = (error: unknown): string => {
  if (error instanceof Problem) {
    return [`${error.message} (${error.code})`, ...error.faults].join("\n");
  }
  if (error instanceof MtsError) return `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
};

/** A box that says what went wrong. */
export const errorBox = (error: unknown): HTMLElement =>
  h("div", { class: "notice error", role: "alert" }, errorText(error));

/** A place for what went wrong last: empty when all is well. */
export class Fault {
  readonly element = h("div");
  #text = "";

  show(error: unknown): void {
    const text = errorText(error);
    // Said once, not with every look.
    if (text === this.#text) return;
    this.#text = text;
    fill(this.element, errorBox(error));
  }

  clear(): void {
    if (this.#text === "") return;
    this.#text = "";
    fill(this.element);
  }
}

/** Resolves after `ms`, or when the signal ends. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });

const shown = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (!document.hidden) {
      resolve();
      return;
    }
    const look = (): void => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
  });

/** Looks again and again as long as the page is seen: the next time `ms` after the last answer. */
export const repeat = async (
  ms: number,
  { signal }: Pick<ViewContext, "signal">,
  fault: Fault,
  look: () => Promise<void>,
): Promise<void> => {
  for (;;) {
    const failed = await look().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (signal.aborted) return;
    if (failed === undefined) fault.clear();
    else fault.show(failed.error);
    await pause(ms, signal);
    await shown(signal);
  }
};

/** Asks before something that cannot be undone. */
export const confirmed = (question: string, detail: string, action: string): Promise<boolean> =>
  new Promise((resolve) => {
    const cancel = h("button", { type: "button", autofocus: true, on: { click: () => dialog.close() } }, "Cancel");
    const go = h("button", { type: "button", class: "danger", on: { click: () => dialog.close("yes") } }, action);
    const dialog = h(
      "dialog",
      {
        "aria-labelledby": "question",
        on: {
          close: () => {
            dialog.remove();
            resolve(dialog.returnValue === "yes");
          },
        },
      },
      h("h2", { id: "question" }, question),
      h("p", {}, detail),
      h("div", { class: "actions" }, cancel, go),
    );
    document.body.append(dialog);
    dialog.showModal();
  });

/** A table that scrolls by itself where the screen is narrow. */
export const tableBox = (
  caption: string,
  columns: readonly (string | { readonly text: string; readonly number: true })[],
  body: HTMLElement,
): HTMLElement =>
  h(
    "div",
    { class: "table-box", role: "region", "aria-label": caption, tabindex: 0 },
    h(
      "table",
      {},
      h("caption", { class: "visually-hidden" }, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((column) =>
            typeof column === "string"
              ? h("th", { scope: "col" }, column)
              : h("th", { scope: "col", class: "number" }, column.text),
          ),
        ),
      ),
      body,
    ),
  );

/** A label above its field. */
export const field = (label: string, input: HTMLElement, hint?: string): HTMLElement => {
  const id = input.id;
  if (hint !== undefined) input.setAttribute("aria-describedby", `${id}-hint`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint === undefined ? undefined : h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
};

/** Names and what they have. */
export const facts = (
  entries: readonly (readonly [name: string, value: Node | string | number | undefined])[],
): HTMLElement =>
  h(
    "dl",
    { class: "facts" },
    entries.flatMap(([name, value]) =>
      value === undefined ? [] : [h("div", {}, h("dt", {}, name), h("dd", {}, value))],
    ),
  );
