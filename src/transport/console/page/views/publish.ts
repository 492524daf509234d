/**
 * The form that publishes one message.
 * @module
 */
import type { DelayedPublishOptions, Receipt, ScheduledReceipt } from "../../../../client/index.ts";
import { parseAge } from "../../../../core/duration.ts";
import { fill, h, hidden, uniqueId } from "../dom.ts";
import { formatBytes, formatTime } from "../format.ts";
import { routeTo } from "../route.ts";
import { errorBox, field, heading, type ViewContext } from "../view.ts";

const contentTypes = ["application/json", "text/plain; charset=utf-8", "application/octet-stream", "image/png"];

/** Draws the form; `subject` of the address fills its first field. */
export const publishView = (context: ViewContext): void => {
  const { root, route, mts, announce, signal } = context;
  const subject = textInput("subject", {
    value: route.query.get("subject") ?? "",
    required: true,
    placeholder: "orders.eu",
  });
  const body = h("textarea", { id: "body", rows: 10, class: "code", spellcheck: "false" });
  const file = h("input", { id: "file", type: "file" });
  const type = textInput("content-type", { list: "content-types", value: "application/json" });
  const headers = headerFields();
  const messageId = textInput("message-id", { maxlength: 128 });
  const ttl = textInput("ttl", { placeholder: "10m" });
  const delay = textInput("delay", { placeholder: "30s" });
  const button = h("button", { type: "submit", class: "primary" }, "Publish");
  const said = h("div", { "aria-live": "polite" });
  const fileNote = h("p", { class: "hint" });

  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    body.disabled = chosen !== undefined;
    fill(fileNote, chosen && `${chosen.name}, ${formatBytes(chosen.size)}, is sent in place of the text.`);
    if (chosen !== undefined && chosen.type !== "") type.value = chosen.type;
  });

  const publish = async (): Promise<void> => {
    button.disabled = true;
    try {
      const [chosen] = file.files ?? [];
      const bytes = chosen === undefined ? new TextEncoder().encode(body.value) : await chosen.arrayBuffer();
      const options: DelayedPublishOptions = {
        headers: { ...(type.value.trim() !== "" && { "content-type": type.value.trim() }), ...headers.read() },
        messageId: messageId.value === "" ? undefined : messageId.value,
        ttlMs: duration(ttl),
        delayMs: duration(delay),
        signal,
      };
      const receipt = await mts().publish(subject.value.trim(), bytes, options);
      fill(said, outcome(receipt));
      announce("Published.");
    } catch (error) {
      if (!signal.aborted) fill(said, errorBox(error));
    } finally {
      button.disabled = false;
    }
  };

  const form = h(
    "form",
    {
      class: "publish",
      on: {
        submit: (event) => {
          event.preventDefault();
          void publish();
        },
      },
    },
    field("Subject", subject, "Up to 16 names joined by dots."),
    h(
      "datalist",
      { id: "content-types" },
      contentTypes.map((value) => h("option", { value })),
    ),
    h(
      "div",
      { class: "columns" },
      h("div", { class: "wide" }, field("Body", body), field("Or a file", file), fileNote),
      h(
        "div",
        {},
        field("Content type", type),
        headers.element,
        h(
          "details",
          {},
          h("summary", {}, "Message id, time to live, delay"),
          field("Message id", messageId, "Publishing again under the same id stores nothing twice."),
          field("Time to live", ttl, "Gone after that long: 500ms, 30s, 10m, 2h, 1d."),
          field("Delay", delay, "Delivered that much later."),
        ),
      ),
    ),
    h("div", { class: "actions" }, button),
    said,
  );
  root.append(heading("Publish"), form);
};

const textInput = (id: string, attributes: Readonly<Record<string, string | number | boolean>>): HTMLInputElement =>
  h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...attributes });

/** @throws Error when it is none */
const duration = (input: HTMLInputElement): number | undefined => {
  const text = input.value.trim();
  if (text === "") return undefined;
  const ms = parseAge(text);
  if (ms !== undefined) return ms;
  input.focus();
  throw new Error(`“${text}” is no duration; write 500ms, 30s, 10m, 2h or 1d.`);
};

const outcome = (receipt: Receipt | ScheduledReceipt): HTMLElement => {
  const { subject } = receipt;
  if ("scheduledId" in receipt) {
    const again = receipt.duplicate ? "It was scheduled before" : "Scheduled";
    return h("div", { class: "notice good" }, `${again}: delivered to ${subject} at ${formatTime(receipt.deliverAt)}.`);
  }
  const { sequence, duplicate } = receipt;
  const link = h("a", { href: routeTo(["subjects", subject, sequence]) }, `message ${sequence} of ${subject}`);
  return h("div", { class: "notice good" }, duplicate ? "It was there already: " : "Stored as ", link, ".");
};

/** Rows of name and value, as many as somebody wants. */
const headerFields = () => {
  const list = h("ul", { class: "header-rows" });
  const add = (): HTMLInputElement => {
    const name = textInput(uniqueId("header-name"), { placeholder: "Name", "aria-label": "Header name" });
    const value = textInput(uniqueId("header-value"), { placeholder: "Value", "aria-label": "Header value" });
    const remove = h(
      "button",
      {
        type: "button",
        class: "quiet icon-button",
        on: {
          click: () => {
            row.remove();
            more.focus();
          },
        },
      },
      h("span", { "aria-hidden": "true" }, "×"),
      hidden("Remove this header"),
    );
    const row = h("li", {}, name, value, remove);
    list.append(row);
    return name;
  };
  const more = h("button", { type: "button", class: "quiet", on: { click: () => add().focus() } }, "Add a header");
  const read = (): Record<string, string> =>
    Object.fromEntries(
      [...list.children].flatMap((row) => {
        const [name, value] = [...row.querySelectorAll("input")].map((input) => input.value);
        return name === undefined || name.trim() === "" ? [] : [[name.trim(), value ?? ""]];
      }),
    );
  return { element: h("fieldset", {}, h("legend", {}, "Headers"), list, more), read };
};
