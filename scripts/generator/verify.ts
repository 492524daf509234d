/**
 * Whether the server has counted what was sent: its metrics before and after, minute by minute, to the cent.
 * @module
 */
import { amountText } from "../../src/codec/event.ts";
import { minuteMs, minuteOf } from "../../src/codec/event-metrics.ts";
import { eventTypes } from "../../src/core/event.ts";
import type { Options } from "./options.ts";
import { emptySums, type MinuteSums, minuteName, type Tally } from "./tally.ts";

/** What came of the comparison. */
export interface Verification {
  /** Minutes of one type each. */
  readonly minutes: number;
  readonly events: number;
  readonly differences: readonly string[];
}

/** How long the metrics actor may take to count what is there. */
const countedMsMax = 120_000;
const pollMs = 50;
const answerMsMax = 30_000;
/** A week. */
const minutesMax = 7 * 24 * 60;
/** Minutes that clocks may be apart, and that a run may take to begin. */
const minutesMargin = 3;
const differencesMax = 10;

/** The metrics of some minutes. */
interface Metrics {
  readonly sums: ReadonlyMap<string, MinuteSums>;
  /** Where they end, Unix milliseconds. */
  readonly toMs: number;
}

/** Knows what the server had counted before. */
export class MetricsCheck {
  private constructor(
    private readonly options: Options,
    private readonly sinceMs: number,
    private readonly before: Metrics,
  ) {}

  /** Before the first event. @throws Error when the server has no metrics, or does not come to an end with them */
  static async begin(options: Options): Promise<MetricsCheck> {
    const { late } = options;
    const sinceMs = Date.now() - (late.share > 0 ? late.byMs : 0);
    await counted(options);
    return new MetricsCheck(options, sinceMs, await metricsSince(options, sinceMs));
  }

  /** After the last answer. @throws Error */
  async compare({ minutes, distinct }: Tally): Promise<Verification> {
    const { options, sinceMs, before } = this;
    const lastMs = Math.max(...[...minutes.keys()].map((name) => Number.parseInt(name, 10)));
    await counted(options);
    let after = await metricsSince(options, sinceMs);
    // By the clock of the server the last minute may not have begun.
    for (const endMs = Date.now() + countedMsMax; after.toMs <= lastMs && Date.now() < endMs; ) {
      await Bun.sleep(1000);
      after = await metricsSince(options, sinceMs);
    }
    const differences: string[] = [];
    const names = new Set([...minutes.keys(), ...after.sums.keys()]);
    for (const name of [...names].toSorted()) {
      // Both answers begin somewhat earlier, each by its own clock.
      if (Number.parseInt(name, 10) < minuteOf(sinceMs)) continue;
      const sent = minutes.get(name) ?? emptySums;
      const counted = difference(after.sums.get(name) ?? emptySums, before.sums.get(name) ?? emptySums);
      if (isSame(sent, counted)) continue;
      const [startMs, type] = name.split(" ");
      const minute = new Date(Number(startMs)).toISOString().slice(0, 16);
      differences.push(`${type} at ${minute}Z: sent ${sumsText(sent)}, counted ${sumsText(counted)}`);
    }
    const more = differences.length - differencesMax;
    return {
      minutes: minutes.size,
      events: distinct,
      differences: more > 0 ? [...differences.slice(0, differencesMax), `and ${more} more`] : differences,
    };
  }
}

const difference = (after: MinuteSums, before: MinuteSums): MinuteSums => ({
  count: after.count - before.count,
  cents: after.cents - before.cents,
  lateCount: after.lateCount - before.lateCount,
  lateCents: after.lateCents - before.lateCents,
});

const isSame = (a: MinuteSums, b: MinuteSums): boolean =>
  a.count === b.count && a.cents === b.cents && a.lateCount === b.lateCount && a.lateCents === b.lateCents;

const sumsText = ({ count, cents, lateCount, lateCents }: MinuteSums): string =>
  `${count} (${amountText(cents)})${lateCount === 0 ? "" : ` and late ${lateCount} (${amountText(lateCents)})`}`;

const get = async ({ url, token }: Options, path: string): Promise<unknown> => {
  const response = await fetch(`${url}${path}`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(answerMsMax),
  });
  const answer: unknown = await response.json();
  if (response.ok) return answer;
  const { detail = "" } = answer as { readonly detail?: string };
  throw new Error(`the metrics cannot be read: ${path} answered ${response.status} ${detail}`);
};

/** Resolves when the metrics actor has nothing left to count. */
const counted = async (options: Options): Promise<void> => {
  for (const endMs = Date.now() + countedMsMax; ; ) {
    const { lag, status } = (await get(options, "/v1/actors/metrics")) as {
      readonly lag: number;
      readonly status: string;
    };
    if (lag === 0) return;
    if (Date.now() >= endMs) throw new Error(`the metrics actor (${status}) still has ${lag} messages to count`);
    await Bun.sleep(pollMs);
  }
};

/** A window as the server shows it. */
interface ShownWindow {
  readonly start: string;
  readonly event_type: string;
  readonly event_count: number;
  readonly total_amount_exact: string;
  readonly late_count: number;
  readonly late_amount_exact: string;
}

const metricsSince = async (options: Options, sinceMs: number): Promise<Metrics> => {
  const minutes = Math.ceil((Date.now() - sinceMs) / minuteMs) + minutesMargin;
  if (minutes > minutesMax) throw new Error("the run goes further back than the week that the server shows");
  const { time_window, windows } = (await get(options, `/events/metrics?minutes=${minutes}`)) as {
    readonly time_window: string;
    readonly windows: readonly ShownWindow[];
  };
  const sums = new Map<string, MinuteSums>();
  for (const window of windows) {
    const type = eventTypes.find((known) => known === window.event_type);
    if (type === undefined) continue;
    sums.set(minuteName(Date.parse(window.start), type), {
      count: window.event_count,
      cents: centsOf(window.total_amount_exact),
      lateCount: window.late_count,
      lateCents: centsOf(window.late_amount_exact),
    });
  }
  return { sums, toMs: Date.parse(time_window.split("/")[1] ?? "") };
};

const centsOf = (exact: string): bigint => BigInt(exact.replace(".", ""));
