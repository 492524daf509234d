/**
 * The benchmark of the Event Hub: events in over HTTP, the last ones and the sums of a day out, with a million stored.
 * `bun scripts/benchmark-events.ts --help` tells the options; the parts are in `benchmark/events/`.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killAll } from "./benchmark/children.ts";
import { eventScenarios } from "./benchmark/events/scenarios.ts";
import { parseOptions } from "./benchmark/options.ts";
import { json, markdown } from "./benchmark/report.ts";
import { runRounds } from "./benchmark/run.ts";

const exitCodes = { good: 0, bad: 1, usage: 2, interrupted: 130 } as const;
/** Between two drawings of the line on a terminal, in milliseconds. */
const drawMsMin = 100;
const eraseLine = "\r\u001b[K";

/** A line on the terminal that is written over and over; nothing where there is none. */
const { show, say } = (() => {
  let drawnMs = 0;
  const isTerminal = process.stderr.isTTY;
  return {
    show: (text: string): void => {
      if (!isTerminal || performance.now() - drawnMs < drawMsMin) return;
      drawnMs = performance.now();
      process.stderr.write(`${eraseLine}${text.slice(0, process.stderr.columns - 1)}`);
    },
    say: (line: string): void => {
      process.stderr.write(`${isTerminal ? eraseLine : ""}${line}\n`);
    },
  };
})();

const scenarios = eventScenarios(show);
const names = scenarios.map(({ name }) => name);

const helpText = `Usage: bun scripts/benchmark-events.ts [options]

Measures the Event Hub of the server with its embedded stores on this machine, fsync on, the load generator on the same
cores: POST /events beside the same bytes as plain messages and beside Redis, and what a million stored events answer.
Prints one Markdown table.

  --only NAME,…   ${names.join(", ")}
  --quick         a tenth of the events and shorter times, and one round: to try it out, not to quote
  --rounds N      ours and the peer's in turn, so many times (default 3); figures are medians
  --data-dir DIR  where everything is stored while it is measured (default: the system's place for temporary files)
  --json          print one JSON object instead of the table
  --help          this text

Exit code: 0 everything was measured, whatever the figures are; 1 something could not be; 2 wrong options.
`;

const main = async (argv: readonly string[]): Promise<number> => {
  const parsed = parseOptions(argv, names);
  if (parsed.kind === "help") {
    process.stdout.write(helpText);
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) say(`benchmark-events: ${error}`);
    say("Run with --help for all options.");
    return exitCodes.usage;
  }
  const { only, rounds, quick, dataDir, json: asJson } = parsed.options;
  const folder = mkdtempSync(join(dataDir ?? tmpdir(), "mts-benchmark-events-"));
  // Servers that were just killed may still be creating files.
  const cleanUp = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      killAll();
      cleanUp();
      process.exit(exitCodes.interrupted);
    });
  }
  try {
    const chosen = scenarios.filter(({ name }) => only.includes(name));
    const results = await runRounds(chosen, rounds, { quick, folder }, say);
    process.stdout.write((asJson ? json : markdown)(results));
    return results.failures.length === 0 ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    say(`benchmark-events: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.bad;
  } finally {
    killAll();
    cleanUp();
  }
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
