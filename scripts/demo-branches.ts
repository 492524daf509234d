/**
 * A demo: head office sends large documents to its branches by pointers, and the bytes go when all have acknowledged.
 * `scripts/demo-branches --help` tells the options; the parts are in `demo/`.
 * @module
 */
import { type Options, parseOptions } from "./demo/options.ts";
import { outcomeJson, outcomeText, Screen } from "./demo/report.ts";
import { type Outcome, play } from "./demo/run.ts";
import { openStage } from "./demo/stage.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;

const perform = async (options: Options, screen: Screen, signal: AbortSignal): Promise<Outcome> => {
  await using stage = await openStage(options.place);
  screen.said(`playing on ${stage.text}`);
  return await play(options, stage, screen, signal);
};

const main = async (argv: readonly string[]): Promise<number> => {
  const parsed = parseOptions(argv, process.env);
  if (parsed.kind === "help") {
    process.stdout.write(parsed.text);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) process.stderr.write(`demo-branches: ${error}\n`);
    process.stderr.write("Run with --help for all options.\n");
    return exitCodes.usage;
  }
  const { options } = parsed;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // The second means now; what was started ends with this process.
      if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
      interrupted.abort(new Error(`interrupted by ${signal}`));
    });
  }
  const screen = new Screen(process.stderr, options.count);
  try {
    const outcome = await perform(options, screen, interrupted.signal);
    screen.clear();
    process.stdout.write(options.json ? outcomeJson(outcome) : outcomeText(options, outcome));
    return outcome.violations.length === 0 ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    screen.clear();
    process.stderr.write(`demo-branches: ${error instanceof Error ? error.message : String(error)}\n`);
    return interrupted.signal.aborted ? exitCodes.interrupted : exitCodes.bad;
  }
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
