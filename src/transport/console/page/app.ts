/**
 * The console as a browser starts it: who looks, where they are, and the view of it.
 * @module
 */
import { connect, type Mts, type Status } from "../../../client/index.ts";
import { Api, Problem } from "./api.ts";
import { fill, h } from "./dom.ts";
import { askForToken, checkToken, storedToken, storeToken } from "./gate.ts";
import { parseRoute, routeTo } from "./route.ts";
import { createShell } from "./shell.ts";
import { errorBox, heading, pause, type View } from "./view.ts";
import { actorsView } from "./views/actors.ts";
import { eventsView } from "./views/events.ts";
import { liveView } from "./views/live.ts";
import { publishView } from "./views/publish.ts";
import { serverView } from "./views/server.ts";
import { subjectView } from "./views/subject.ts";
import { subjectsView } from "./views/subjects.ts";

const views: Readonly<Record<string, View>> = {
  subjects: (context) => (context.route.path.length > 1 ? subjectView(context) : subjectsView(context)),
  live: liveView,
  publish: publishView,
  events: eventsView,
  actors: actorsView,
  server: serverView,
};

const shell = createShell();
const api = new Api(new URL("./", document.baseURI));
let mts: Mts | undefined;
let place = new AbortController();
let letIn = false;

const onStatus = (status: Status): void => {
  if (status.state === "connected") shell.status("connected", "Connected");
  else if (status.state === "reconnecting") shell.status("connecting", "Reconnecting");
  else if (status.state === "disconnected") shell.status("connecting", "Disconnected");
  else if (status.state === "closed" && status.error !== undefined) {
    shell.status("away", "Refused");
    const { code, message } = status.error;
    if (code === "unauthenticated" || code === "token_expired") void enter(new Problem(401, code, message));
  }
};

const connection = (): Mts => (mts ??= connect(api.base, { token: api.token, onStatus }));

const disconnect = (): void => {
  void mts?.close({ timeoutMs: 0 });
  mts = undefined;
};

/** Shows the view of the address. */
const show = (): void => {
  if (!letIn) return;
  place.abort();
  place = new AbortController();
  const { signal } = place;
  const route = parseRoute(location.hash);
  const [name] = route.path;
  const view = name === undefined ? undefined : views[name];
  if (view === undefined) {
    location.replace(routeTo(["subjects"]));
    return;
  }
  shell.at(name);
  const root = h("div", { class: `view view-${name ?? ""}` });
  fill(shell.main, root);
  const drawn = async (): Promise<void> =>
    view({ root, route, signal, api, mts: connection, announce: shell.announce });
  drawn().catch((error: unknown) => {
    if (!signal.aborted) root.append(errorBox(error));
  });
  arrive();
};

let arrivals = 0;

/** Whoever comes from another view begins at its heading; the page's first view leaves the focus where it is. */
const arrive = (): void => {
  const title = shell.main.querySelector("h1");
  document.title = title === null ? "MiniToolStream" : `${title.textContent} · MiniToolStream`;
  if (arrivals++ > 0 && shell.main.querySelector("[autofocus]") === null) title?.focus({ preventScroll: true });
  scrollTo(0, 0);
};

let entering: Promise<void> | undefined;

/** Finds out whether a token is needed, asks for it, and goes on. @param refused why the one before is no good */
const enter = (refused?: Problem): Promise<void> => {
  entering ??= entry(refused).finally(() => {
    entering = undefined;
  });
  return entering;
};

const entry = async (refused: Problem | undefined): Promise<void> => {
  letIn = false;
  api.onUnauthenticated = undefined;
  place.abort();
  disconnect();
  for (let why = refused; ; why = undefined) {
    if (why !== undefined) {
      await gate(why);
      break;
    }
    const token = storedToken();
    try {
      await checkToken(api, token);
      break;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) {
        // Nobody was refused who showed nothing.
        await gate(token === undefined ? undefined : error);
        break;
      }
      await noAnswer(error);
    }
  }
  letIn = true;
  api.onUnauthenticated = (problem) => void enter(problem);
  shell.leave(api.token === undefined ? undefined : forget);
  connection();
  show();
};

const gate = async (why: Problem | undefined): Promise<void> => {
  storeToken(undefined);
  shell.at(undefined);
  shell.leave(undefined);
  shell.status("away", "Not signed in");
  const asked = askForToken(shell.main, api, why);
  document.title = "Sign in · MiniToolStream";
  await asked;
};

const noAnswer = async (error: unknown): Promise<void> => {
  shell.status("away", "No answer");
  fill(shell.main, h("div", { class: "view" }, heading("The server does not answer"), errorBox(error)));
  await pause(2000, new AbortController().signal);
};

const forget = (): void => {
  storeToken(undefined);
  location.reload();
};

addEventListener("hashchange", show);
void enter();
