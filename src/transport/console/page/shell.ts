/**
 * What stands around every view: the header with the navigation, the state of the connection, the choice of colours,
 * and the line that says what happened.
 * @module
 */
import { fill, h, s, setText } from "./dom.ts";
import { routeTo } from "./route.ts";
import { applyTheme, storedTheme, storeTheme, type Theme } from "./theme-choice.ts";

const places: readonly (readonly [path: string, name: string])[] = [
  ["subjects", "Subjects"],
  ["live", "Live"],
  ["publish", "Publish"],
  ["events", "Events"],
  ["actors", "Actors"],
  ["server", "Server"],
];

/** The frame of the page. */
export interface Shell {
  /** Where views are drawn. */
  readonly main: HTMLElement;
  /** Marks where somebody is. */
  at(path: string | undefined): void;
  status(state: "connecting" | "connected" | "away", text: string): void;
  readonly announce: (text: string) => void;
  /** Shows the way to forget the token; undefined takes it away. */
  leave(forget: (() => void) | undefined): void;
}

/** Draws it into the page. */
export const createShell = (): Shell => {
  const links = new Map(places.map(([path, name]) => [path, h("a", { href: routeTo([path]) }, name)]));
  const main = h("main", { id: "main", tabindex: -1 });
  const state = h("span", { class: "connection", "data-state": "connecting" }, "Connecting");
  const said = h("div", { class: "said", role: "status", "aria-live": "polite" });
  const account = h("span");
  document.body.append(
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        on: {
          click: (event) => {
            // The address stays where it is.
            event.preventDefault();
            main.focus();
          },
        },
      },
      "Skip to content",
    ),
    h(
      "header",
      { class: "bar" },
      h("a", { class: "brand", href: routeTo(["subjects"]) }, brandMark(), h("span", {}, "MiniToolStream")),
      h(
        "nav",
        { "aria-label": "Console" },
        h(
          "ul",
          {},
          [...links.values()].map((link) => h("li", {}, link)),
        ),
      ),
      h("div", { class: "bar-end" }, state, account, themeButton()),
    ),
    main,
    said,
  );
  let quiet: ReturnType<typeof setTimeout> | undefined;
  return {
    main,
    at: (path) => {
      for (const [name, link] of links) {
        if (name === path) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
    },
    status: (kind, text) => {
      state.dataset["state"] = kind;
      setText(state, text);
    },
    announce: (text) => {
      clearTimeout(quiet);
      fill(said, h("p", {}, text));
      quiet = setTimeout(() => fill(said), 8000);
    },
    leave: (forget) => {
      const button = h("button", { type: "button", class: "quiet", on: { click: () => forget?.() } }, "Forget token");
      fill(account, forget && button);
    },
  };
};

const brandMark = (): SVGElement =>
  s(
    "svg",
    { viewBox: "0 0 32 32", width: 28, height: 28, "aria-hidden": "true", class: "mark" },
    s("rect", { width: 32, height: 32, rx: 8 }),
    [11, 16.5, 22].map((y) => s("path", { d: `M7 ${y}c3-2.6 6-2.6 9 0s6 2.6 9 0` })),
  );

const themes: Readonly<Record<Theme, { readonly next: Theme; readonly name: string; readonly sign: string }>> = {
  auto: { next: "light", name: "as the system", sign: "◐" },
  light: { next: "dark", name: "light", sign: "☀" },
  dark: { next: "auto", name: "dark", sign: "☾" },
};

const themeButton = (): HTMLElement => {
  let theme = storedTheme();
  const sign = h("span", { "aria-hidden": "true" });
  const show = (): void => {
    const { name, sign: text } = themes[theme];
    setText(sign, text);
    button.setAttribute("aria-label", `Colours: ${name}`);
    button.title = `Colours: ${name}`;
    applyTheme(theme);
  };
  const choose = (): void => {
    theme = themes[theme].next;
    storeTheme(theme);
    show();
  };
  const button = h("button", { type: "button", class: "quiet icon-button", on: { click: choose } }, sign);
  show();
  return button;
};
