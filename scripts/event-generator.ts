/**
 * The event generator: sends business events at an even rate and says what became of them.
 * `scripts/event-generator --help` tells the options; the parts are in `generator/`.
 * @module
 */
import { exitCodes, interruption, runCommand } from "./command/main.ts";
import { openSender } from "./generator/open-sender.ts";
import { type Options, parseOptions } from "./generator/options.ts";
import { outcomeJson, outcomeText, problemsOf, showProgress } from "./generator/report.ts";
import { generate, type Outcome } from "./generator/run.ts";
import { MetricsCheck, type Verification } from "./generator/verify.ts";

const answerMsMax = 10_000;

/** @throws Error when nobody answers */
const checkServer = async (url: string): Promise<void> => {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(answerMsMax) });
    if (response.ok) return;
  } catch {
    throw new Error(`nothing answers at ${url}; start a server (scripts/start), or name one with --url`);
  }
  throw new Error(`${url} is no MiniToolStream server`);
};

interface Done {
  readonly outcome: Outcome;
  readonly verification: Verification | undefined;
}

const perform = async (options: Options, signal: AbortSignal): Promise<Done> => {
  await checkServer(options.url);
  const check = options.verify ? await MetricsCheck.begin(options) : undefined;
  const sender = await openSender(options);
  let hideProgress = (): void => undefined;
  try {
    const outcome = await generate(options, sender, signal, (progress) => {
      hideProgress = showProgress(progress);
    });
    hideProgress();
    return { outcome, verification: await check?.compare(outcome.tally) };
  } finally {
    hideProgress();
    await sender.close();
  }
};

const run = async (options: Options): Promise<number> => {
  const { outcome, verification } = await perform(options, interruption());
  process.stdout.write((options.json ? outcomeJson : outcomeText)(options, outcome, verification));
  return problemsOf(outcome, verification).length === 0 ? exitCodes.good : exitCodes.bad;
};

if (import.meta.main) {
  process.exit(await runCommand("event-generator", parseOptions(Bun.argv.slice(2), process.env), run));
}
