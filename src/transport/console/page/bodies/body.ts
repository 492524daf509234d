/**
 * The body of a message in the way that suits it, and the choice of another.
 * @module
 */
import type { Api, MessageRow } from "../api.ts";
import { fill, h, setText } from "../dom.ts";
import { formatBytes } from "../format.ts";
import { errorBox } from "../view.ts";
import { hexView } from "./hex.ts";
import { imageView } from "./image.ts";
import { jsonTree } from "./json-tree.ts";
import { imageType, jsonOf, type Kind, kindsOf, textOf } from "./kind.ts";
import { bytesMax, firstBytes, isCoded, type LoadedBody, loadBody } from "./load.ts";

const names: Readonly<Record<Kind, string>> = { json: "JSON", text: "Text", image: "Image", hex: "Hex" };

/** The body, loaded as far as it is reasonable. */
export const bodyView = async (api: Api, message: MessageRow, signal: AbortSignal): Promise<HTMLElement> => {
  const contentType = message.headers["content-type"] ?? "";
  const choice = h("div", { class: "choice", role: "group", "aria-label": "Show the body as" });
  const place = h("div", { class: "body" });
  const note = h("div");
  let loaded = await loadBody(api, message, firstBytes, signal);
  let chosen: Kind | undefined;

  const draw = (): void => {
    const kinds = kindsOf(loaded.bytes, contentType, loaded.whole);
    if (chosen === undefined || !kinds.includes(chosen)) chosen = kinds[0] ?? "hex";
    fill(choice, kinds.map(button));
    show();
    fill(note, !loaded.whole && partNote());
  };
  const show = (): void => {
    const kind = chosen ?? "hex";
    for (const each of choice.querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each.dataset["kind"] === kind));
    }
    fill(place, drawing(kind, loaded, contentType, signal));
  };
  const button = (kind: Kind): HTMLElement =>
    h(
      "button",
      {
        type: "button",
        "data-kind": kind,
        on: {
          click: () => {
            chosen = kind;
            show();
          },
        },
      },
      names[kind],
    );
  const partNote = (): HTMLElement => {
    const said = h("span", {}, `The first ${formatBytes(loaded.bytes.length)} of ${sizeText(message)}.`);
    if (!isCoded(message) && message.size > bytesMax)
      return h("p", { class: "notice" }, said, " Download it to see all.");
    const more = async (): Promise<void> => {
      all.disabled = true;
      setText(all, "Loading …");
      try {
        loaded = await loadBody(api, message, bytesMax, signal);
        chosen = undefined;
        draw();
      } catch (error) {
        if (!signal.aborted) fill(note, errorBox(error));
      }
    };
    const all = h("button", { type: "button", on: { click: () => void more() } }, "Load all");
    return h("p", { class: "notice" }, said, " ", all);
  };
  draw();
  return h("div", {}, choice, note, place);
};

const sizeText = (message: MessageRow): string => `${formatBytes(message.size)}${isCoded(message) ? " (coded)" : ""}`;

const drawing = (kind: Kind, { bytes, whole }: LoadedBody, contentType: string, signal: AbortSignal): HTMLElement => {
  const text = kind === "hex" || kind === "image" ? undefined : textOf(bytes, whole);
  const json = kind === "json" && text !== undefined ? jsonOf(text) : undefined;
  if (json !== undefined) return jsonTree(json.value);
  if (text !== undefined) return h("pre", { class: "text", role: "region", "aria-label": "Text", tabindex: 0 }, text);
  const type = kind === "image" ? imageType(bytes, contentType) : undefined;
  if (type === undefined) return hexView(bytes);
  if (whole) return imageView(bytes, type, signal);
  return h("p", { class: "notice" }, "An image is drawn when all of it is loaded.");
};
