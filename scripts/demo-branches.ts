/**
 * A demo: head office sends large documents to its branches by pointers, and the bytes go when all have acknowledged.
 * `scripts/demo-branches --help` tells the options; the parts are in `demo/`.
 * @module
 */
import { complain, exitCodes, interruption, runCommand } from "./command/main.ts";
import { type Options, parseOptions } from "./demo/options.ts";
import { outcomeJson, outcomeText, Screen } from "./demo/report.ts";
import { type Outcome, play } from "./demo/run.ts";
import { openStage } from "./demo/stage.ts";

const name = "demo-branches";

const perform = async (options: Options, screen: Screen, signal: AbortSignal): Promise<Outcome> => {
  await using stage = await openStage(options.place);
  screen.said(`playing on ${stage.text}`);
  return await play(options, stage, screen, signal);
};

const run = async (options: Options): Promise<number> => {
  const interrupted = interruption();
  const screen = new Screen(process.stderr, options.count);
  try {
    const outcome = await perform(options, screen, interrupted);
    screen.clear();
    process.stdout.write(options.json ? outcomeJson(outcome) : outcomeText(options, outcome));
    return outcome.violations.length === 0 ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    screen.clear();
    if (!interrupted.aborted) throw error;
    complain(name, error);
    return exitCodes.interrupted;
  }
};

if (import.meta.main) process.exit(await runCommand(name, parseOptions(Bun.argv.slice(2), process.env), run));
