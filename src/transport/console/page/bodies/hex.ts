/**
 * Bytes as they are: place, hexadecimal, and the characters that are ASCII.
 * @module
 */
import { h } from "../dom.ts";
import { formatBytes } from "../format.ts";
import { hexLines } from "./hex-lines.ts";

const partBytes = 4096;

/** The dump, part by part. */
export const hexView = (bytes: Uint8Array): HTMLElement => {
  const pre = h("pre", { class: "hex", role: "region", "aria-label": "Bytes in hexadecimal", tabindex: 0 });
  const box = h("div", {}, pre);
  if (bytes.length === 0) {
    pre.textContent = "(no bytes)";
    return box;
  }
  let shown = 0;
  const more = h("button", { type: "button", on: { click: () => show() } });
  const show = (): void => {
    const to = shown + partBytes;
    pre.append(`${shown === 0 ? "" : "\n"}${hexLines(bytes, shown, to)}`);
    shown = Math.min(to, bytes.length);
    more.textContent = `Show more (${formatBytes(bytes.length - shown)} left)`;
    if (shown === bytes.length) more.remove();
  };
  box.append(more);
  show();
  return box;
};
