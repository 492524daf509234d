/**
 * The application actors: how far each is, what it holds, and having one begin anew.
 * @module
 */
import { Problem } from "../api.ts";
import { jsonTree } from "../bodies/json-tree.ts";
import { fill, h, hidden, LiveRows, setText } from "../dom.ts";
import { formatCount, formatTime } from "../format.ts";
import { routeTo } from "../route.ts";
import { confirmed, errorText, Fault, facts, heading, repeat, tableBox, type ViewContext } from "../view.ts";

const everyMs = 2000;
/** Positions that are shown. */
const positionsMax = 200;

/** As `GET /v1/actors` shows it. */
interface ActorRow {
  readonly name: string;
  readonly filter: string | null;
  readonly status: string;
  readonly owner: string | null;
  readonly positions: readonly { readonly subject: string; readonly sequence: number }[];
  readonly lag: number;
  readonly state: unknown;
  readonly alarm_at: number | null;
  readonly restarts: number;
  readonly last_error: string | null;
  readonly generation: number;
  readonly rebuilding: boolean;
  readonly dead_letter: string;
}

/** All of them, or the one that the address names. */
export const actorsView = (context: ViewContext): void => {
  const [, name] = context.route.path;
  if (name === undefined) listView(context);
  else actorView(context, name);
};

const stateText = ({ status, rebuilding }: ActorRow): string =>
  `${status.replaceAll("_", " ")}${rebuilding ? ", rebuilding" : ""}`;

const listView = (context: ViewContext): void => {
  const { root, api } = context;
  const body = h("tbody");
  const rows = new LiveRows<ActorRow>(body, ({ name }) => name, actorRow(context));
  const fault = new Fault();
  const empty = h("div");
  const columns = [
    "Actor",
    "Reads",
    "State",
    { text: "Lag", number: true },
    { text: "Restarts", number: true },
    "Actions",
  ] as const;
  const table = tableBox("Actors", columns, body);
  root.append(
    heading("Actors"),
    h("p", { class: "lead" }, "Programs inside the server that are fed in order from their own durable position."),
    fault.element,
    table,
    empty,
  );
  table.hidden = true;
  void repeat(everyMs, context, fault, async () => {
    const { actors } = await api.json<{ readonly actors: readonly ActorRow[] }>("v1/actors", {}, context).catch(none);
    rows.show(actors);
    table.hidden = actors.length === 0;
    if (actors.length > 0) fill(empty);
    else if (empty.childElementCount === 0)
      fill(empty, h("div", { class: "empty" }, h("p", {}, "This server runs no actors.")));
  });
};

/** A server without actors has no such path. */
const none = (error: unknown): { readonly actors: readonly ActorRow[] } => {
  if (error instanceof Problem && error.status === 404) return { actors: [] };
  throw error;
};

const rebuildButton = ({ api, announce }: ViewContext, name: string, kind?: "quiet"): HTMLElement => {
  const rebuild = async (): Promise<void> => {
    const detail =
      "Its state and its table are dropped and made again from the first message. It publishes nothing twice.";
    if (!(await confirmed(`Rebuild the actor ${name}?`, detail, "Rebuild"))) return;
    try {
      await api.ask(`v1/actors/${encodeURIComponent(name)}/rebuild`, {}, { method: "POST" });
      announce(`The actor ${name} begins anew.`);
    } catch (error) {
      announce(errorText(error));
    }
  };
  return h(
    "button",
    { type: "button", class: kind, on: { click: () => void rebuild() } },
    "Rebuild",
    hidden(` ${name}`),
  );
};

const actorRow =
  (context: ViewContext) =>
  ({ name, filter }: ActorRow) => {
    const state = h("td");
    const lag = h("td", { class: "number lag" });
    const restarts = h("td", { class: "number" });
    const element = h(
      "tr",
      { "data-actor": name },
      h("th", { scope: "row" }, h("a", { href: routeTo(["actors", name]) }, name)),
      h("td", {}, h("code", {}, filter ?? "unknown here")),
      state,
      lag,
      restarts,
      h("td", {}, rebuildButton(context, name, "quiet")),
    );
    const update = (row: ActorRow): void => {
      setText(state, stateText(row));
      setText(lag, formatCount(row.lag));
      lag.classList.toggle("behind", row.lag > 0);
      setText(restarts, formatCount(row.restarts));
    };
    return { element, update };
  };

const actorView = (context: ViewContext, name: string): void => {
  const { root, api } = context;
  const place = h("div");
  const state = h("div");
  const positions = h("tbody");
  const rows = new LiveRows<ActorRow["positions"][number]>(positions, ({ subject }) => subject, positionRow);
  const fault = new Fault();
  root.append(
    h("p", { class: "crumbs" }, h("a", { href: routeTo(["actors"]) }, "Actors"), " / ", name),
    heading(name, rebuildButton(context, name)),
    fault.element,
    place,
    h("h2", {}, "State"),
    state,
    h("h2", {}, "Positions"),
    tableBox("Positions", ["Subject", { text: "Through", number: true }], positions),
  );
  let shown = "";
  void repeat(everyMs, context, fault, async () => {
    const actor = await api.json<ActorRow>(`v1/actors/${encodeURIComponent(name)}`, {}, context);
    fill(place, aboutActor(actor));
    rows.show(actor.positions.slice(0, positionsMax));
    const text = JSON.stringify(actor.state);
    // What somebody unfolded stays so.
    if (text !== shown) fill(state, jsonTree(actor.state ?? null));
    shown = text;
  });
};

const positionRow = ({ subject }: ActorRow["positions"][number]) => {
  const through = h("td", { class: "number" });
  const link = h("a", { class: "subject", href: routeTo(["subjects", subject]) }, subject);
  return {
    element: h("tr", {}, h("th", { scope: "row" }, link), through),
    update: ({ sequence }: ActorRow["positions"][number]) => setText(through, sequence),
  };
};

const aboutActor = (actor: ActorRow): HTMLElement =>
  h(
    "div",
    { class: "card" },
    facts([
      ["Reads", actor.filter ?? "unknown here"],
      ["State", stateText(actor)],
      ["Lag", formatCount(actor.lag)],
      ["Node", actor.owner ?? "none"],
      ["Restarts", formatCount(actor.restarts)],
      ["Last error", actor.last_error ?? undefined],
      ["Alarm", actor.alarm_at === null ? undefined : formatTime(actor.alarm_at)],
      ["Generation", actor.generation],
      ["Dead letters", h("a", { href: routeTo(["subjects", actor.dead_letter]) }, actor.dead_letter)],
    ]),
  );
