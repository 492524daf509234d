/**
 * The server itself: whether it is ready, and the ways in for programs.
 * @module
 */
import { fill, h } from "../dom.ts";
import { errorBox, Fault, facts, heading, repeat, type ViewContext } from "../view.ts";

const everyMs = 3000;

interface Readiness {
  readonly ready: boolean;
  readonly dependencies: Readonly<Record<string, { readonly ready: boolean; readonly detail?: string }>>;
}

const ways: readonly (readonly [path: string, name: string, text: string])[] = [
  ["swagger", "Swagger", "Every HTTP request, to read and to try."],
  ["graphql", "GraphiQL", "Queries and subscriptions of business events."],
  ["swagger/json", "OpenAPI", "The same as Swagger, for programs."],
];

/** Draws it. */
export const serverView = (context: ViewContext): void => {
  const { root, api } = context;
  const fault = new Fault();
  const state = h("div", { class: "card" });
  root.append(
    heading("Server"),
    fault.element,
    state,
    h("h2", {}, "Ways in"),
    h(
      "ul",
      { class: "ways" },
      ways.map(([path, name, text]) =>
        h(
          "li",
          { class: "card" },
          h("a", { href: api.url(path), target: "_blank", rel: "noreferrer" }, name),
          h("p", {}, text),
        ),
      ),
    ),
    metricsPart(context),
  );
  void repeat(everyMs, context, fault, async () => {
    const readiness = await askReadiness(context);
    fill(
      state,
      facts([
        ["Ready", readiness.ready ? "yes" : "no"],
        ...Object.entries(readiness.dependencies).map(
          ([name, { ready, detail }]) =>
            [name, ready ? "ready" : `not ready${detail === undefined ? "" : `: ${detail}`}`] as const,
        ),
        ["Store", context.mts().epoch],
      ]),
    );
  });
};

/** It answers 503 with the same shape when it is not. */
const askReadiness = async ({ api, signal }: ViewContext): Promise<Readiness> => {
  const response = await fetch(api.url("readyz"), { signal, credentials: "omit" });
  return (await response.json()) as Readiness;
};

/** The metrics as Prometheus gets them; a plain link could not show a token. */
const metricsPart = ({ api, signal }: ViewContext): HTMLElement => {
  const place = h("div");
  let text = "";
  const search = h("input", { id: "metric", type: "search", autocomplete: "off", spellcheck: "false" });
  const pre = h("pre", { class: "text", role: "region", "aria-label": "Metrics", tabindex: 0 });
  const show = (): void => {
    const wanted = search.value.trim().toLowerCase();
    pre.textContent = text
      .split("\n")
      .filter((line) => line.toLowerCase().includes(wanted))
      .join("\n");
  };
  search.addEventListener("input", show);
  const load = async (): Promise<void> => {
    try {
      text = await (await api.ask("metrics", {}, { signal })).text();
      show();
      fill(place, h("div", { class: "field" }, h("label", { for: "metric" }, "Lines with"), search), pre);
    } catch (error) {
      if (!signal.aborted) fill(place, errorBox(error));
    }
  };
  return h(
    "section",
    { "aria-labelledby": "metrics-title" },
    h("h2", { id: "metrics-title" }, "Metrics"),
    h("p", {}, "What Prometheus gets at ", h("code", {}, "/metrics"), "."),
    h("div", { class: "actions" }, h("button", { type: "button", on: { click: () => void load() } }, "Show metrics")),
    place,
  );
};
