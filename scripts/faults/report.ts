/**
 * What is printed at the end.
 * @module
 */
import type { Campaign } from "./campaign.ts";
import type { Latency } from "./latency.ts";

/** Columns as wide as what is in them; the first is text, the others are numbers. */
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
};

/** The closing table of a campaign, then what was violated. */
export const campaignTable = ({ seed, rounds, elapsedMs, faults, violations }: Campaign): string => {
  const head = ["fault", "rounds", "messages", "failed attempts", "slowest answer ms", "again after ms", "violations"];
  const rows = faults.map((fault) => [
    fault.name,
    ...[fault.rounds, fault.messages, fault.failures, fault.settledMsMax, fault.againMsMax, fault.violations].map(
      (number) => String(Math.round(number)),
    ),
  ]);
  const messages = faults.reduce((sum, fault) => sum + fault.messages, 0);
  const minutes = (elapsedMs / 60_000).toFixed(1);
  const shown = violations.map((violation) => `VIOLATED: ${violation}\n`).join("");
  return `\n${table(head, rows)}\nseed ${seed}: ${rounds} rounds, ${messages} messages, ${minutes} minutes, ${violations.length} violations\n${shown}`;
};

/** The table of a measurement. */
export const latencyTable = ({ count, rows }: Latency): string =>
  table(
    [`${count} messages, one at a time (ms)`, "p50", "p90", "p99", "max"],
    rows.map(({ name, p50, p90, p99, max }) => [name, ...[p50, p90, p99, max].map((ms) => ms.toFixed(2))]),
  );
