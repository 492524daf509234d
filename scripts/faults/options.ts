/**
 * The options of the faults script.
 * @module
 */
import { parseArgs } from "node:util";

/** What to do. */
export interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly nodes: number;
  /** Only faults whose name contains this, or the one whose name it is. */
  readonly only: string | undefined;
  /** How long everything that stands still, or is away, does so, in milliseconds; by chance when undefined. */
  readonly stillMs: number | undefined;
  /** Measure the way from node to node instead. */
  readonly latency: boolean;
  /** Messages of the measurement. */
  readonly count: number;
}

/** What the arguments say. */
export type ParsedOptions =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "wrong"; readonly errors: readonly string[] };

/** More servers than this say more about the machine than about the servers. */
const nodesMax = 4;
/** Ten minutes stand for any longer time: all deadlines are over by then. */
const stillMsMax = 600_000;

const help = `Usage: bun scripts/faults.ts [options]

Starts servers over one Tarantool and one MinIO, publishes to all of them, and lets one fault after the other happen:
processes killed and stopped, connections cut, slowed and silent, S3 answering wrongly. After each it checks that what
was acknowledged is readable with the same bytes and sequence on every node, dense, nothing twice, in one order that
every subscriber saw; that every publish was answered in time; and that publishing went on soon enough.

  --minutes N   how long (default 5); the round under way is finished
  --seed S      chooses faults, moments and sizes (default: by chance, and printed)
  --nodes N     servers, 2 to ${nodesMax} (default 2)
  --only TEXT   only faults whose name contains this, or is this
  --still MS    how long what is stopped or away is so, instead of by chance (50 to 65000, long ones seldom)
  --list        print the names of the faults
  --latency     no faults: measure the way from a publish on one node to the push on the other
  --count N     messages of that measurement (default 2000)
  --help        this text

Exit code: 0 all well; 1 something was violated (or, with --latency, the median is not below 10 ms); 2 wrong options.
`;

/** Reads the arguments; all that is wrong is said at once. */
export const parseOptions = (argv: readonly string[], names: readonly string[]): ParsedOptions => {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    values = parseArgs({
      args: [...argv],
      options: {
        minutes: text,
        seed: text,
        nodes: text,
        only: text,
        still: text,
        list: flag,
        latency: flag,
        count: text,
        help: flag,
      },
    }).values;
  } catch (error) {
    return { kind: "wrong", errors: [error instanceof Error ? error.message : String(error)] };
  }
  if (values["help"] === true) return { kind: "text", text: help };
  if (values["list"] === true) return { kind: "text", text: names.map((name) => `${name}\n`).join("") };
  const errors: string[] = [];
  const number = (name: string, min: number, max: number, otherwise: number): number => {
    const raw = values[name];
    if (typeof raw !== "string") return otherwise;
    const value = /^\d{1,10}(\.\d{1,3})?$/.test(raw) ? Number(raw) : Number.NaN;
    if (value >= min && value <= max && (name === "minutes" || Number.isInteger(value))) return value;
    errors.push(`--${name} must be a ${name === "minutes" ? "" : "whole "}number from ${min} to ${max}`);
    return otherwise;
  };
  const only = typeof values["only"] === "string" ? values["only"] : undefined;
  if (only !== undefined && !names.some((name) => name.includes(only))) {
    errors.push(`--only ${only}: no fault has that in its name; see --list`);
  }
  const options: Options = {
    minutes: number("minutes", 0, 10_000, 5),
    seed: number("seed", 0, 2 ** 32 - 1, Math.floor(Math.random() * 2 ** 32)),
    nodes: number("nodes", 2, nodesMax, 2),
    only,
    stillMs: values["still"] === undefined ? undefined : number("still", 1, stillMsMax, 0),
    latency: values["latency"] === true,
    count: number("count", 100, 1_000_000, 2000),
  };
  return errors.length > 0 ? { kind: "wrong", errors } : { kind: "run", options };
};
