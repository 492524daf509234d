/**
 * How results are shown: one Markdown table with what is needed to judge it, or one JSON object.
 * @module
 */
import { diskSpread } from "./disk.ts";
import type { Results, RowResult } from "./run.ts";
import type { Reading, Unit } from "./scenario.ts";
import { meets, ratiosTo, type Spread, spreadOf, type Target } from "./statistics.ts";

/** A figure with its unit, as exact as it is worth. */
export const figureText = (value: number, unit: Unit): string => {
  switch (unit) {
    case "/s":
      return `${grouped(value)}/s`;
    case "s":
      return `${value.toFixed(1)} s`;
    case "ms":
      return `${value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)} ms`;
    case "MB":
      return `${value.toFixed(0)} MB`;
    case "B":
      return `${grouped(value)} B`;
    case "x":
      return `${value.toFixed(2)} x`;
    case "%":
      return `${value.toFixed(2)} %`;
  }
};

const grouped = (value: number): string => Math.round(value).toLocaleString("en-US");

/** The median, and the ends when there were several rounds. */
export const spreadText = (spread: Spread | undefined, unit: Unit, rounds: number): string => {
  if (spread === undefined) return "not measured";
  const median = figureText(spread.median, unit);
  return rounds < 2 ? median : `${median} (${figureText(spread.min, unit)} – ${figureText(spread.max, unit)})`;
};

const targetText = (target: Target, unit: Unit): string =>
  "atLeast" in target ? `≥ ${figureText(target.atLeast, unit)}` : `≤ ${figureText(target.atMost, unit)}`;

const valuesOf = (readings: readonly (Reading | undefined)[]): number[] =>
  readings.map((reading) => reading?.value ?? NaN);

const spreadOfReadings = (readings: readonly (Reading | undefined)[]): Spread | undefined =>
  spreadOf(valuesOf(readings).filter((value) => !Number.isNaN(value)));

const mark = (good: boolean): string => (good ? "✓" : "✗");

const targetCell = ({ row, ours }: RowResult): string => {
  if (row.target === undefined) return "";
  const spread = spreadOfReadings(ours);
  const text = targetText(row.target, row.unit);
  return spread === undefined ? text : `${text} ${mark(meets(spread.median, row.target))}`;
};

const ratioCell = ({ row, ours, peers }: RowResult): string => {
  const ratio = row.target && spreadOf(ratiosTo(valuesOf(ours), valuesOf(peers), row.target));
  // What lies below zero, such as a noise of a difference, has no ratio.
  if (ratio === undefined || ratio.min <= 0) return "";
  const text = spreadText(ratio, "x", ours.length);
  if (row.ratio === undefined) return text;
  const { wanted, floor } = row.ratio;
  const verdict = ratio.median >= wanted ? mark(true) : ratio.median >= floor ? "~" : mark(false);
  return `${text}, want ${wanted.toFixed(1)}, at least ${floor.toFixed(1)} ${verdict}`;
};

const tableRow = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

/** The table alone. */
export const tableText = (rows: readonly RowResult[], rounds: number): string => {
  const withPeers = rows.some(({ peerName }) => peerName !== undefined);
  const columns = ["case", "figure", "target", ...(withPeers ? ["peer, same run", "ratio"] : [])];
  const lines = rows.map((result) => {
    const { row, ours, peers, peerName } = result;
    const peer = peerName === undefined ? "" : `${peerName} ${spreadText(spreadOfReadings(peers), row.unit, rounds)}`;
    const own = [row.title, spreadText(spreadOfReadings(ours), row.unit, rounds), targetCell(result)];
    return tableRow([...own, ...(withPeers ? [peer, ratioCell(result)] : [])]);
  });
  return [tableRow(columns), tableRow(columns.map(() => "---")), ...lines].join("\n");
};

/** What readings tell beside their value: medians over the rounds, `name value`. */
export const detailsText = (readings: readonly (Reading | undefined)[]): string => {
  const names = new Set(readings.flatMap((reading) => Object.keys(reading?.details ?? {})));
  return [...names]
    .map((name) => {
      const median = spreadOf(readings.flatMap((reading) => reading?.details?.[name] ?? []))?.median ?? NaN;
      return `${name.replaceAll("_", " ")} ${Number.isInteger(median) ? median : median.toFixed(median < 100 ? 2 : 0)}`;
    })
    .join(", ");
};

const machineText = ({ machine, diskMs, loads, stolen, rounds, quick }: Results): string[] => {
  const disk = diskSpread(diskMs);
  const list = (values: readonly number[]): string => values.map((value) => value.toFixed(2)).join(", ");
  return [
    `- ${machine.cores} cores (${machine.model}), ${(machine.memoryBytes / 1e9).toFixed(0)} GB of memory, ` +
      `Linux ${machine.kernel}, Bun ${machine.bun}, data on ${machine.fileSystem ?? "an unknown file system"}`,
    `- load average before the run ${list(machine.loadBefore)}; before each round ${list(loads)}` +
      (stolen === undefined ? "" : `; ${(stolen * 100).toFixed(1)} % of the processor time went to other machines`),
    ...(disk === undefined
      ? []
      : [
          `- disk: append of 1 KB and fdatasync, min / median / max of ${diskMs.length} during the run: ` +
            [disk.min, disk.median, disk.max].map((ms) => figureText(ms, "ms")).join(" / "),
        ]),
    `- ${rounds === 1 ? "one round" : `medians of ${rounds} rounds (min – max)`}; server, generator and peer share the cores` +
      (quick ? "; --quick: smaller than the real run, not to be quoted" : ""),
  ];
};

/** The whole result for people, in Markdown. */
export const markdown = (results: Results): string => {
  const { rows, rounds, failures, hints } = results;
  const details = rows.flatMap(({ row, ours, peers, peerName }) => {
    const own = detailsText(ours);
    const other = peerName === undefined ? "" : detailsText(peers);
    const both = [own, other === "" ? "" : `${peerName ?? ""}: ${other}`].filter((text) => text !== "");
    return both.length === 0 ? [] : [`- ${row.title}: ${both.join("; ")}`];
  });
  const parts = [
    machineText(results).join("\n"),
    tableText(rows, rounds),
    ...(details.length === 0 ? [] : [`Medians beside the figures:\n\n${details.join("\n")}`]),
    ...hints.map((hint) => `Without a peer: ${hint}.`),
    ...(failures.length === 0 ? [] : [`Not measured:\n\n${failures.map((line) => `- ${line}`).join("\n")}`]),
  ];
  return `${parts.join("\n\n")}\n`;
};

/** The same for programs: every reading of every round. */
export const json = (results: Results): string => {
  const { rows, diskMs, ...rest } = results;
  return `${JSON.stringify({
    ...rest,
    disk_ms: diskSpread(diskMs),
    rows: rows.map(({ row, ours, peerName, peers }) => ({
      ...row,
      figure: spreadOfReadings(ours),
      ours,
      ...(peerName !== undefined && { peer: peerName, peer_figure: spreadOfReadings(peers), peers }),
      ratio: row.target && spreadOf(ratiosTo(valuesOf(ours), valuesOf(peers), row.target)),
    })),
  })}\n`;
};
