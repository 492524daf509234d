/**
 * The command line as a subprocess, the way a shell sees it: words, standard streams, exit code.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "./guardian.ts";

const entry = join(import.meta.dir, "..", "cli", "main.ts");

/** How to run it. */
export interface CliOptions {
  /** Standard input; nothing when it is not given. */
  readonly stdin?: string | Uint8Array;
  /** Beside the test's own, from which the server's settings are taken out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How it ended. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  /** Standard output byte for byte. */
  readonly bytes: Uint8Array;
  readonly stderr: string;
}

const environment = (extra: Readonly<Record<string, string>>): Record<string, string> => {
  const own = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^(?:MTS_|MINITOOLSTREAM_)/.test(entry[0]),
  );
  return { ...Object.fromEntries(own), ...extra };
};

/** A run that is under way. */
export class CliRun {
  readonly #child: Bun.Subprocess<Blob | "ignore", "pipe", "pipe">;
  readonly #ended: Promise<CliResult>;
  readonly #stdout: Uint8Array[] = [];
  #wake: () => void = () => undefined;

  constructor(words: readonly string[], { stdin, env = {}, cwd }: CliOptions = {}) {
    this.#child = Bun.spawn([process.execPath, entry, ...words], {
      stdin: stdin === undefined ? "ignore" : new Blob([typeof stdin === "string" ? stdin : Uint8Array.from(stdin)]),
      stdout: "pipe",
      stderr: "pipe",
      env: environment(env),
      ...(cwd !== undefined && { cwd }),
    });
    guard(this.#child.pid);
    this.#ended = this.#collect();
    this.#ended.catch(() => undefined);
  }

  /** Standard output so far. */
  get stdout(): string {
    return Buffer.concat(this.#stdout).toString("utf8");
  }

  /** Resolves when standard output has so many lines; rejects when the process ends before. */
  async lines(count: number): Promise<readonly string[]> {
    for (;;) {
      const whole = this.stdout.split("\n").slice(0, -1);
      if (whole.length >= count) return whole.slice(0, count);
      const more = new Promise<"more">((resolve) => {
        this.#wake = () => resolve("more");
      });
      const ended = await Promise.race([more, this.#ended]);
      if (ended === "more") continue;
      if (this.stdout.split("\n").length > count) continue;
      throw new Error(`it ended with ${whole.length} lines, code ${ended.code}: ${ended.stderr}`);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  result(): Promise<CliResult> {
    return this.#ended;
  }

  async #collect(): Promise<CliResult> {
    const stderr = new Response(this.#child.stderr).text();
    for await (const chunk of this.#child.stdout) {
      this.#stdout.push(chunk);
      this.#wake();
    }
    const code = await this.#child.exited;
    release(this.#child.pid);
    const bytes = Buffer.concat(this.#stdout);
    return { code, stdout: bytes.toString("utf8"), bytes, stderr: await stderr };
  }
}

/** Runs it to its end. */
export const runCli = (words: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  new CliRun(words, options).result();
