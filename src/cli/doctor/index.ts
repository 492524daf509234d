/**
 * `doctor`: opens the stores of a stopped server as the server would, has them checked, and says what is wrong.
 * @module
 */
import type { Config } from "../../config-shape.ts";
import { openStores, type Stores } from "../../stores.ts";
import type { Command } from "../command.ts";
import { count, sizeText } from "../format.ts";
import type { Io } from "../io.ts";
import { storeOptions, withStoresOf } from "../offline.ts";
import { StatusLine } from "../progress.ts";
import { checkStores } from "./check.ts";
import { type Problem, Report, reasonOf } from "./problems.ts";

/** Problems that are printed; the summary has the total. */
const printedMax = 100;

export const doctorCommand: Command = {
  name: "doctor",
  usage: "[--data-dir DIR] [--json]",
  summary: "check the stores of a stopped server: heads, sequences, bodies and their checksums",
  details: `
Opens the stores that the settings name, as the server would: flags, MTS_ variables, minitoolstream.yaml. The server
must be stopped: the data folder lets in one at a time. No message is changed.

Checked are, for each subject: that as many messages are there as its head and its sums say, from its first to its last
sequence, that their times never decrease, that every body is there with its SHA-256 (those of delayed messages, too),
and that its consumers stand where they can; and of the objects of the body store, that their messages and the bytes in
use are counted right. Objects of the body store that belong to no message are counted, and named unless so many wait
for their deletion or were written within the server's sweep_grace; they are no problem, the next sweep takes them away.

Exits 1 and names what is wrong.`,
  operands: { min: 0, max: 0 },
  isOffline: true,
  options: {
    ...storeOptions,
    json: { kind: "flag", meaning: "print one JSON object" },
  },
  run: (given, io) => withStoresOf(given, io, (config) => examine(config, given.flag("json"), io)),
};

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
    const youngSinceMs = io.nowMs() - config.sweepGraceMs;
    await checkStores(stores, { report, onProgress, youngSinceMs, signal: io.stop });
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
  const { subjects, messages, bytes, consumers, delayed, problems, kept, notes } = report;
  const { orphans, orphanBytes, youngObjects, deadObjects, orphanNames } = report;
  return {
    healthy: problems === 0,
    subjects,
    messages,
    bytes,
    consumers,
    delayed,
    orphans,
    orphan_bytes: orphanBytes,
    young_objects: youngObjects,
    dead_objects: deadObjects,
    orphan_list: orphanNames,
    problems,
    problem_list: kept,
    problem_list_complete: kept.length === problems,
    notes,
  };
};
