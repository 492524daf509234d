/**
 * The benchmark: measures the embedded server on this machine, next to Redis where it is installed, and prints one
 * table. `bun scripts/benchmark.ts --help` tells the options; the parts are in `benchmark/`.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killAll } from "./benchmark/children.ts";
import { largeScenarios } from "./benchmark/large.ts";
import { parseOptions } from "./benchmark/options.ts";
import { json, markdown } from "./benchmark/report.ts";
import { runRounds } from "./benchmark/run.ts";
import { storedScenarios } from "./benchmark/stored.ts";
import { throughputScenarios } from "./benchmark/throughput.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;

const scenarios = [...throughputScenarios, ...storedScenarios, ...largeScenarios];

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const main = async (argv: readonly string[]): Promise<number> => {
  const parsed = parseOptions(
    argv,
    scenarios.map(({ name }) => name),
  );
  if (parsed.kind === "help") {
    process.stdout.write(parsed.text);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) say(`benchmark: ${error}`);
    say("Run with --help for all options.");
    return exitCodes.usage;
  }
  const { only, rounds, quick, dataDir, json: asJson } = parsed.options;
  const folder = mkdtempSync(join(dataDir ?? tmpdir(), "mts-benchmark-"));
  // Servers that were just killed may still be creating files.
  const cleanUp = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      killAll();
      cleanUp();
      process.exit(exitCodes.interrupted);
    });
  }
  try {
    const chosen = scenarios.filter(({ name }) => only.includes(name));
    const results = await runRounds(chosen, rounds, { quick, folder }, say);
    process.stdout.write((asJson ? json : markdown)(results));
    return results.failures.length === 0 ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    say(`benchmark: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.bad;
  } finally {
    killAll();
    cleanUp();
  }
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
