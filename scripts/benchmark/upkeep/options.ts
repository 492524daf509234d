/**
 * The options of the benchmark of upkeep.
 * @module
 */
import type { ParsedOptions } from "../../command/options.ts";
import { type CommonOptions, parseArguments } from "../arguments.ts";
import type { StoreKind } from "./rig.ts";

/** Everything a run needs to know. */
export interface Options extends CommonOptions {
  readonly stores: readonly StoreKind[];
  /** Scenarios with this in their name. */
  readonly only: string;
}

const kinds: readonly StoreKind[] = ["embedded", "remote"];

const helpText = (names: readonly string[]): string => `Usage: bun scripts/benchmark-upkeep.ts [options]

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
export const parseOptions = (argv: readonly string[], names: readonly string[]): ParsedOptions<Options> => {
  const parsed = parseArguments(argv, ["stores", "only"], () => 1);
  if (parsed.kind === "help") return { kind: "help", text: helpText(names) };
  if (parsed.kind === "wrong") return parsed;
  const { stores: asked, only = "" } = parsed.text;
  const stores = asked === undefined ? kinds : kinds.filter((kind) => kind === asked);
  const errors = [
    ...(stores.length > 0 ? [] : [`--stores must be one of ${kinds.join(", ")}`]),
    ...(names.some((name) => name.includes(only)) ? [] : [`--only: nothing has ${JSON.stringify(only)} in its name`]),
    ...parsed.errors,
  ];
  if (errors.length > 0) return { kind: "wrong", errors };
  return { kind: "run", options: { ...parsed.common, stores, only } };
};
