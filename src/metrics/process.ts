/**
 * The process: memory, time, open files, and how late the event loop is.
 * @module
 */
import { readdirSync } from "node:fs";
import { Durations } from "../core/durations.ts";
import { type Exposition, inSeconds } from "./exposition.ts";

/** Between two looks at the event loop, in milliseconds. */
const lagEveryMs = 250;

/** Puts the process on the page. @returns ends the looks at the event loop */
export const showProcess = (page: Exposition, version: string): (() => void) => {
  const startedSeconds = Date.now() / 1000 - process.uptime();
  page.gauge("process_resident_memory_bytes", "Resident memory in bytes.", () => process.memoryUsage.rss());
  page.gauge("process_heap_bytes", "Bytes of objects on the heap.", () => process.memoryUsage().heapUsed);
  page.counter("process_cpu_seconds_total", "User and system time in seconds.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  page.gauge("process_start_time_seconds", "Start of the process, Unix seconds.", () => startedSeconds);
  page.gauge("process_open_fds", "Open file descriptors.", openFiles);
  const { durations, stop } = watchEventLoop();
  page.histogram("mts_event_loop_lag_seconds", "How late a timer came, four times a second.", () =>
    inSeconds(durations),
  );
  page.gauge("mts_build_info", "1, with the versions of the server and of Bun.", () => [
    [{ version, bun: Bun.version }, 1],
  ]);
  return stop;
};

/** Undefined where the system does not tell. */
const openFiles = (): number | undefined => {
  try {
    // One of them is the listing itself.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
};

const watchEventLoop = (): { readonly durations: Durations; readonly stop: () => void } => {
  const durations = new Durations(1);
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    durations.add(Math.max(0, nowMs - beforeMs - lagEveryMs));
    beforeMs = nowMs;
  }, lagEveryMs);
  timer.unref();
  return { durations, stop: () => clearInterval(timer) };
};
