/**
 * The server that is measured, as a process on a data folder that outlives it, so that it can be started again.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Child, firstMatch, root, start } from "./children.ts";

/** Longer than the server's own limit for a clean stop. */
const stopMsMax = 15_000;
const answerMsMax = 10_000;

/** A running server. */
export class BenchServer {
  private constructor(
    private readonly child: Child<"inherit">,
    readonly url: string,
    readonly dataDir: string,
    /** From starting the process until it printed its URL, in milliseconds. */
    readonly startMs: number,
  ) {}

  /** Starts one on a new folder inside `folder`. @throws Error when it does not start */
  static async fresh(folder: string): Promise<BenchServer> {
    return BenchServer.on(await mkdtemp(join(folder, "server-")));
  }

  /** Starts one on a data folder. @throws Error when it does not start */
  static async on(dataDir: string): Promise<BenchServer> {
    const startedMs = performance.now();
    // As scripts/start does it.
    const bun = [process.execPath, "--no-env-file", `--config=${join(root, "bunfig.toml")}`];
    const main = join(root, "src", "main.ts");
    const child = start([...bun, main, "--http-port", "0", "--data-dir", dataDir], "inherit");
    const url = await firstMatch(child.stdout, /^(https?:\/\/\S+?)\/?\n/m);
    if (url !== undefined) return new BenchServer(child, url, dataDir, performance.now() - startedMs);
    throw new Error(`the server ended with ${await child.exited} before it was ready`);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Ends it as an operator would. */
  async stop(): Promise<void> {
    this.child.kill("SIGTERM");
    const tooLate = setTimeout(() => this.child.kill("SIGKILL"), stopMsMax);
    await this.child.exited;
    clearTimeout(tooLate);
  }

  /** Ends it as a crash would. */
  async crash(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Subject actors in memory, as the server counts them. */
  async liveActors(): Promise<number> {
    const response = await fetch(new URL("/metrics", this.url), { signal: AbortSignal.timeout(answerMsMax) });
    const line = /^mts_live_actors (\S+)$/m.exec(await response.text());
    if (line === null) throw new Error("/metrics does not tell mts_live_actors");
    return Number(line[1]);
  }
}

/** Runs with a server on a new folder inside `folder`, and removes its data in the end. */
export const withServer = async <T>(folder: string, use: (server: BenchServer) => Promise<T>): Promise<T> => {
  const server = await BenchServer.fresh(folder);
  try {
    return await use(server);
  } finally {
    await server.stop();
    await rm(server.dataDir, { recursive: true, force: true });
  }
};
