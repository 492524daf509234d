/**
 * The options of the benchmark.
 * @module
 */
import type { ParsedOptions } from "../command/options.ts";
import { type CommonOptions, parseArguments } from "./arguments.ts";

/** Everything a run needs to know. */
export interface Options extends CommonOptions {
  /** Names of the scenarios to run, in the order of the table. */
  readonly only: readonly string[];
}

const roundsDefault = 3;

/** The help text of `benchmark.ts`. @param names of all scenarios */
export const helpText = (names: readonly string[]): string => `Usage: bun scripts/benchmark.ts [options]

Measures the server with its embedded stores on this machine, fsync on, the load generator on the same cores, and
prints one Markdown table. Where Redis is installed (Debian: redis-server, redis-tools) it does the same work in turn.

  --only NAME,…   ${names.slice(0, 8).join(", ")},
                  ${names.slice(8).join(", ")}
  --quick         fewer messages and shorter times, and one round: to try it out, not to quote
  --rounds N      ours and the peer's in turn, so many times (default ${roundsDefault}); figures are medians
  --data-dir DIR  where everything is stored while it is measured (default: the system's place for temporary files)
  --json          print one JSON object instead of the table
  --help          this text

Exit code: 0 everything was measured, whatever the figures are; 1 something could not be; 2 wrong options.
`;

/** Reads the arguments of a benchmark that takes names. @param names of all its scenarios */
export const parseOptions = (
  argv: readonly string[],
  names: readonly string[],
  help = helpText,
): ParsedOptions<Options> => {
  const parsed = parseArguments(argv, ["only"], (quick) => (quick ? 1 : roundsDefault));
  if (parsed.kind === "help") return { kind: "help", text: help(names) };
  if (parsed.kind === "wrong") return parsed;
  const asked = parsed.text.only?.split(",");
  const unknown = (asked ?? []).filter((name) => !names.includes(name));
  const errors = [
    ...unknown.map((name) => `--only: there is no ${JSON.stringify(name)}; there is ${names.join(", ")}`),
    ...parsed.errors,
  ];
  if (errors.length > 0) return { kind: "wrong", errors };
  const only = asked === undefined ? names : names.filter((name) => asked.includes(name));
  return { kind: "run", options: { ...parsed.common, only } };
};
