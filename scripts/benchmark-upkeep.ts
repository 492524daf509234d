/**
 * The benchmark of upkeep: what sweeps, compaction and `retain: acked` do in which time, and what they cost others.
 * `bun scripts/benchmark-upkeep.ts --help` tells the options; the parts are in `benchmark/upkeep/`.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killAll } from "./benchmark/children.ts";
import { json, markdown } from "./benchmark/report.ts";
import { runRounds } from "./benchmark/run.ts";
import type { Scenario } from "./benchmark/scenario.ts";
import { ackedScenario } from "./benchmark/upkeep/acked.ts";
import { compactionScenario } from "./benchmark/upkeep/compaction.ts";
import { hotPathScenario } from "./benchmark/upkeep/hot-path.ts";
import { helpText, parseOptions } from "./benchmark/upkeep/options.ts";
import type { StoreKind } from "./benchmark/upkeep/rig.ts";
import { sweepScenario } from "./benchmark/upkeep/sweep.ts";

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

const scenariosOf = (kind: StoreKind): readonly Scenario[] => {
  const options = { kind, show };
  return [
    sweepScenario("age", options),
    sweepScenario("ttl", options),
    // Files append many writes to one object: there is nothing to join.
    ...(kind === "remote" ? [compactionScenario(options)] : []),
    ackedScenario(options),
    hotPathScenario(options),
  ];
};

const main = async (argv: readonly string[]): Promise<number> => {
  const names = (["embedded", "remote"] as const).flatMap(scenariosOf).map(({ name }) => name);
  const parsed = parseOptions(argv, names);
  if (parsed.kind === "help") {
    process.stdout.write(helpText(names));
    return exitCodes.good;
  }
  if (parsed.kind === "wrong") {
    for (const error of parsed.errors) say(`benchmark-upkeep: ${error}`);
    say("Run with --help for all options.");
    return exitCodes.usage;
  }
  const { stores, only, rounds, quick, dataDir, json: asJson } = parsed.options;
  const folder = mkdtempSync(join(dataDir ?? tmpdir(), "mts-benchmark-upkeep-"));
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
    const chosen = stores.flatMap(scenariosOf).filter(({ name }) => name.includes(only));
    const results = await runRounds(chosen, rounds, { quick, folder }, say);
    process.stdout.write((asJson ? json : markdown)(results));
    return results.failures.length === 0 ? exitCodes.good : exitCodes.bad;
  } catch (error) {
    say(`benchmark-upkeep: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.bad;
  } finally {
    killAll();
    cleanUp();
  }
};

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
