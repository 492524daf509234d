/**
 * Faults, for as long as one likes: real servers over a real Tarantool and a real MinIO are published to while
 * processes are killed and stopped, connections are cut and S3 misbehaves, by chance from a seed. After each fault
 * everything that was promised is checked on every node. `bun scripts/faults.ts --help` tells the options.
 * @module
 */

import { clusterFaults } from "../src/testing/nodes/faults.ts";
import { runCampaign } from "./faults/campaign.ts";
import { measureLatency } from "./faults/latency.ts";
import { type Options, parseOptions } from "./faults/options.ts";
import { Progress } from "./faults/progress.ts";
import { campaignTable, latencyTable } from "./faults/report.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;

const measure = async (options: Options): Promise<number> => {
  const latency = await measureLatency(options.count);
  process.stdout.write(latencyTable(latency));
  return latency.isFast ? exitCodes.good : exitCodes.bad;
};

const attack = async (options: Options, signal: AbortSignal): Promise<number> => {
  process.stdout.write(`seed ${options.seed}, ${options.nodes} nodes, ${options.minutes} minutes\n`);
  const progress = new Progress(process.stderr);
  const campaign = await runCampaign(options, progress, signal);
  progress.clear();
  process.stdout.write(campaignTable(campaign));
  return campaign.violations.length === 0 ? exitCodes.good : exitCodes.bad;
};

const main = async (argv: readonly string[]): Promise<number> => {
  const parsed = parseOptions(
    argv,
    clusterFaults.map(({ name }) => name),
  );
  if (parsed.kind === "text") {
    process.stdout.write(parsed.text);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) process.stderr.write(`faults: ${error}\n`);
    process.stderr.write("Run with --help for all options.\n");
    return exitCodes.usage;
  }
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // The first asks for the table after this round, the second means now.
      if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
      interrupted.abort();
    });
  }
  const { options } = parsed;
  return options.latency ? measure(options) : attack(options, interrupted.signal);
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
