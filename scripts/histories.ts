/**
 * Random histories, for as long as one likes: publishes of all sizes, acknowledgements, policies, deletions, upkeep and
 * `kill -9`, by chance from a seed, against a model of what was promised. `bun scripts/histories.ts --help` tells the
 * options; what is played is in `src/testing/histories/`.
 * @module
 */
import { parseArgs } from "node:util";
import { makeFolder } from "../src/testing/faults/folder.ts";
import { BrokerWorld } from "../src/testing/histories/broker-world.ts";
import { makeEmbeddedPlace } from "../src/testing/histories/embedded-place.ts";
import { playHistory } from "../src/testing/histories/play.ts";
import { ProcessWorld } from "../src/testing/histories/process-world.ts";
import { RemotePlaces } from "../src/testing/histories/remote-place.ts";
import type { World } from "../src/testing/histories/world.ts";
import { Backends } from "../src/testing/nodes/cluster.ts";
import { Progress } from "./faults/progress.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;
const seedMax = 2 ** 31;
const runsMax = 1_000_000;
const stepsMax = 100_000;
/** Without a terminal, a line after so many runs. */
const plainRuns = 50;

const help = `Usage: bun scripts/histories.ts [options]

Plays histories by chance and compares what is stored and served with what was promised: never a message without its
bytes, never other bytes, nothing there that must be gone, no bytes that nothing points at for longer than the grace
and a sweep, an application actor that has counted each message once, and a doctor who is content. A failure prints the seed that plays it again.

  --seed N        the first seed; the runs count on from it (default: by chance, and printed)
  --runs N        how many (default 1000; with --processes 20)
  --steps N       steps of each (default 100)
  --stores PAIR   embedded (default: SQLite and files) or remote (Tarantool and MinIO)
  --processes     real servers that are killed by kill -9, in place of a clock that is moved and deaths between calls
  --no-actors     without an application actor
  --no-crashes    nobody dies
  --verbose       print every step
  --help          this text

Exit code: 0 all well; 1 a history went another way; 2 wrong options; 130 interrupted.
`;

interface Options {
  readonly seed: number;
  readonly runs: number;
  readonly steps: number;
  readonly isRemote: boolean;
  readonly isByProcesses: boolean;
  readonly crashes: boolean;
  readonly actors: boolean;
  readonly isVerbose: boolean;
}

const parseOptions = (argv: readonly string[]): Options | "help" | readonly string[] => {
  const [text, flag] = [{ type: "string" }, { type: "boolean" }] as const;
  let values: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const numbers = { seed: text, runs: text, steps: text, stores: text };
    const flags = { processes: flag, "no-actors": flag, "no-crashes": flag, verbose: flag, help: flag };
    values = parseArgs({ args: [...argv], options: { ...numbers, ...flags } }).values;
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  if (values["help"] === true) return "help";
  const errors: string[] = [];
  const number = (name: string, min: number, max: number, otherwise: number): number => {
    const raw = values[name];
    if (typeof raw !== "string") return otherwise;
    if (/^\d{1,10}$/.test(raw) && Number(raw) >= min && Number(raw) <= max) return Number(raw);
    errors.push(`--${name} must be a whole number from ${min} to ${max}`);
    return otherwise;
  };
  const stores = values["stores"] ?? "embedded";
  if (stores !== "embedded" && stores !== "remote") errors.push("--stores must be embedded or remote");
  const isByProcesses = values["processes"] === true;
  const options: Options = {
    seed: number("seed", 0, seedMax, Math.floor(Math.random() * seedMax)),
    runs: number("runs", 1, runsMax, isByProcesses ? 20 : 1000),
    steps: number("steps", 1, stepsMax, 100),
    isRemote: stores === "remote",
    isByProcesses,
    crashes: values["no-crashes"] !== true,
    actors: values["no-actors"] !== true,
    isVerbose: values["verbose"] === true,
  };
  return errors.length > 0 ? errors : options;
};

/** Makes a world; what it needs for itself lives in `own`. */
type Maker = (seed: number, own: AsyncDisposableStack) => Promise<World>;

/** How worlds are made; what all of them need lives in `held`. */
const makerOf = async (options: Options, held: AsyncDisposableStack): Promise<Maker> => {
  const { isRemote, isByProcesses, crashes, actors } = options;
  // Every second one with packed bodies.
  const isPacked = (seed: number): boolean => seed % 2 === 0;
  if (!isByProcesses) {
    const places = isRemote ? held.use(await RemotePlaces.start()) : undefined;
    return async (seed, own) =>
      own.use(
        await BrokerWorld.start(await (places?.make() ?? makeEmbeddedPlace()), { compress: isPacked(seed), actors }),
      );
  }
  return async (seed, own) => {
    const backends = isRemote ? own.use(await Backends.start()) : undefined;
    const { path: dataDir } = own.use(await makeFolder());
    const env = { MTS_COMPRESS: isPacked(seed) ? "zstd" : "none", ...backends?.env() };
    // The stores of one process are nobody else's.
    const otherDataDir = isRemote && actors ? own.use(await makeFolder()).path : undefined;
    return own.use(await ProcessWorld.start({ seed, dataDir, env, crashes, actors, otherDataDir }));
  };
};

const playAll = async (options: Options, progress: Progress, signal: AbortSignal): Promise<number> => {
  const { seed: first, runs, steps, crashes, isVerbose } = options;
  await using held = new AsyncDisposableStack();
  const make = await makerOf(options, held);
  const startedMs = performance.now();
  let [played, published, deaths] = [0, 0, 0];
  const text = (): string => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    return `${played} of ${runs} histories, ${published} messages, ${deaths} deaths, ${seconds} s`;
  };
  progress.show(text);
  for (let seed = first; seed < first + runs && !signal.aborted; seed++) {
    await using own = new AsyncDisposableStack();
    const world = await make(seed, own);
    const onStep = isVerbose ? (line: string) => process.stdout.write(`${seed}: ${line}\n`) : undefined;
    try {
      const history = await playHistory(world, { seed, steps, crashes, onStep });
      published += history.published;
      deaths += history.deaths;
    } catch (error) {
      progress.clear();
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
      const flags = [
        options.isByProcesses && "--processes",
        !options.actors && "--no-actors",
        !crashes && "--no-crashes",
      ];
      const more = [options.isRemote && "--stores remote", ...flags].filter(Boolean);
      const words = [`--seed ${seed} --runs 1 --steps ${steps}`, ...more].join(" ");
      process.stdout.write(`\nAgain: bun scripts/histories.ts ${words}\n`);
      return exitCodes.bad;
    }
    if (++played % plainRuns === 0 && !process.stderr.isTTY) process.stderr.write(`${text()}\n`);
  }
  progress.clear();
  process.stdout.write(`seed ${first}: ${text()}\n`);
  return signal.aborted ? exitCodes.interrupted : exitCodes.good;
};

const main = async (argv: readonly string[]): Promise<number> => {
  const options = parseOptions(argv);
  if (options === "help") {
    process.stdout.write(help);
    return exitCodes.good;
  }
  if (!("seed" in options)) {
    for (const error of options) process.stderr.write(`histories: ${error}\n`);
    process.stderr.write("Run with --help for all options.\n");
    return exitCodes.usage;
  }
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // The first finishes the history under way, the second means now.
      if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
      interrupted.abort();
    });
  }
  return playAll(options, new Progress(process.stderr), interrupted.signal);
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
