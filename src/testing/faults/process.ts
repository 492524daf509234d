/**
 * A server process that may die at any moment: unlike `startTestServer`, whose server lives until it is stopped, this
 * one can be watched dying, refused at its start, and run behind another command.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "../guardian.ts";
import { type Fault, faultEnvironment } from "./plan.ts";

/** How to start one. */
export interface ServerProcessOptions {
  readonly dataDir: string;
  /** Faults that are armed. */
  readonly faults?: readonly Fault[];
  /** Flags beside the port and the data folder. */
  readonly flags?: readonly string[];
  /** A command that replaces itself by the rest of its arguments, such as `nsenter`. */
  readonly prefix?: readonly string[];
}

/** How it ended: by itself with a code, or by a signal. */
export interface Exit {
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
}

/** The server ended before it was ready. */
export class StartRefusedError extends Error {
  override readonly name = "StartRefusedError";
  readonly exit: Exit;
  readonly stderr: string;

  constructor(exit: Exit, stderr: string) {
    super(`the server ended with ${exit.signal ?? exit.code} before it was ready:\n${stderr}`);
    this.exit = exit;
    this.stderr = stderr;
  }
}

const productEntry = join(import.meta.dir, "..", "..", "main.ts");
const faultyEntry = join(import.meta.dir, "entry.ts");
/** Kept of standard error, in characters. */
const stderrCharsMax = 64 * 1024;

const environment = (extra: Readonly<Record<string, string>>): Record<string, string> => {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("MTS_"),
  );
  return { ...Object.fromEntries(inherited), MTS_GRPC_PORT: "0", MTS_LOG: "warn", ...extra };
};

/** The last of what was written, and who waits for something to be. */
class Transcript {
  text = "";
  #waiting: { readonly text: string; readonly resolve: (found: undefined) => void }[] = [];

  add(text: string): void {
    this.text = (this.text + text).slice(-stderrCharsMax);
    this.#waiting = this.#waiting.filter((waiting) => {
      if (!this.text.includes(waiting.text)) return true;
      waiting.resolve(undefined);
      return false;
    });
  }

  async has(text: string): Promise<void> {
    if (this.text.includes(text)) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#waiting.push({ text, resolve });
    await promise;
  }
}

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

/** A process that was started, and that said where it listens. */
export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  /** Resolves when it has ended, however. */
  readonly exited: Promise<Exit>;
  readonly #stderr: Transcript;
  #running = true;

  private constructor(url: string, child: Child, exited: Promise<Exit>, stderr: Transcript) {
    this.url = url;
    this.pid = child.pid;
    this.#stderr = stderr;
    this.exited = exited.then((exit) => {
      this.#running = false;
      return exit;
    });
  }

  /** Starts one and waits until it is ready. @throws StartRefusedError */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const { dataDir, faults = [], flags = [], prefix = [] } = options;
    // Without faults it is the product as it is.
    const entry = faults.length === 0 ? productEntry : faultyEntry;
    const words = [entry, "--http-port", "0", "--data-dir", dataDir, ...flags];
    const child = Bun.spawn([...prefix, process.execPath, ...words], {
      env: environment(faultEnvironment(faults)),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    guard(child.pid);
    const stderr = new Transcript();
    const collected = collect(child.stderr, (text) => stderr.add(text));
    const exited = child.exited.then(async (code): Promise<Exit> => {
      release(child.pid);
      await collected;
      return { code, signal: signalOf(child) };
    });
    const refused = exited.then((exit) => Promise.reject(new StartRefusedError(exit, stderr.text)));
    const url = await Promise.race([readyUrl(child.stdout), refused]);
    refused.catch(() => undefined);
    return new ServerProcess(url, child, exited, stderr);
  }

  /** `ws://127.0.0.1:PORT/v1/ws`. */
  get wsUrl(): string {
    return `${this.url.replace(/^http/, "ws")}/v1/ws`;
  }

  /** The last of what it wrote to standard error. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /** Resolves when it has written this to standard error. */
  wrote(text: string): Promise<void> {
    return this.#stderr.has(text);
  }

  /** Sends a signal. */
  signal(signal: NodeJS.Signals): void {
    if (this.#running) process.kill(this.pid, signal);
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.signal(signal);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill("SIGKILL");
  }
}

const signalOf = ({ signalCode }: Child): NodeJS.Signals | null => {
  if (typeof signalCode === "number") throw new Error(`ended by the nameless signal ${signalCode}`);
  return signalCode;
};

const collect = async (stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> => {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
};

/** The first line with a URL; goes on reading, so that the pipe never fills. */
const readyUrl = (stdout: ReadableStream<Uint8Array>): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = "";
    collect(stdout, (more) => {
      text = (text + more).slice(-4096);
      const url = /^(http:\/\/\S+?)\/?\n/m.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    }).catch(reject);
  });
