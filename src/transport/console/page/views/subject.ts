/**
 * One subject: its figures, and below them its messages, one of them, or its consumers.
 * @module
 */
import { Problem, type SubjectDetails, subjectPath } from "../api.ts";
import { Sparkline } from "../chart.ts";
import { h, setText } from "../dom.ts";
import { formatAge, formatBytes, formatCount, formatRate } from "../format.ts";
import { Rate } from "../rates.ts";
import { routeTo } from "../route.ts";
import { Fault, heading, repeat, type ViewContext } from "../view.ts";
import { consumersPart } from "./consumers.ts";
import { messagePart } from "./message.ts";
import { messagesPart } from "./messages.ts";

const everyMs = 1000;

/** Tells whoever asks of every look at the subject. */
export type Moved = (listener: (details: SubjectDetails) => void) => void;

/** The subject of the address; behind it `consumers`, or a sequence. */
export const subjectView = async (context: ViewContext): Promise<void> => {
  const { root, route } = context;
  const [, subject = "", rest] = route.path;
  const part = rest === "consumers" ? "consumers" : rest === undefined ? "messages" : "message";
  const listeners: ((details: SubjectDetails) => void)[] = [];
  const tell = (details: SubjectDetails): void => {
    for (const listener of listeners) listener(details);
  };
  const tab = (name: string, href: string, current: boolean): HTMLElement =>
    h("li", {}, h("a", { href, "aria-current": current ? "page" : undefined }, name));
  root.append(
    h(
      "p",
      { class: "crumbs" },
      h("a", { href: routeTo(["subjects"]) }, "Subjects"),
      " / ",
      part === "messages" ? subject : h("a", { href: routeTo(["subjects", subject]) }, subject),
    ),
    heading(
      part === "message" ? `Message ${rest ?? ""}` : subject,
      h("a", { class: "button", href: routeTo(["live"], { filter: subject }) }, "Watch live"),
      h("a", { class: "button", href: routeTo(["publish"], { subject }) }, "Publish"),
    ),
    // Beside a message they would only push it down.
    ...(part === "message" ? [] : [figures(context, subject, tell)]),
    h(
      "nav",
      { class: "tabs", "aria-label": "Of this subject" },
      h(
        "ul",
        {},
        tab("Messages", routeTo(["subjects", subject]), part !== "consumers"),
        tab("Consumers", routeTo(["subjects", subject, "consumers"]), part === "consumers"),
      ),
    ),
  );
  if (part === "consumers") consumersPart(context, subject);
  else if (rest === undefined) await messagesPart(context, subject, (listener) => listeners.push(listener));
  else await messagePart(context, subject, Number(rest));
};

/** How it stands, again and again. */
const figures = (context: ViewContext, subject: string, onLook: (details: SubjectDetails) => void): HTMLElement => {
  const rate = new Rate();
  const spark = new Sparkline();
  const fault = new Fault();
  const cell = (name: string, beside?: Node) => {
    const value = h("dd", {}, "–");
    return { value, element: h("div", { class: "figure" }, h("dt", {}, name), value, beside) };
  };
  const perSecond = cell("Messages/s", spark.element);
  const messages = cell("Messages");
  const bytes = cell("Size");
  const sequences = cell("Sequences");
  const published = cell("Last published");
  const consumers = cell("Consumers");
  void repeat(everyMs, context, fault, async () => {
    let details: SubjectDetails;
    try {
      details = await context.api.json<SubjectDetails>(subjectPath(subject), {}, context);
    } catch (error) {
      // Nobody has published to it yet; that is no fault.
      if (!(error instanceof Problem) || error.code !== "subject_not_found") throw error;
      rate.look(0, performance.now());
      setText(messages.value, "0");
      return;
    }
    rate.look(details.last_sequence, performance.now());
    setText(perSecond.value, formatRate(rate.perSecond() ?? 0));
    spark.show(rate.history());
    setText(messages.value, formatCount(details.messages));
    setText(bytes.value, formatBytes(details.bytes));
    setText(sequences.value, details.messages === 0 ? "–" : `${details.first_sequence} – ${details.last_sequence}`);
    const { last_published_at: at } = details;
    const age = at === null ? "never" : formatAge(Date.now() - at);
    setText(published.value, at === null || age === "now" ? age : `${age} ago`);
    setText(consumers.value, formatCount(details.consumers));
    onLook(details);
  });
  return h(
    "div",
    {},
    h(
      "dl",
      { class: "figures" },
      [perSecond, messages, bytes, sequences, published, consumers].map(({ element }) => element),
    ),
    fault.element,
  );
};
