/**
 * How a run is shown: lines and a progress line while it lasts, a table at its end.
 * @module
 */
import { sizeText } from "../../src/cli/format.ts";
import type { BranchTally } from "./branch-process.ts";
import type { Options } from "./options.ts";
import type { Audience, Outcome, Standing } from "./run.ts";
import type { Objects } from "./stage.ts";

/** Back to the beginning, erase to the end. */
const eraseLine = "\r\u001b[K";
const redrawMsMin = 100;
/** Without a terminal, a line for each such part of the work. */
const plainParts = 5;

/** What everybody sees while it lasts: a line that is redrawn on a terminal, else a line now and then. */
export class Screen implements Audience {
  readonly #terminal: NodeJS.WriteStream;
  readonly #count: number;
  #drawnMs = Number.NEGATIVE_INFINITY;
  #isShown = false;
  #parts = 0;
  #ending: string | undefined;

  constructor(terminal: NodeJS.WriteStream, count: number) {
    this.#terminal = terminal;
    this.#count = count;
  }

  said(line: string): void {
    this.clear();
    this.#terminal.write(`${line}\n`);
  }

  moved(standing: Standing): void {
    if (this.#terminal.isTTY) this.#draw(standing);
    else this.#tell(standing);
  }

  /** Makes room for other output. */
  clear(): void {
    if (this.#isShown) this.#terminal.write(eraseLine);
    this.#isShown = false;
    this.#drawnMs = Number.NEGATIVE_INFINITY;
  }

  #draw(standing: Standing): void {
    const nowMs = performance.now();
    if (nowMs - this.#drawnMs < redrawMsMin) return;
    this.#drawnMs = nowMs;
    this.#isShown = true;
    // A line that wraps cannot be erased.
    this.#terminal.write(`${eraseLine}${this.#text(standing).slice(0, this.#terminal.columns - 1)}`);
  }

  #tell(standing: Standing): void {
    const { published, branches, ending } = standing;
    const total = this.#count * (branches.length + 1);
    const done = branches.reduce((sum, { ackedAtMs }) => sum + ackedAtMs.size, published);
    const parts = Math.floor((done * plainParts) / total);
    const isNew = parts > this.#parts || (ending !== undefined && this.#ending === undefined);
    this.#parts = parts;
    this.#ending = ending;
    if (isNew) this.#terminal.write(`${this.#text(standing)}\n`);
  }

  #text({ published, branches, ending }: Standing): string {
    if (ending !== undefined) return ending;
    const acked = branches.map(({ name, ackedAtMs }) => `${name} ${ackedAtMs.size}`).join(", ");
    return `published ${published} of ${this.#count}; acknowledged: ${acked}`;
  }
}

/** From its publish to its last acknowledgement, for each document, ascending, in milliseconds. */
const lastAckMs = ({ sent, branches }: Outcome): readonly number[] =>
  sent
    .map(({ sequence, atMs }) => Math.max(...branches.map(({ ackedAtMs }) => ackedAtMs.get(sequence) ?? atMs)) - atMs)
    .toSorted((a, b) => a - b);

const quantile = (ascending: readonly number[], share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? 0;

const figuresOf = (outcome: Outcome) => {
  const { sent, tookMs } = outcome;
  const bytes = sent.reduce((sum, document) => sum + document.bytes, 0);
  const packedBytes = sent.reduce((sum, document) => sum + document.packedBytes, 0);
  const waits = lastAckMs(outcome);
  return {
    documents: sent.length,
    ...{ bytes, packedBytes, tookMs },
    bytesPerSecond: tookMs > 0 ? (bytes * 1000) / tookMs : 0,
    lastAckMs: { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) },
  };
};

/** Columns as wide as what is in them; the first is text, the others are numbers. */
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows]
    .map((row) => row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))))
    .map((row) => `${row.join("  ").trimEnd()}\n`)
    .join("");
};

const objectsText = (objects: Objects | undefined): string =>
  objects === undefined ? "not looked at" : `${objects.count} (${sizeText(objects.bytes)})`;

const rowOf = ({ name, received, redelivered, verified, bookings, ackedAtMs, killed }: BranchTally): string[] => [
  name,
  ...[received, redelivered, verified, bookings.length, ackedAtMs.size, killed].map(String),
];

/** The closing table, then what is not as it must be. */
export const outcomeText = (options: Options, outcome: Outcome): string => {
  const { branches, left, violations } = outcome;
  const { documents, bytes, packedBytes, tookMs, bytesPerSecond, lastAckMs: waits } = figuresOf(outcome);
  const head = ["branch", "received", "redelivered", "verified", "booked", "acked", "killed"];
  const objects = [outcome.objectsBefore, outcome.objectsMost, left.objects].map(objectsText).join(" → ");
  const dead = left.diagnosis === undefined ? "" : `, ${left.diagnosis.dead_objects} noted for deletion`;
  const facts: (readonly [string, string])[] = [
    ["documents", `${documents}, ${sizeText(bytes)} of JSON, ${sizeText(packedBytes)} packed`],
    [
      "throughput",
      `${sizeText(Math.round(bytesPerSecond))}/s, to the last acknowledgement in ${(tookMs / 1000).toFixed(2)} s`,
    ],
    ["publish to last ack", `p50 ${waits.p50.toFixed(0)} ms, p99 ${waits.p99.toFixed(0)} ms`],
    ["read back", options.verify ? "all, as published and decoded" : "no (--verify)"],
    ["objects", `${objects} (before, most, after)`],
    ["left", `${left.messages} messages (${sizeText(left.bytes)})${dead}`],
    ["doctor", left.diagnosis === undefined ? "not asked" : `${left.diagnosis.problems} problems`],
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join("");
  const hint = options.remove ? "" : "The documents were left there; with --delete they go when all have them.\n";
  const verdict = violations.length === 0 ? "ok\n" : violations.map((what) => `DIFFERS: ${what}\n`).join("");
  return `\n${table(head, branches.map(rowOf))}\n${lines}${hint}${verdict}`;
};

/** The same for programs. */
export const outcomeJson = (outcome: Outcome): string => {
  const { branches, objectsBefore, objectsMost, left, violations } = outcome;
  const { documents, bytes, packedBytes, tookMs, bytesPerSecond, lastAckMs: waits } = figuresOf(outcome);
  return `${JSON.stringify({
    ok: violations.length === 0,
    ...{ documents, bytes, packed_bytes: packedBytes, took_ms: tookMs, bytes_per_second: bytesPerSecond },
    last_ack_ms: waits,
    branches: branches.map(({ name, received, redelivered, verified, bookings, ackedAtMs, killed }) => ({
      ...{ name, received, redelivered, verified, killed },
      booked: bookings.length,
      acked: ackedAtMs.size,
    })),
    objects: { before: objectsBefore?.count, most: objectsMost?.count, after: left.objects?.count },
    left: { messages: left.messages, bytes: left.bytes },
    doctor: left.diagnosis && {
      problems: left.diagnosis.problems,
      messages: left.diagnosis.messages,
      orphans: left.diagnosis.orphans,
      dead_objects: left.diagnosis.dead_objects,
    },
    violations,
  })}\n`;
};
