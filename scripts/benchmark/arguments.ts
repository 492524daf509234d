/**
 * What the command lines of the benchmarks have in common.
 * @module
 */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

/** Options of every benchmark, as they are parsed. */
export interface CommonOptions {
  readonly quick: boolean;
  readonly json: boolean;
  readonly rounds: number;
  readonly dataDir: string | undefined;
}

/** What the arguments say; `text` holds the options of the one benchmark as they were given. */
export type CommonArguments<Name extends string> =
  | {
      readonly kind: "parsed";
      readonly common: CommonOptions;
      readonly text: Readonly<Partial<Record<Name, string>>>;
      /** What is wrong with the common ones, a sentence each. */
      readonly errors: readonly string[];
    }
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly errors: readonly string[] };

const roundsMax = 100;
const commonOptions = {
  quick: { type: "boolean" },
  json: { type: "boolean" },
  rounds: { type: "string" },
  "data-dir": { type: "string" },
  help: { type: "boolean" },
} as const satisfies ParseArgsOptionsConfig;

/**
 * Reads the arguments of a benchmark.
 * @param names of its own options, each of which takes a text
 * @param roundsOf how many rounds there are when nobody says
 */
export const parseArguments = <Name extends string>(
  argv: readonly string[],
  names: readonly Name[],
  roundsOf: (quick: boolean) => number,
): CommonArguments<Name> => {
  const own = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  let values: Readonly<Record<string, unknown>>;
  try {
    ({ values } = parseArgs({ args: [...argv], allowPositionals: false, options: { ...own, ...commonOptions } }));
  } catch (error) {
    return { kind: "wrong", errors: [error instanceof Error ? error.message : String(error)] };
  }
  if (values["help"] === true) return { kind: "help" };
  const quick = values["quick"] === true;
  const rounds = values["rounds"] === undefined ? roundsOf(quick) : Number(values["rounds"]);
  const isCount = Number.isInteger(rounds) && rounds >= 1 && rounds <= roundsMax;
  const text: Partial<Record<Name, string>> = {};
  for (const name of names) if (typeof values[name] === "string") text[name] = values[name];
  const dataDir = typeof values["data-dir"] === "string" ? values["data-dir"] : undefined;
  return {
    kind: "parsed",
    common: { quick, json: values["json"] === true, rounds, dataDir },
    text,
    errors: isCount ? [] : [`--rounds must be a whole number from 1 to ${roundsMax}`],
  };
};
