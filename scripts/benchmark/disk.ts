/**
 * The disk without a server: how long it takes to make a small message durable, alone and beside 64 MiB. What it
 * cannot do, no server on it can.
 * @module
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { firstMatch, start } from "./children.ts";
import type { Peer } from "./scenario.ts";
import { type Spread, spreadOf } from "./statistics.ts";

const smallBytes = 1024;
const chunkBytes = 1024 * 1024;
const largeChunks = 64;
/** Made durable at a time: one sync at the end would hold back the small ones for longer. */
const syncedChunks = 4;

/** Times of so many small appends, each made durable, in milliseconds. @param pauseMs between two */
export const probeDisk = async (folder: string, count: number, pauseMs: number): Promise<number[]> => {
  const path = join(folder, "disk-probe");
  const file = openSync(path, "w");
  const bytes = Buffer.alloc(smallBytes, 1);
  const times: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const beganMs = performance.now();
      writeSync(file, bytes);
      fdatasyncSync(file);
      times.push(performance.now() - beganMs);
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
  } finally {
    closeSync(file);
    rmSync(path);
  }
  return times;
};

const pauseMs = 5;
const readyPattern = /writing/;

const longest = (times: readonly number[]): number => Math.max(...times);

/** Small appends beside another process that writes 64 MiB after 64 MiB, each made durable in a few pieces. */
export const diskPeer = (id: string): Peer => ({
  name: "bare disk",
  missing: () => undefined,
  async measure({ quick, folder }) {
    const count = quick ? 600 : 2000;
    const usual = await probeDisk(folder, count, pauseMs);
    const writer = start([process.execPath, import.meta.path, join(folder, "disk-large")], "inherit");
    await firstMatch(writer.stdout, readyPattern);
    const beside = await probeDisk(folder, count, pauseMs);
    writer.kill("SIGKILL");
    await writer.exited;
    rmSync(join(folder, "disk-large"), { force: true });
    return {
      [id]: {
        value: longest(beside) - longest(usual),
        details: { usual_max_ms: longest(usual), beside_max_ms: longest(beside) },
      },
    };
  },
});

/** The spread of all probes of a run. */
export const diskSpread = (times: readonly number[]): Spread | undefined => spreadOf(times);

const writeForEver = (path: string): void => {
  const file = openSync(path, "w");
  const chunk = Buffer.alloc(chunkBytes, 1);
  process.stdout.write("writing\n");
  while (true) {
    for (let i = 0; i < largeChunks; i++) {
      writeSync(file, chunk, 0, chunkBytes, i * chunkBytes);
      if ((i + 1) % syncedChunks === 0) fdatasyncSync(file);
    }
    ftruncateSync(file);
  }
};

if (import.meta.main) writeForEver(Bun.argv[2] ?? "");
