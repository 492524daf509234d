/**
 * A fuzz run against a real server: `bun scripts/fuzz.ts --frames 1000000 --seed 1`. Exit code 0: the server neither
 * crashed nor hung, blamed itself for nothing, and its memory stayed flat; 1: it did not; 2: wrong options.
 * @module
 */
import { parseArgs } from "node:util";
import { type FuzzOptions, type FuzzResult, runFuzz } from "../src/testing/protection/fuzz/run.ts";

const help = `Usage: bun scripts/fuzz.ts [options]

Sends spoilt frames (bits flipped, cut off, spliced, lengths that lie, types swapped, containers in containers, bytes by
chance) over WebSocket in both subprotocols, spoilt WebSocket frame heads, spoilt gRPC calls and HTTP/2 frames, and spoilt
HTTP bodies, paths, headers and bytes to a server started for it, while a client that behaves well publishes, listens
and reads beside them.

  --frames N   how many (default 1000000)
  --seed S     chooses what is sent (default: by chance, and printed)
  --help       this text
`;

const seedMax = 2 ** 31;
const framesMax = 1_000_000_000;

/** Undefined when a number is out of range. */
const wholeNumber = (raw: string | undefined, min: number, max: number, otherwise: number): number | undefined => {
  if (raw === undefined) return otherwise;
  const value = /^\d{1,10}$/.test(raw) ? Number(raw) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
};

const parse = (argv: readonly string[]): FuzzOptions | "help" | undefined => {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({ args: [...argv], options: { frames: text, seed: text, help: { type: "boolean" } } });
    if (values.help === true) return "help";
    const frames = wholeNumber(values.frames, 1, framesMax, 1_000_000);
    const seed = wholeNumber(values.seed, 0, seedMax, Math.floor(Math.random() * seedMax));
    return frames === undefined || seed === undefined ? undefined : { frames, seed };
  } catch {
    return undefined;
  }
};

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const report = ({ figures, memory }: FuzzResult, elapsedMs: number): void => {
  print(`frames and requests sent: ${figures.sent} in ${Math.round(elapsedMs / 1000)} s`);
  print(`answers: ${figures.answers.lines().join(", ")}`);
  print(`ends of connections: ${figures.closes.lines().join(", ")}`);
  print(`HTTP answers: ${figures.statuses.lines().join(", ")}`);
  print(`canary: ${figures.canaryRounds} rounds, the longest ${Math.round(figures.canaryMsMax)} ms`);
  print(`memory: ${memory.map(({ name, bytes }) => `${name} ${Math.round(bytes / 2 ** 20)} MiB`).join(", ")}`);
};

const main = async (argv: readonly string[]): Promise<number> => {
  const options = parse(argv);
  if (options === "help") {
    process.stdout.write(help);
    return 0;
  }
  if (options === undefined) {
    process.stderr.write("fuzz: wrong options; run with --help\n");
    return 2;
  }
  print(`seed ${options.seed}`);
  const startedMs = performance.now();
  const result = await runFuzz({ ...options, progress: print });
  report(result, performance.now() - startedMs);
  const { failure } = result.figures;
  if (failure === undefined) return 0;
  process.stderr.write(`fuzz: seed ${options.seed}: ${failure.message}\n`);
  return 1;
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
