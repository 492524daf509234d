/**
 * A line that says how far a command is, on standard error.
 * @module
 */

/** Back to the beginning, erase the line. */
const eraseLine = "\r\u001b[2K";
const redrawMs = 250;
const plainLineMs = 2000;

/** Shows it until it is stopped: redrawn on a terminal, else one line below the other, less often. */
export const showLine = (line: () => string): (() => void) => {
  const { stderr } = process;
  const isTerminal = stderr.isTTY;
  const timer = setInterval(
    () => {
      // A line that wraps cannot be erased.
      stderr.write(isTerminal ? `${eraseLine}${line().slice(0, stderr.columns - 1)}` : `${line()}\n`);
    },
    isTerminal ? redrawMs : plainLineMs,
  );
  return () => {
    clearInterval(timer);
    if (isTerminal) stderr.write(eraseLine);
  };
};
