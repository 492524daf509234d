/**
 * How much memory a process has, from `/proc` (Linux).
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";

/** Resident memory, in bytes. */
export interface Resident {
  readonly total: number;
  /** Heaps and stacks, without files that are mapped. */
  readonly anonymous: number;
  /** The most it ever was, or since `resetPeak`. */
  readonly peak: number;
}

/** Reads the text of `/proc/PID/status`. @throws Error when a field is not there */
export const parseStatus = (status: string): Resident => {
  const field = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1];
    if (kib === undefined) throw new Error(`/proc/PID/status has no ${name}; memory can be measured on Linux only`);
    return Number(kib) * 1024;
  };
  return { total: field("VmRSS"), anonymous: field("RssAnon"), peak: field("VmHWM") };
};

/** Resident memory of a process now. */
export const residentOf = (pid: number): Resident => parseStatus(readFileSync(`/proc/${pid}/status`, "latin1"));

/** From now on `peak` is the most since now (proc(5), clear_refs: 5). */
export const resetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, "5");

/** When memory counts as settled, and how long to wait for it at most. */
export interface Settling {
  readonly stillMs: number;
  readonly limitMs: number;
}

/** What moves less than this does not move. */
const stillBytes = 1024 * 1024;
const pollMs = 250;

/** Waits until a process neither takes nor gives memory; `settled` is false when it went on until the limit. */
export const settle = async (pid: number, settling: Settling): Promise<Resident & { readonly settled: boolean }> => {
  const beganMs = performance.now();
  let low = Infinity;
  let high = -Infinity;
  let stillSinceMs = beganMs;
  while (true) {
    const resident = residentOf(pid);
    const nowMs = performance.now();
    low = Math.min(low, resident.total);
    high = Math.max(high, resident.total);
    if (high - low > stillBytes) {
      low = high = resident.total;
      stillSinceMs = nowMs;
    }
    if (nowMs - stillSinceMs >= settling.stillMs) return { ...resident, settled: true };
    if (nowMs - beganMs >= settling.limitMs) return { ...resident, settled: false };
    await Bun.sleep(pollMs);
  }
};
