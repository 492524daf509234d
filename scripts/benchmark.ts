/**
 * The benchmark: measures the embedded server on this machine, next to Redis where it is installed, and prints one
 * table. `bun scripts/benchmark.ts --help` tells the options; the parts are in `benchmark/`.
 * @module
 */
import { largeScenarios } from "./benchmark/large.ts";
import { runBenchmark } from "./benchmark/main.ts";
import { parseOptions } from "./benchmark/options.ts";
import { storedScenarios } from "./benchmark/stored.ts";
import { throughputScenarios } from "./benchmark/throughput.ts";

const scenarios = [...throughputScenarios, ...storedScenarios, ...largeScenarios];

const main = (argv: readonly string[]): Promise<number> => {
  const names = scenarios.map(({ name }) => name);
  return runBenchmark("benchmark", parseOptions(argv, names), ({ only }) =>
    scenarios.filter(({ name }) => only.includes(name)),
  );
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
