/**
 * How a run is shown: a progress line while it lasts, a summary at its end.
 * @module
 */
import { showLine } from "../command/progress.ts";
import { nowUs } from "./clock.ts";
import { anyViolation, type Violations, violationNames } from "./delivery-check.ts";
import type { LatencySummary } from "./latency.ts";
import type { Options } from "./options.ts";
import type { Outcome, Throughput } from "./outcome.ts";
import type { Progress } from "./run.ts";

const number = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Whether everything was as it must be. */
export const isGood = (outcome: Outcome): boolean => {
  const { violations, broken_connections, publish, delivery, interrupted } = outcome;
  if (anyViolation(violations) || broken_connections > 0) return false;
  const nothing = (publish?.messages ?? 0) === 0 && (delivery?.messages ?? 0) === 0;
  return interrupted || !nothing;
};

/** Shows the progress on standard error until it is stopped. */
export const showProgress = (progress: () => Progress): (() => void) => {
  const startUs = nowUs();
  let lastUs = startUs;
  let last: Progress = { stage: "connecting", acked: 0, delivered: 0, errors: 0 };
  return showLine(() => {
    const now = nowUs();
    const current = progress();
    const line = progressLine(current, last, (now - startUs) / 1e6, (now - lastUs) / 1e6);
    lastUs = now;
    last = current;
    return line;
  });
};

/** One line of progress. */
export const progressLine = (current: Progress, last: Progress, elapsedS: number, sinceS: number): string => {
  const rate = (name: "acked" | "delivered"): string => `${number((current[name] - last[name]) / sinceS)}/s`;
  return [
    `${elapsedS.toFixed(1).padStart(6)} s`,
    current.stage.padEnd(10),
    `publish ${rate("acked")}`,
    `deliver ${rate("delivered")}`,
    `errors ${number(current.errors)}`,
  ].join("  ");
};

/** Microseconds for people. */
export const latencyText = (us: number): string => {
  if (us < 1000) return `${us} µs`;
  return us < 1e6 ? `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms` : `${(us / 1e6).toFixed(2)} s`;
};

const latencyRow = ({ p50, p90, p99, p99_9, max }: LatencySummary): string =>
  `p50 ${latencyText(p50)}  p90 ${latencyText(p90)}  p99 ${latencyText(p99)}  p99.9 ${latencyText(p99_9)}  ` +
  `max ${latencyText(max)}`;

const throughputRows = (name: string, value: Throughput): string[] => [
  `${name.padEnd(10)}${number(value.per_second)} messages/s  ${value.mb_per_second.toFixed(1)} MB/s  ` +
    `(${number(value.messages)} in ${value.seconds.toFixed(2)} s)`,
  ...(value.latency_us === undefined ? [] : [`${" ".repeat(10)}${latencyRow(value.latency_us)}`]),
];

/** What was run, in a line. */
const headline = (options: Options, url: string): string => {
  const { publishers, subscribers, subjects, protocol, batch, window, bodyBytesMin: low, bodyBytesMax: high } = options;
  const sizes = low === high ? `${number(low)} bytes` : `${number(low)}–${number(high)} bytes`;
  const server = options.target.kind === "control" ? "control" : url;
  return (
    `${server}: ${publishers} publishers over ${protocol} (window ${number(window)}, batch ${number(batch)}), ` +
    `${number(subscribers)} subscribers, ${number(subjects)} subjects, ${sizes}`
  );
};

const violationRow = (violations: Violations): string =>
  violationNames.map((name) => `${name.replaceAll("_", " ")} ${number(violations[name])}`).join(", ");

/** Per message: published ones where there are any measured, else delivered ones. */
const cpuRow = ({ cpu_us, publish, delivery }: Outcome, mode: Options["mode"]): string => {
  const counted = mode === "publish" ? publish : delivery;
  const row = (who: string, us: number | undefined): string[] =>
    us === undefined || counted === undefined || counted.messages === 0
      ? []
      : [
          `${who} ${(us / counted.messages).toFixed(2)} µs a message (${(us / 1e6 / counted.seconds).toFixed(2)} cores)`,
        ];
  return [...row("server", cpu_us.server), ...row("generator", cpu_us.generator)].join(", ");
};

/** The summary for people. */
export const summaryText = (options: Options, url: string, outcome: Outcome): string => {
  const { publish, delivery, errors, verified, violations, foreign } = outcome;
  const errorRow = Object.entries(errors).map(([code, count]) => `${code} ${number(count)}`);
  const lines = [
    options.filter === undefined ? headline(options, url) : `${url}: reading ${options.filter}`,
    ...(publish === undefined ? [] : throughputRows("publish", publish)),
    ...(delivery === undefined ? [] : throughputRows(options.mode === "replay" ? "replay" : "deliver", delivery)),
    `processor ${cpuRow(outcome, options.mode)}`,
    `errors    ${errorRow.length === 0 ? "none" : errorRow.join(", ")}`,
    ...(outcome.first_error === undefined ? [] : [`          first: ${outcome.first_error}`]),
    `checked   ${number(verified)} deliveries: ${violationRow(violations)}`,
    ...(foreign > 0 ? [`          ${number(foreign)} messages of others: sequences only`] : []),
    ...(outcome.broken_connections > 0
      ? [`          ${number(outcome.broken_connections)} connections ended before their time`]
      : []),
    ...(outcome.interrupted ? ["interrupted: the numbers are of what was done until then"] : []),
    isGood(outcome) ? "ok" : "NOT OK",
  ];
  return `${lines.join("\n")}\n`;
};

/** The same for programs. */
export const summaryJson = (options: Options, url: string, outcome: Outcome): string =>
  `${JSON.stringify({ url, options, ...outcome, ok: isGood(outcome) })}\n`;
