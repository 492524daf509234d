/**
 * Processor time. On a busy machine it says more of what a message costs than the clock does.
 * @module
 */
import { readFileSync } from "node:fs";

/** Length of a clock tick in `/proc`, in microseconds; the same on every Linux. */
const tickUs = 10_000;

/** Microseconds of processor time that this process has used. */
export const ownCpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** The same of another process; undefined where there is no `/proc`, or no such process. */
export const cpuUsOf = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the command in parentheses, which may contain anything; user and system time are 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    return Number.isNaN(ticks) ? undefined : ticks * tickUs;
  } catch {
    return undefined;
  }
};

/** Reads a clock of processor time twice. */
export class CpuMeter {
  readonly #startUs: number | undefined;

  constructor(private readonly read: () => number | undefined) {
    this.#startUs = read();
  }

  /** Microseconds since it was made. */
  usedUs(): number | undefined {
    const end = this.read();
    return end === undefined || this.#startUs === undefined ? undefined : end - this.#startUs;
  }
}
