/**
 * The load test: publishes to a server, subscribes, checks every message, and prints throughput and latency.
 * `bun scripts/load-test.ts --help` tells the options; the parts are in `load-test/`.
 * @module
 */
import { type Options, parseOptions } from "./load-test/options.ts";
import type { Outcome } from "./load-test/outcome.ts";
import { isGood, showProgress, summaryJson, summaryText } from "./load-test/report.ts";
import { run } from "./load-test/run.ts";
import { startTarget } from "./load-test/server-process.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;

const measure = async (options: Options, signal: AbortSignal): Promise<{ url: string; outcome: Outcome }> => {
  const server = await startTarget(options.target);
  let hideProgress = (): void => undefined;
  try {
    const outcome = await run(server.url, options, {
      signal,
      serverPid: server.pid,
      onStart: (progress) => {
        hideProgress = showProgress(progress);
      },
    });
    return { url: server.url, outcome };
  } finally {
    hideProgress();
    await server.stop();
  }
};

const main = async (argv: readonly string[]): Promise<number> => {
  const parsed = parseOptions(argv);
  if (parsed.kind === "help") {
    process.stdout.write(parsed.text);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) process.stderr.write(`load-test: ${error}\n`);
    process.stderr.write("Run with --help for all options.\n");
    return exitCodes.usage;
  }
  const { options } = parsed;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // The first asks for the summary, the second means now.
      if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
      interrupted.abort();
    });
  }
  try {
    const { url, outcome } = await measure(options, interrupted.signal);
    process.stdout.write((options.json ? summaryJson : summaryText)(options, url, outcome));
    return isGood(outcome) ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    process.stderr.write(`load-test: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.bad;
  }
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
