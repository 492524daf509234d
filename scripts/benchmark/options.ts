/**
 * The options of the benchmark.
 * @module
 */
import { parseArgs } from "node:util";

/** Everything a run needs to know. */
export interface Options {
  /** Names of the scenarios to run, in the order of the table. */
  readonly only: readonly string[];
  readonly quick: boolean;
  readonly json: boolean;
  readonly rounds: number;
  readonly dataDir: string | undefined;
}

/** What the arguments say. */
export type ParsedOptions =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "help"; readonly text: string }
  | { readonly kind: "wrong"; readonly errors: readonly string[] };

const roundsDefault = 3;
const roundsMax = 100;

/** The help text. @param names of all scenarios */
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

/** Reads the arguments. @param names of all scenarios */
export const parseOptions = (argv: readonly string[], names: readonly string[]): ParsedOptions => {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      allowPositionals: false,
      options: {
        only: { type: "string" },
        quick: { type: "boolean" },
        json: { type: "boolean" },
        rounds: { type: "string" },
        "data-dir": { type: "string" },
        help: { type: "boolean" },
      },
    }));
  } catch (error) {
    return { kind: "wrong", errors: [error instanceof Error ? error.message : String(error)] };
  }
  if (values.help === true) return { kind: "help", text: helpText(names) };
  const quick = values.quick === true;
  const asked = values.only?.split(",");
  const unknown = (asked ?? []).filter((name) => !names.includes(name));
  const rounds = values.rounds === undefined ? (quick ? 1 : roundsDefault) : Number(values.rounds);
  const errors = [
    ...unknown.map((name) => `--only: there is no ${JSON.stringify(name)}; there is ${names.join(", ")}`),
    ...(Number.isInteger(rounds) && rounds >= 1 && rounds <= roundsMax
      ? []
      : [`--rounds must be a whole number from 1 to ${roundsMax}`]),
  ];
  if (errors.length > 0) return { kind: "wrong", errors };
  const only = asked === undefined ? names : names.filter((name) => asked.includes(name));
  return { kind: "run", options: { only, quick, json: values.json === true, rounds, dataDir: values["data-dir"] } };
};
