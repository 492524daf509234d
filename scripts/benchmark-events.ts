/**
 * The benchmark of the Event Hub: events in over HTTP, the last ones and the sums of a day out, with a million stored.
 * `bun scripts/benchmark-events.ts --help` tells the options; the parts are in `benchmark/events/`.
 * @module
 */
import { eventScenarios } from "./benchmark/events/scenarios.ts";
import { runBenchmark } from "./benchmark/main.ts";
import { parseOptions } from "./benchmark/options.ts";
import { show } from "./benchmark/progress-line.ts";

const helpText = (names: readonly string[]): string => `Usage: bun scripts/benchmark-events.ts [options]

Measures the Event Hub of the server with its embedded stores on this machine, fsync on, the load generator on the same
cores: POST /events beside the same bytes as plain messages and beside Redis, and what a million stored events answer.
Prints one Markdown table.

  --only NAME,…   ${names.join(", ")}
  --quick         a tenth of the events and shorter times, and one round: to try it out, not to quote
  --rounds N      ours and the peer's in turn, so many times (default 3); figures are medians
  --data-dir DIR  where everything is stored while it is measured (default: the system's place for temporary files)
  --json          print one JSON object instead of the table
  --help          this text

Exit code: 0 everything was measured, whatever the figures are; 1 something could not be; 2 wrong options.
`;

const main = (argv: readonly string[]): Promise<number> => {
  const scenarios = eventScenarios(show);
  const names = scenarios.map(({ name }) => name);
  return runBenchmark("benchmark-events", parseOptions(argv, names, helpText), ({ only }) =>
    scenarios.filter(({ name }) => only.includes(name)),
  );
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
