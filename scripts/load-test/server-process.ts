/**
 * Starts the server that is measured, when the user did not name one: on a temporary data folder that goes with it.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "../../src/testing/guardian.ts";
import type { Options } from "./options.ts";
import { TargetError } from "./target.ts";

/** A server that is there for the length of a run. */
export interface StartedServer {
  readonly url: string;
  /** Not there when it was not started here. */
  readonly pid?: number;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Longer than the server's own limit for a clean stop. */
const stopMsMax = 15_000;

/** The server that the options name; nothing is started for a URL. @throws TargetError when it does not start */
export const startTarget = async (target: Options["target"]): Promise<StartedServer> => {
  switch (target.kind) {
    case "url":
      return { url: target.url, stop: () => Promise.resolve() };
    case "control":
      return startProcess([join(import.meta.dir, "control.ts")], () => Promise.resolve());
    case "start": {
      const dataDir = await mkdtemp(join(target.dataDir ?? tmpdir(), "mts-load-test-"));
      const profile = target.profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${target.profileDir}`];
      const main = join(import.meta.dir, "..", "..", "src", "main.ts");
      return startProcess([...profile, main, "--http-port", "0", "--data-dir", dataDir], () =>
        rm(dataDir, { recursive: true, force: true }),
      );
    }
  }
};

const startProcess = async (args: readonly string[], cleanUp: () => Promise<void>): Promise<StartedServer> => {
  const child = Bun.spawn([process.execPath, ...args], {
    env: { MTS_GRPC_PORT: "0", MTS_LOG: "warn", ...process.env },
    stdio: ["ignore", "pipe", "inherit"],
    // In a session of its own: Ctrl-C ends the load test first, which then ends the server.
    detached: true,
  });
  // Nor does it outlive a load test that is killed outright.
  guard(child.pid);
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const tooLate = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
    await child.exited;
    clearTimeout(tooLate);
    release(child.pid);
    await cleanUp();
  };
  const url = await readyUrl(child.stdout);
  if (url === undefined) {
    await stop();
    throw new TargetError(`the server ended with ${child.exitCode ?? "a signal"} before it was ready`);
  }
  return { url, pid: child.pid, stop };
};

/** The first URL that the server prints; undefined when it ends without one. Goes on reading, so the pipe never fills. */
const readyUrl = (stdout: ReadableStream<Uint8Array>): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text: string | undefined = "";
      for await (const chunk of stdout) {
        if (text === undefined) continue;
        text += decoder.decode(chunk, { stream: true });
        const line = /^(https?:\/\/\S+?)\/?\n/m.exec(text)?.[1];
        if (line === undefined) continue;
        text = undefined;
        resolve(line);
      }
      resolve(undefined);
    };
    read().catch(reject);
  });
