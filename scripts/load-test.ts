/**
 * The load test: publishes to a server, subscribes, checks every message, and prints throughput and latency.
 * `bun scripts/load-test.ts --help` tells the options; the parts are in `load-test/`.
 * @module
 */
import { exitCodes, interruption, runCommand } from "./command/main.ts";
import { type Options, parseOptions } from "./load-test/options.ts";
import type { Outcome } from "./load-test/outcome.ts";
import { isGood, showProgress, summaryJson, summaryText } from "./load-test/report.ts";
import { run as runLoadTest } from "./load-test/run.ts";
import { startTarget } from "./load-test/server-process.ts";

const measure = async (options: Options, signal: AbortSignal): Promise<{ url: string; outcome: Outcome }> => {
  const server = await startTarget(options.target);
  let hideProgress = (): void => undefined;
  try {
    const outcome = await runLoadTest(server.url, options, {
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

const run = async (options: Options): Promise<number> => {
  const { url, outcome } = await measure(options, interruption());
  process.stdout.write((options.json ? summaryJson : summaryText)(options, url, outcome));
  return isGood(outcome) ? exitCodes.good : exitCodes.bad;
};

if (import.meta.main) process.exit(await runCommand("load-test", parseOptions(Bun.argv.slice(2)), run));
