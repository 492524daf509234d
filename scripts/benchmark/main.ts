/**
 * What the benchmarks that run scenarios do with their arguments: a temporary folder, the rounds, the report, and nothing
 * that is left behind.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endOnInterrupt, exitCodes, runCommand } from "../command/main.ts";
import type { ParsedOptions } from "../command/options.ts";
import type { CommonOptions } from "./arguments.ts";
import { killAll } from "./children.ts";
import { clear, say } from "./progress-line.ts";
import { json, markdown } from "./report.ts";
import { runRounds } from "./run.ts";
import type { Scenario } from "./scenario.ts";

/**
 * Runs a benchmark to its end and tells the exit code.
 * @param name of the script
 * @param scenariosOf the chosen ones
 */
export const runBenchmark = <Options extends CommonOptions>(
  name: string,
  parsed: ParsedOptions<Options>,
  scenariosOf: (options: Options) => readonly Scenario[],
): Promise<number> =>
  runCommand(name, parsed, async (options) => {
    const { rounds, quick, dataDir, json: asJson } = options;
    const folder = mkdtempSync(join(dataDir ?? tmpdir(), `mts-${name}-`));
    const cleanUp = (): void => {
      clear();
      killAll();
      // Servers that were just killed may still be creating files.
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    };
    endOnInterrupt(cleanUp);
    try {
      const results = await runRounds(scenariosOf(options), rounds, { quick, folder }, say);
      process.stdout.write((asJson ? json : markdown)(results));
      return results.failures.length === 0 ? exitCodes.good : exitCodes.bad;
    } finally {
      cleanUp();
    }
  });
