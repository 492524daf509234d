/**
 * The machine, so that figures of different days can be told apart from noise.
 * @module
 */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";

/** What does not change during a run, and the load that was there before it. */
export interface Machine {
  readonly cores: number;
  readonly model: string;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly bun: string;
  /** Type of the file system that everything is stored on; undefined when it cannot be told. */
  readonly fileSystem: string | undefined;
  /** Over 1, 5 and 15 minutes. */
  readonly loadBefore: readonly number[];
}

/** Looks at the machine. @param folder where everything is stored */
export const lookAtMachine = (folder: string): Machine => ({
  cores: availableParallelism(),
  model: cpus()[0]?.model.trim() ?? "unknown",
  memoryBytes: totalmem(),
  kernel: release(),
  bun: Bun.version,
  fileSystem: fileSystemOf(readOrNothing("/proc/mounts"), folder),
  loadBefore: loadavg(),
});

/** The type of the file system that a folder lies on, from the text of `/proc/mounts`. */
export const fileSystemOf = (mounts: string, folder: string): string | undefined => {
  let best: { readonly at: string; readonly type: string } | undefined;
  for (const line of mounts.split("\n")) {
    const [, at, type] = line.split(" ");
    if (at === undefined || type === undefined) continue;
    const inside = folder === at || folder.startsWith(at === "/" ? "/" : `${at}/`);
    if (inside && at.length >= (best?.at.length ?? 0)) best = { at, type };
  }
  return best?.type;
};

/** Ticks of processor time of the whole machine. */
export interface Ticks {
  readonly all: number;
  /** Wanted, but given to other machines of the same host. */
  readonly stolen: number;
}

/** Undefined where there is no `/proc`. */
export const ticksNow = (): Ticks | undefined => parseStat(readOrNothing("/proc/stat"));

/** Reads the text of `/proc/stat`. */
export const parseStat = (stat: string): Ticks | undefined => {
  const line = /^cpu +(.+)$/m.exec(stat)?.[1];
  if (line === undefined) return undefined;
  // user nice system idle iowait irq softirq steal; what follows is counted in them already (proc(5)).
  const ticks = line.split(" ").slice(0, 8).map(Number);
  return { all: ticks.reduce((sum, value) => sum + value, 0), stolen: ticks[7] ?? 0 };
};

const readOrNothing = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
};
