/**
 * The line in which a benchmark tells how far it is, on standard error: written over and over on a terminal, nothing of
 * it elsewhere.
 * @module
 */

/** Between two drawings, in milliseconds. */
const drawMsMin = 100;
/** Back to the beginning, erase to the end. */
const eraseLine = "\r\u001b[K";

let drawnMs = 0;

/** Draws the line anew, if the last time is long enough ago. */
export const show = (text: string): void => {
  const { stderr } = process;
  if (!stderr.isTTY || performance.now() - drawnMs < drawMsMin) return;
  drawnMs = performance.now();
  // A line that wraps cannot be erased.
  stderr.write(`${eraseLine}${text.slice(0, stderr.columns - 1)}`);
};

/** Writes a line that stays, in its place. */
export const say = (line: string): void => {
  clear();
  process.stderr.write(`${line}\n`);
};

/** Makes room for other output. */
export const clear = (): void => {
  if (process.stderr.isTTY) process.stderr.write(eraseLine);
};
