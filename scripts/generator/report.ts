/**
 * How a run is shown: a line while it lasts, a table at its end.
 * @module
 */
import { amountText } from "../../src/codec/event.ts";
import { eventTypes } from "../../src/core/event.ts";
import { showLine } from "../command/progress.ts";
import { latencyText } from "../load-test/report.ts";
import type { Options } from "./options.ts";
import type { Outcome, Progress } from "./run.ts";
import type { TypeTally } from "./tally.ts";
import type { Verification } from "./verify.ts";

/** Behind by more than this is said. */
const behindMsMin = 100;

const number = (value: number): string => value.toLocaleString("en-US");

/** Shows the progress on standard error until it is stopped. */
export const showProgress = (progress: () => Progress): (() => void) => {
  const startMs = performance.now();
  let lastMs = startMs;
  let lastStored = 0;
  return showLine(() => {
    const nowMs = performance.now();
    const { sent, stored, failed } = progress();
    const perSecond = ((stored - lastStored) * 1000) / (nowMs - lastMs);
    lastMs = nowMs;
    lastStored = stored;
    return [
      `${((nowMs - startMs) / 1000).toFixed(1).padStart(6)} s`,
      `sent ${number(sent)}`,
      `stored ${number(stored)}`,
      `${number(Math.round(perSecond))}/s`,
      `failed ${number(failed)}`,
    ].join("  ");
  });
};

/** What is not as it must be; nothing when all is well. */
export const problemsOf = ({ tally }: Outcome, verification: Verification | undefined): readonly string[] => [
  ...(tally.sent === 0 ? ["nothing was sent"] : []),
  ...(tally.failed > 0
    ? [`${number(tally.failed)} sends failed; the first: ${tally.firstFailure ?? "not named"}`]
    : []),
  ...tally.violations(),
  ...(verification?.differences ?? []),
];

const perSecond = ({ tally, tookMs }: Outcome): number => (tookMs > 0 ? (tally.answered * 1000) / tookMs : 0);

const totalOf = (types: readonly TypeTally[]): TypeTally =>
  types.reduce((sum, type) => ({
    sent: sum.sent + type.sent,
    repeats: sum.repeats + type.repeats,
    stored: sum.stored + type.stored,
    cents: sum.cents + type.cents,
    late: sum.late + type.late,
    failed: sum.failed + type.failed,
  }));

const rowOf = (name: string, { sent, repeats, stored, late, failed, cents }: TypeTally): readonly string[] => [
  name,
  ...[sent, repeats, failed, stored, late].map(number),
  amountText(cents),
];

/** Columns as wide as what is in them; the first is text, the others are numbers. */
const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))))
    .map((row) => `${row.join("  ")}\n`)
    .join("");
};

/** The closing table, then what is not as it must be. */
export const outcomeText = (options: Options, outcome: Outcome, verification: Verification | undefined): string => {
  const { tally, tookMs, unsent, behindMs, isInterrupted } = outcome;
  const rows = eventTypes.map((type) => rowOf(type, tally.types[type]));
  const total = rowOf("all", totalOf(eventTypes.map((type) => tally.types[type])));
  const latency = tally.latency.summary();
  const refusals = [...tally.refusals].map(([code, count]) => `${code} ${number(count)}`).join(", ");
  const wanted =
    options.ratePerSecond === undefined ? "as many as it takes" : `${number(options.ratePerSecond)}/s wanted`;
  const facts: (readonly [string, string])[] = [
    ["rate", `${number(Math.round(perSecond(outcome)))} events/s in ${(tookMs / 1000).toFixed(2)} s, ${wanted}`],
    ...(latency === undefined
      ? []
      : ([
          [
            "latency",
            `p50 ${latencyText(latency.p50)}  p99 ${latencyText(latency.p99)}  p99.9 ${latencyText(latency.p99_9)}  ` +
              `max ${latencyText(latency.max)}`,
          ],
        ] as const)),
    ["refused", refusals === "" ? "none" : refusals],
    ...(behindMs < behindMsMin
      ? []
      : ([["behind", `events left up to ${latencyText(behindMs * 1000)} late`]] as const)),
    ...(unsent === 0 ? [] : ([["unsent", `${number(unsent)} events, as the time was over`]] as const)),
    ["verified", verifiedText(verification)],
    ...(isInterrupted ? ([["ended", "by a signal; the figures are of what was done until then"]] as const) : []),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`).join("");
  const problems = problemsOf(outcome, verification);
  const verdict = problems.length === 0 ? "ok\n" : problems.map((problem) => `NOT OK: ${problem}\n`).join("");
  const head = ["event", "sent", "repeats", "failed", "stored", "late", "amount"];
  return `${options.url} over ${options.transport}\n\n${table([head, ...rows, total])}\n${lines}${verdict}`;
};

const verifiedText = (verification: Verification | undefined): string => {
  if (verification === undefined) return "no (--verify)";
  const { minutes, events, differences } = verification;
  const what = `${number(events)} events, ${number(minutes)} minutes and types`;
  return differences.length === 0 ? `${what}: all counted, to the cent` : `${what}: NOT as sent`;
};

/** The same for programs. */
export const outcomeJson = (options: Options, outcome: Outcome, verification: Verification | undefined): string => {
  const { tally, tookMs, unsent, behindMs, isInterrupted } = outcome;
  const problems = problemsOf(outcome, verification);
  const { url, transport, seed, batch, window, ratePerSecond } = options;
  return `${JSON.stringify({
    ok: problems.length === 0,
    ...{ url, transport, seed, batch, window, rate: ratePerSecond ?? null },
    sent: tally.sent,
    stored: tally.stored,
    duplicates: tally.duplicates,
    failed: tally.failed,
    refusals: Object.fromEntries(tally.refusals),
    types: Object.fromEntries(
      eventTypes.map((type) => {
        const { cents, ...counts } = tally.types[type];
        return [type, { ...counts, amount: amountText(cents) }];
      }),
    ),
    seconds: tookMs / 1000,
    per_second: perSecond(outcome),
    latency_us: tally.latency.summary() ?? null,
    behind_ms: behindMs,
    unsent,
    interrupted: isInterrupted,
    verified: verification ?? null,
    problems,
  })}\n`;
};
