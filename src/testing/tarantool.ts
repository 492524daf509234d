/**
 * A real Tarantool with `lua/init.lua` as a subprocess: a free port, a folder of its own, ready when it says so on
 * standard output. It never outlives the tests.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard, release } from "./guardian.ts";

/** How to start one. */
export interface TarantoolOptions {
  /** A folder that the caller owns; without it a fresh one is made and removed by `stop`. */
  readonly dir?: string;
  /** A port to listen on; any free one when absent, and the same after a restart. */
  readonly port?: number;
  /** A command that replaces itself by the rest of its arguments, such as `nsenter`. */
  readonly prefix?: readonly string[];
  /** Environment beside the test's own (from which every `MTS_*` is taken out). */
  readonly env?: Readonly<Record<string, string>>;
}

const entry = join(import.meta.dir, "..", "..", "lua", "init.lua");
const installer = join(import.meta.dir, "..", "..", "scripts", "lib", "tarantool.sh");
/** Kept of the log, in characters. */
const logCharsMax = 256 * 1024;
export const tarantoolUser = "minitoolstream";
export const tarantoolPassword = "secret of the tests";

const environment = (extra: Readonly<Record<string, string>>): Record<string, string> => {
  const inherited = Object.entries(process.env).filter(
    (each): each is [string, string] => each[1] !== undefined && !each[0].startsWith("MTS_"),
  );
  return { ...Object.fromEntries(inherited), MTS_TARANTOOL_PASSWORD: tarantoolPassword, ...extra };
};

/** A Tarantool under test; may be killed and started again on the same data and port. */
export class TestTarantool {
  readonly dir: string;
  readonly #options: TarantoolOptions;
  #port: number;
  #child: Bun.Subprocess<"ignore", "pipe", "pipe"> | undefined;
  #log = "";

  constructor(options: TarantoolOptions, dir: string) {
    this.#options = options;
    this.dir = dir;
    this.#port = options.port ?? 0;
  }

  get port(): number {
    return this.#port;
  }

  /** As the server's configuration takes it. */
  get url(): string {
    return `tarantool://${tarantoolUser}:${encodeURIComponent(tarantoolPassword)}@127.0.0.1:${this.#port}`;
  }

  /** What a driver is opened with. */
  get address(): { readonly host: string; readonly port: number; readonly user: string; readonly password: string } {
    return { host: "127.0.0.1", port: this.#port, user: tarantoolUser, password: tarantoolPassword };
  }

  /** The last of what was logged, over all starts. */
  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#running().pid;
  }

  /** Starts the process and resolves when it serves; rejects, with its log, when it ends before. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const child = Bun.spawn([...(this.#options.prefix ?? []), "tarantool", entry], {
      cwd: this.dir,
      env: environment({
        MTS_TARANTOOL_LISTEN: `127.0.0.1:${this.#port}`,
        MTS_TARANTOOL_DIR: this.dir,
        MTS_TARANTOOL_MEMORY: "64MiB",
        ...this.#options.env,
        ...env,
      }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    guard(child.pid);
    this.#child = child;
    const logged = this.#collectLog(child.stderr);
    const ended = child.exited.then(async (code) => {
      release(child.pid);
      await logged;
      return code;
    });
    try {
      this.#port = await Promise.race([
        listeningPort(child.stdout),
        ended.then((code) =>
          Promise.reject(new Error(`tarantool ended with ${code} before it was ready:\n${this.#log}`)),
        ),
      ]);
    } catch (error) {
      this.#child = undefined;
      throw error;
    }
    ended.catch(() => undefined);
  }

  /** Sends a signal; unless it only stops or continues the process, waits for the end. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#running();
    child.kill(signal);
    if (signal === "SIGSTOP" || signal === "SIGCONT") return;
    await child.exited;
    this.#child = undefined;
  }

  /** Ends it, when it runs, and starts it again on the same data and port. */
  async restart(signal: NodeJS.Signals = "SIGTERM", env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#child !== undefined) await this.kill(signal);
    await this.start(env);
  }

  /** Ends it, when it runs, and removes the folder that was made for it. */
  async stop(): Promise<void> {
    try {
      // SIGKILL also ends a stopped process.
      if (this.#child !== undefined) await this.kill("SIGKILL");
    } finally {
      if (this.#options.dir === undefined) await rm(this.dir, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #running(): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    if (this.#child === undefined) throw new Error("tarantool is not running");
    return this.#child;
  }

  async #collectLog(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#log = (this.#log + decoder.decode(chunk, { stream: true })).slice(-logCharsMax);
    }
  }
}

/** Resolves with the port it says it listens on and goes on reading, so that the pipe never fills. */
const listeningPort = (stdout: ReadableStream<Uint8Array>): Promise<number> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of stdout) {
        text = (text + decoder.decode(chunk, { stream: true })).slice(-1000);
        const port = /^listening on \S*?:(\d+)$/m.exec(text)?.[1];
        if (port !== undefined) resolve(Number(port));
      }
    };
    read().catch(reject);
  });

/** Makes sure that a tool of the tests is there, installing it when that is possible. */
export const ensureTool = async (tool: "tarantool" | "luacheck"): Promise<void> => {
  const child = Bun.spawn(["bash", "-c", `. "$1" && ensure_${tool}`, "bash", installer], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const stderr = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(stderr.trim());
};

/**
 * Runs a script on the data of a Tarantool that has ended, as an administrator would; the modules of `lua/mts` can be
 * required. Rejects with what it wrote when it fails.
 */
export const inDatabase = async (dir: string, script: string): Promise<string> => {
  const lua = `package.path = ${JSON.stringify(`${join(entry, "..")}/?.lua;`)} .. package.path
    box.cfg({ work_dir = ${JSON.stringify(dir)}, log_level = 2, memtx_max_tuple_size = 8 * 2^20 })
    ${script}
    os.exit(0)`;
  const child = Bun.spawn(["tarantool", "-e", lua], { cwd: dir, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  guard(child.pid);
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  release(child.pid);
  if (code !== 0) throw new Error(`the script ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
};

/** Starts one; `await using` ends it with the block. */
export const startTarantool = async (options: TarantoolOptions = {}): Promise<TestTarantool> => {
  await ensureTool("tarantool");
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "mts-tarantool-")));
  const tarantool = new TestTarantool(options, dir);
  try {
    await tarantool.start();
  } catch (error) {
    await tarantool.stop();
    throw error;
  }
  return tarantool;
};
