/**
 * How commands begin and end: help, wrong options, Ctrl-C, failures, and the exit codes that stand for them.
 * @module
 */
import type { ParsedOptions } from "./options.ts";

/** What the process ends with. */
export const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;

/** Says on standard error what went wrong. */
export const complain = (name: string, thrown: unknown): void => {
  process.stderr.write(`${name}: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
};

/**
 * Does what the arguments ask for; never rejects.
 * @param name in front of what went wrong
 * @param run resolves with the exit code; when it rejects, that is said
 */
export const runCommand = async <Options>(
  name: string,
  parsed: ParsedOptions<Options>,
  run: (options: Options) => Promise<number>,
): Promise<number> => {
  if (parsed.kind === "help") {
    process.stdout.write(parsed.text);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) complain(name, error);
    process.stderr.write("Run with --help for all options.\n");
    return exitCodes.usage;
  }
  try {
    return await run(parsed.options);
  } catch (error) {
    complain(name, error);
    return exitCodes.bad;
  }
};

/** Calls back on Ctrl-C and SIGTERM. */
const onInterrupt = (act: (signal: NodeJS.Signals) => void): void => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, act);
};

/** Aborts on the first Ctrl-C, which asks for the result of what was done; the second means now. */
export const interruption = (): AbortSignal => {
  const interrupted = new AbortController();
  onInterrupt((signal) => {
    if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
    interrupted.abort(new Error(`interrupted by ${signal}`));
  });
  return interrupted.signal;
};

/** Ends the process on the first Ctrl-C. @param cleanUp called before that */
export const endOnInterrupt = (cleanUp: () => void): void => {
  onInterrupt(() => {
    cleanUp();
    process.exit(exitCodes.interrupted);
  });
};
