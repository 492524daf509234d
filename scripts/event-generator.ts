/**
 * The event generator: sends business events at an even rate and says what became of them.
 * `scripts/event-generator --help` tells the options; the parts are in `generator/`.
 * @module
 */
import { openSender } from "./generator/open-sender.ts";
import { type Options, parseOptions } from "./generator/options.ts";
import { outcomeJson, outcomeText, problemsOf, showProgress } from "./generator/report.ts";
import { generate, type Outcome } from "./generator/run.ts";
import { MetricsCheck, type Verification } from "./generator/verify.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;
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

const main = async (argv: readonly string[]): Promise<number> => {
  const parsed = parseOptions(argv, process.env);
  if (parsed.kind === "help") {
    process.stdout.write(parsed.text);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) process.stderr.write(`event-generator: ${error}\n`);
    process.stderr.write("Run with --help for all options.\n");
    return exitCodes.usage;
  }
  const { options } = parsed;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      // The first asks for the result, the second means now.
      if (interrupted.signal.aborted) process.exit(exitCodes.interrupted);
      interrupted.abort();
    });
  }
  try {
    const { outcome, verification } = await perform(options, interrupted.signal);
    process.stdout.write((options.json ? outcomeJson : outcomeText)(options, outcome, verification));
    return problemsOf(outcome, verification).length === 0 ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    process.stderr.write(`event-generator: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.bad;
  }
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
