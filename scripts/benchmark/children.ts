/**
 * The processes of a benchmark: none of them outlives it, however it ends.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "../../src/testing/guardian.ts";

/** The root of the repository: programs are run from there. */
export const root = join(import.meta.dir, "..", "..");

/** A child whose standard output is read and whose standard error is read or passed on. */
export type Child<Err extends "pipe" | "inherit"> = Bun.Subprocess<"ignore", "pipe", Err>;

const running = new Set<Bun.Subprocess>();

/** The environment without our own settings: what is measured is the server as it comes. */
const environment = (): Record<string, string | undefined> => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MTS_"))),
  MTS_GRPC_PORT: "0",
  MTS_LOG: "warn",
});

/** Starts a program. */
export const start = <Err extends "pipe" | "inherit">(command: readonly string[], stderr: Err): Child<Err> => {
  const child = Bun.spawn([...command], {
    cwd: root,
    env: environment(),
    stdio: ["ignore", "pipe", stderr],
    // In a session of its own: Ctrl-C is for the benchmark, which then ends it.
    detached: true,
  });
  running.add(child);
  guard(child.pid);
  void child.exited.then(() => {
    running.delete(child);
    release(child.pid);
  });
  return child;
};

/** Ends what is still running, at once: the benchmark was interrupted. */
export const killAll = (): void => {
  for (const child of running) child.kill("SIGKILL");
};

const keptCharsMax = 4000;

/**
 * Runs a program to its end and returns its standard output.
 * @throws Error with the last of its standard error when it ends with another code than 0
 */
export const runToEnd = async (command: readonly string[]): Promise<string> => {
  const child = start(command, "pipe");
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code === 0) return stdout;
  throw new Error(`${command.slice(0, 2).join(" ")} ended with ${code}: ${`${stderr}${stdout}`.slice(-keptCharsMax)}`);
};

/** Resolves with the first match in what a program prints, and goes on reading; undefined when it ends without one. */
export const firstMatch = (stdout: ReadableStream<Uint8Array>, pattern: RegExp): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text: string | undefined = "";
      for await (const chunk of stdout) {
        if (text === undefined) continue;
        text += decoder.decode(chunk, { stream: true });
        const match = pattern.exec(text);
        if (match === null) continue;
        text = undefined;
        resolve(match[1] ?? match[0]);
      }
      resolve(undefined);
    };
    read().catch(reject);
  });
