/**
 * The benchmark of upkeep: what sweeps, compaction and `retain: acked` do in which time, and what they cost others.
 * `bun scripts/benchmark-upkeep.ts --help` tells the options; the parts are in `benchmark/upkeep/`.
 * @module
 */
import { runBenchmark } from "./benchmark/main.ts";
import { show } from "./benchmark/progress-line.ts";
import type { Scenario } from "./benchmark/scenario.ts";
import { ackedScenario } from "./benchmark/upkeep/acked.ts";
import { compactionScenario } from "./benchmark/upkeep/compaction.ts";
import { hotPathScenario } from "./benchmark/upkeep/hot-path.ts";
import { parseOptions } from "./benchmark/upkeep/options.ts";
import type { StoreKind } from "./benchmark/upkeep/rig.ts";
import { sweepScenario } from "./benchmark/upkeep/sweep.ts";

const scenariosOf = (kind: StoreKind): readonly Scenario[] => {
  const options = { kind, show };
  return [
    sweepScenario("age", options),
    sweepScenario("ttl", options),
    // Files append many writes to one object: there is nothing to join.
    ...(kind === "remote" ? [compactionScenario(options)] : []),
    ackedScenario(options),
    hotPathScenario(options),
  ];
};

const main = (argv: readonly string[]): Promise<number> => {
  const names = (["embedded", "remote"] as const).flatMap(scenariosOf).map(({ name }) => name);
  return runBenchmark("benchmark-upkeep", parseOptions(argv, names), ({ stores, only }) =>
    stores.flatMap(scenariosOf).filter(({ name }) => name.includes(only)),
  );
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
