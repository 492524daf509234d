/**
 * The options of the benchmark of upkeep.
 * @module
 */
import { parseArgs } from "node:util";
import type { StoreKind } from "./rig.ts";

/** Everything a run needs to know. */
export interface Options {
  readonly stores: readonly StoreKind[];
  /** Scenarios with this in their name. */
  readonly only: string;
  readonly quick: boolean;
  readonly json: boolean;
  readonly rounds: number;
  readonly dataDir: string | undefined;
}

/** What the arguments say. */
export type ParsedOptions =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly errors: readonly string[] };

const kinds: readonly StoreKind[] = ["embedded", "remote"];
const roundsMax = 100;

/** The help text. @param names of all scenarios */
export const helpText = (names: readonly string[]): string => `Usage: bun scripts/benchmark-upkeep.ts [options]

Measures on this machine what upkeep does and what it costs others: sweeps of a million expired messages, compaction of
100,000 tiny objects, messages that go when all have acknowledged them, and an idle sweeper. The remote stores are a
real Tarantool, which waits for its disk, and MinIO, both started for it. Prints one Markdown table.

  --stores KIND   embedded or remote (default: both)
  --only TEXT     scenarios with the text in their name:
${names.map((name) => `                    ${name}`).join("\n")}
  --rounds N      so many times (default 1, a round takes minutes); figures are medians
  --quick         a tenth of the messages: to try it out, not to quote
  --data-dir DIR  where the embedded stores lie while they are measured (default: the system's temporary files)
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
        stores: { type: "string" },
        only: { type: "string", default: "" },
        quick: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        rounds: { type: "string", default: "1" },
        "data-dir": { type: "string" },
        help: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    return { kind: "wrong", errors: [error instanceof Error ? error.message : String(error)] };
  }
  if (values.help) return { kind: "help" };
  const { stores: asked, only, quick, json } = values;
  const rounds = Number(values.rounds);
  const stores = asked === undefined ? kinds : kinds.filter((kind) => kind === asked);
  const errors = [
    ...(stores.length > 0 ? [] : [`--stores must be one of ${kinds.join(", ")}`]),
    ...(names.some((name) => name.includes(only)) ? [] : [`--only: nothing has ${JSON.stringify(only)} in its name`]),
    ...(Number.isInteger(rounds) && rounds >= 1 && rounds <= roundsMax
      ? []
      : [`--rounds must be a whole number from 1 to ${roundsMax}`]),
  ];
  if (errors.length > 0) return { kind: "wrong", errors };
  return { kind: "run", options: { stores, only, quick, json, rounds, dataDir: values["data-dir"] } };
};
