/**
 * Child processes of the conformance runs: a server that says where it is, and a tool that runs to its end.
 * @module
 */
import { guard, release } from "../../src/testing/guardian.ts";

/** A server for the length of a run. */
export interface RunningChild {
  /** What `address` found in a line of its standard output. */
  readonly address: string;
  readonly stop: () => Promise<void>;
}

/** Starts a server and waits for the line that says where it is. @throws Error when it ends without one */
export const startChild = async (
  command: readonly string[],
  address: RegExp,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningChild> => {
  const child = Bun.spawn([...command], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  guard(child.pid);
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    release(child.pid);
  };
  const found = await firstMatch(child.stdout, address);
  if (found !== undefined) return { address: found, stop };
  await stop();
  throw new Error(`${command.join(" ")} said nothing about ${address.source}`);
};

/** Goes on reading when it was found, so that the pipe never fills. */
const firstMatch = (stream: ReadableStream<Uint8Array>, pattern: RegExp): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      let text = "";
      for await (const chunk of stream) {
        text = (text + decoder.decode(chunk, { stream: true })).slice(-10_000);
        const match = pattern.exec(text)?.[1];
        if (match !== undefined) resolve(match);
      }
      resolve(undefined);
    };
    read().catch(reject);
  });

/** Runs a tool to its end; its exit code. Its output goes where this process's goes, or nowhere. */
export const runTool = async (
  command: readonly string[],
  options: { readonly cwd: string; readonly quiet?: boolean; readonly env?: Readonly<Record<string, string>> },
): Promise<number> => {
  const output = options.quiet === true ? "ignore" : "inherit";
  const child = Bun.spawn([...command], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", output, output],
  });
  guard(child.pid);
  const code = await child.exited;
  release(child.pid);
  return code;
};
