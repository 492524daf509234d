/**
 * Keys as the browser's input wants them.
 * @module
 */
import type { Fields } from "./devtools.ts";

const codes: Readonly<Record<string, { readonly code: number; readonly text?: string }>> = {
  Tab: { code: 9 },
  Enter: { code: 13, text: "\r" },
  Escape: { code: 27 },
  " ": { code: 32, text: " " },
  End: { code: 35 },
  Home: { code: 36 },
  ArrowLeft: { code: 37 },
  ArrowUp: { code: 38 },
  ArrowRight: { code: 39 },
  ArrowDown: { code: 40 },
  Delete: { code: 46 },
};

const shiftFlag = 8;

/** The events of one press of `Tab`, `Shift+Tab`, `Enter` … @throws Error for a key that is not in the list */
export const keyEvents = (press: string): readonly Fields[] => {
  const shift = press.startsWith("Shift+");
  const key = shift ? press.slice("Shift+".length) : press;
  const known = codes[key];
  if (known === undefined) throw new Error(`the key ${key} is not known here`);
  const { code, text } = known;
  const event = {
    key,
    code: key === " " ? "Space" : key,
    windowsVirtualKeyCode: code,
    modifiers: shift ? shiftFlag : 0,
  };
  return [
    { ...event, type: text === undefined ? "rawKeyDown" : "keyDown", ...(text !== undefined && { text }) },
    { ...event, type: "keyUp" },
  ];
};
