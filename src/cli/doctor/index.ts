/**
 * `doctor`: opens the stores of a stopped server as the server would, has them checked, and says what is wrong.
 * @module
 */
import { existsSync } from "node:fs";
import { loadConfig } from "../../config.ts";
import type { Config } from "../../config-shape.ts";
import { type DataFolder, DataFolderError, DataFolderLockedError, openDataFolder } from "../../data-folder.ts";
import { missingMetadata, needsDataFolder, openStores, type Stores } from "../../stores.ts";
import { CliFailure, type Command, UsageError } from "../command.ts";
import { count, sizeText } from "../format.ts";
import type { Io } from "../io.ts";
import type { Given } from "../options.ts";
import { StatusLine } from "../progress.ts";
import { checkStores, reasonOf } from "./check.ts";
import { type Problem, Report } from "./problems.ts";

/** Settings that say where the stores are; the others do not matter to what is stored. */
const configFlags = ["data-dir", "metadata-url", "bodies-url", "config"] as const;
/** Problems that are printed; the summary has the total. */
const printedMax = 100;

export const doctorCommand: Command = {
  name: "doctor",
  usage: "[--data-dir DIR] [--json]",
  summary: "check the stores of a stopped server: heads, sequences, bodies and their checksums",
  details: `
Opens the stores that the settings name, as the server would: flags, MTS_ variables, minitoolstream.yaml. The server
must be stopped: the data folder lets in one at a time. No message is changed.

Checked are, for each subject: that its messages are exactly those from the first to the last sequence of its head,
that their times never decrease, that its sums are right, that every body is there with its SHA-256, and that its
consumers stand where they can. Objects of the body store that belong to no message are counted; they are no problem.

Exits 1 and names what is wrong.`,
  operands: { min: 0, max: 0 },
  isOffline: true,
  options: {
    "data-dir": { kind: "text", placeholder: "DIR", meaning: "data folder; default as for the server" },
    "metadata-url": { kind: "text", placeholder: "URL", meaning: "metadata store; default as for the server" },
    "bodies-url": { kind: "text", placeholder: "URL", meaning: "body store; default as for the server" },
    config: { kind: "text", placeholder: "FILE", meaning: "file with the settings; default as for the server" },
    json: { kind: "flag", meaning: "print one JSON object" },
  },
  run: async (given, io) => {
    const config = configOf(given, io);
    // Stores on other machines are shared: they are looked at while servers run.
    const folder = needsDataFolder(config) ? await lock(config) : undefined;
    try {
      return await examine(config, given.flag("json"), io);
    } finally {
      await folder?.close();
    }
  },
};

const configOf = (given: Given, io: Io): Config => {
  const argv = configFlags.flatMap((name) => {
    const value = given.text(name);
    return value === undefined ? [] : [`--${name}=${value}`];
  });
  const loaded = loadConfig({ argv, env: io.env, cwd: io.cwd });
  if ("errors" in loaded) throw new UsageError(loaded.errors.join("\nminitoolstream: "));
  if (!("config" in loaded)) throw new UsageError("the settings are a request for help");
  return loaded.config;
};

const lock = async (config: Config): Promise<DataFolder> => {
  const { dataDir } = config;
  // Opening would make them, and an empty store is always healthy.
  if (!existsSync(dataDir)) throw new CliFailure(`there is no data folder ${dataDir}; name it with --data-dir`);
  const missing = missingMetadata(config);
  if (missing !== undefined) {
    throw new CliFailure(`there is no metadata at ${missing}: no server has stored anything there`);
  }
  try {
    return await openDataFolder(dataDir);
  } catch (thrown) {
    if (thrown instanceof DataFolderLockedError) throw locked(dataDir, thrown.holderPid);
    throw thrown instanceof DataFolderError ? new CliFailure(thrown.message) : thrown;
  }
};

const locked = (dataDir: string, pid: number | undefined): CliFailure =>
  new CliFailure(
    `a server runs on ${dataDir}${pid === undefined ? "" : ` (process ${pid})`}: stop it first (Ctrl-C where it runs, or kill -TERM ${pid ?? "PID"}), then ask again`,
  );

const examine = async (config: Config, asJson: boolean, io: Io): Promise<number> => {
  const status = new StatusLine(io);
  let printed = 0;
  const report = new Report((problem) => {
    if (asJson || printed++ >= printedMax) return;
    status.clear();
    // A reader that is gone is noticed where the summary is written.
    io.stdout.write(`${problemText(problem)}\n`).catch(() => undefined);
  });
  status.show("opening the stores");
  await check(config, report, io, () =>
    status.show(
      `checking: ${count(report.subjects, "subject")}, ${count(report.messages, "message")}, ${sizeText(report.bytes)}`,
    ),
  );
  status.clear();
  if (asJson) await io.stdout.write(`${JSON.stringify(jsonOf(report))}\n`);
  else await writeSummary(report, io);
  return report.problems === 0 ? 0 : 1;
};

const check = async (config: Config, report: Report, io: Io, onProgress: () => void): Promise<void> => {
  let stores: Stores;
  try {
    stores = await openStores(config);
  } catch (thrown) {
    report.add({ code: "store_unreadable", detail: `the stores cannot be opened: ${reasonOf(thrown)}` });
    return;
  }
  try {
    for (const warning of stores.metadata.warnings) report.add({ code: "store_warning", detail: warning });
    await checkStores(stores, { report, onProgress, signal: io.stop });
  } finally {
    await Promise.allSettled([stores.metadata.close(), stores.bodies.close()]);
  }
};

const problemText = ({ code, subject, sequence, consumer, detail }: Problem): string => {
  const where = [subject, sequence, consumer && `consumer ${consumer}`].filter((part) => part !== undefined).join(" ");
  return `${code}: ${where === "" ? "" : `${where}: `}${detail}`;
};

const writeSummary = async (report: Report, io: Io): Promise<void> => {
  const { subjects, messages, bytes, problems, notes } = report;
  for (const note of notes.slice(0, printedMax)) await io.stdout.write(`note: ${note}\n`);
  if (notes.length > printedMax) await io.stdout.write(`note: and ${notes.length - printedMax} more like these\n`);
  if (problems > printedMax) await io.stdout.write(`... and ${problems - printedMax} problems more\n`);
  await io.stdout.write(
    `${count(subjects, "subject")}, ${count(messages, "message")}, ${count(bytes, "byte")} checked, ${count(problems, "problem")}\n`,
  );
};

const jsonOf = (report: Report): Readonly<Record<string, unknown>> => {
  const { subjects, messages, bytes, consumers, orphans, orphanBytes, problems, kept, notes } = report;
  return {
    healthy: problems === 0,
    subjects,
    messages,
    bytes,
    consumers,
    orphans,
    orphan_bytes: orphanBytes,
    problems,
    problem_list: kept,
    problem_list_complete: kept.length === problems,
    notes,
  };
};
