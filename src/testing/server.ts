/**
 * The real server as a subprocess: a free port, a data folder of its own, ready when it says so on standard output.
 * What a test sees of it is what an operator sees: URLs, exit codes, signals, standard error.
 * @module
 */
import { afterAll, beforeAll } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "./guardian.ts";

/** How to start one. */
export interface TestServerOptions {
  /** Environment beside the test's own (from which every `MTS_*` is taken out). */
  readonly env?: Readonly<Record<string, string>>;
  /** Flags after `--http-port 0 --data-dir DIR`. */
  readonly flags?: readonly string[];
  /** A data folder that the caller owns; without it a fresh one is made and removed by `close`. */
  readonly dataDir?: string;
  /** The file that is run; the server's own entry when it is not given. */
  readonly entry?: string;
}

const defaultEntry = join(import.meta.dir, "..", "main.ts");
/** Kept of standard error, in characters: enough to see why a start failed. */
const stderrCharsMax = 64 * 1024;

const environment = (extra: Readonly<Record<string, string>>): Record<string, string> => {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("MTS_"),
  );
  return { ...Object.fromEntries(inherited), MTS_GRPC_PORT: "0", MTS_LOG: "warn", ...extra };
};

/** One run of the server process. */
interface Run {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly url: string;
  /** `HOST:PORT`, empty when it serves no gRPC. */
  readonly grpcTarget: string;
}

/** A server under test; may be stopped and started again on the same data folder. */
export class TestServer {
  readonly dataDir: string;
  readonly #options: TestServerOptions;
  readonly #ownsDataDir: boolean;
  #run: Run | undefined;
  #stderr = "";

  constructor(options: TestServerOptions, dataDir: string) {
    this.#options = options;
    this.dataDir = dataDir;
    this.#ownsDataDir = options.dataDir === undefined;
  }

  /** `http://127.0.0.1:PORT`; another port after every start. */
  get url(): string {
    return this.#running().url;
  }

  /** `ws://127.0.0.1:PORT/v1/ws`. */
  get wsUrl(): string {
    return `${this.url.replace(/^http/, "ws")}/v1/ws`;
  }

  /** `127.0.0.1:PORT` of gRPC; another port after every start. */
  get grpcTarget(): string {
    const { grpcTarget } = this.#running();
    if (grpcTarget === "") throw new Error("the server serves no gRPC");
    return grpcTarget;
  }

  get pid(): number {
    return this.#running().child.pid;
  }

  /** The last of what was written to standard error, over all starts. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Starts the process and resolves when it is ready; rejects, with standard error, when it ends before. */
  async start(): Promise<void> {
    const { entry = defaultEntry, flags = [], env = {} } = this.#options;
    const child = Bun.spawn([process.execPath, entry, "--http-port", "0", "--data-dir", this.dataDir, ...flags], {
      env: environment(env),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    guard(child.pid);
    const stderrRead = this.#collectStderr(child.stderr);
    const ended = child.exited.then(async (code) => {
      release(child.pid);
      await stderrRead;
      return code;
    });
    const urls = await Promise.race([
      readyUrls(child.stdout),
      ended.then((code) =>
        Promise.reject(new Error(`the server ended with ${code} before it was ready:\n${this.#stderr}`)),
      ),
    ]);
    ended.catch(() => undefined);
    this.#run = { child, ...urls };
  }

  /** Sends a signal and waits for the end of the process; answers its exit code (128 + n for signal n). */
  async kill(signal: NodeJS.Signals): Promise<number> {
    const { child } = this.#running();
    process.kill(child.pid, signal);
    const code = await child.exited;
    this.#run = undefined;
    return code;
  }

  /** Ends it as an operator would and insists on a clean end. */
  async stop(): Promise<void> {
    const code = await this.kill("SIGTERM");
    if (code !== 0) throw new Error(`the server ended with ${code} on SIGTERM:\n${this.#stderr}`);
  }

  /** The process ends by the signal and a new one starts on the same data. */
  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (signal === "SIGTERM") await this.stop();
    else await this.kill(signal);
    await this.start();
  }

  /** Stops it, when it runs, and removes the data folder that was made for it. */
  async close(): Promise<void> {
    try {
      if (this.#run !== undefined) await this.stop();
    } finally {
      if (this.#ownsDataDir) await rm(this.dataDir, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #running(): Run {
    if (this.#run === undefined) throw new Error("the server is not running");
    return this.#run;
  }

  async #collectStderr(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-stderrCharsMax);
    }
  }
}

/**
 * Resolves with the URLs once they are all there (the server writes them in one go) and goes on reading, so that the
 * pipe never fills. Waits for ever otherwise.
 */
const readyUrls = (stdout: ReadableStream<Uint8Array>): Promise<Omit<Run, "child">> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of stdout) {
        text += decoder.decode(chunk, { stream: true });
        const url = /^(https?:\/\/\S+?)\/?\n/m.exec(text)?.[1];
        const grpcTarget = /^grpcs?:\/\/(\S+)\n/m.exec(text)?.[1] ?? "";
        if (url !== undefined) resolve({ url, grpcTarget });
      }
    };
    read().catch(reject);
  });

/** Starts a server; `await using` ends it with the block. */
export const startTestServer = async (options: TestServerOptions = {}): Promise<TestServer> => {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "mts-test-")));
  const server = new TestServer(options, dataDir);
  try {
    await server.start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
};

/** One server for a whole test file (or `describe` block): started before its first test, closed after the last. */
export const useTestServer = (options: TestServerOptions = {}): (() => TestServer) => {
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await startTestServer(options);
  }, 30_000);
  afterAll(async () => {
    await server?.close();
  }, 30_000);
  return () => {
    if (server === undefined) throw new Error("the server is started before the first test, not earlier");
    return server;
  };
};

let subjectCount = 0;

/** A subject that no other test of the process uses. */
export const uniqueSubject = (name: string): string => `${name}.${(subjectCount++).toString(36)}`;
