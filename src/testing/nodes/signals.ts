/**
 * Stopping a process and letting it go on, with the certainty that it stands still.
 * @module
 */
import { readFile } from "node:fs/promises";

/** Between two looks at the state of a process, in milliseconds. */
const lookMs = 1;

/** SIGSTOP; resolves when the process stands still (a signal is only asked for, threads run on for a moment). */
export const pause = async (pid: number): Promise<void> => {
  process.kill(pid, "SIGSTOP");
  while ((await stateOf(pid)) !== "T") await Bun.sleep(lookMs);
};

/** SIGCONT. */
export const proceed = (pid: number): void => {
  process.kill(pid, "SIGCONT");
};

/** The letter behind the name in parentheses, see proc(5); `T` where there is no such file system. */
const stateOf = async (pid: number): Promise<string> => {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") T");
  return text.slice(text.lastIndexOf(")") + 2).charAt(0);
};
