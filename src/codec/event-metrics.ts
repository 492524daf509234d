/**
 * Rows of the metrics actor: sums over one minute of event time and one type of events. The actor writes them, the Event
 * Hub reads them.
 * @module
 */
import { type EventType, eventTypes } from "../core/event.ts";
import type { ConsumerName } from "../core/subject.ts";

/** Name of the actor that writes them. */
export const metricsActorName = "metrics" as ConsumerName;

/** Length of a window, in milliseconds. */
export const minuteMs = 60_000;

/** What is counted of one minute and type. */
export interface MinuteTotals {
  readonly count: number;
  /** Exact. */
  readonly sumCents: bigint;
  /** Events that came later than the set lateness: in `count` and `sumCents` they are not. */
  readonly lateCount: number;
  readonly lateSumCents: bigint;
}

/** A minute without events. */
export const emptyMinute: MinuteTotals = { count: 0, sumCents: 0n, lateCount: 0, lateSumCents: 0n };

/** Where the minute of a time begins, Unix milliseconds. */
export const minuteOf = (timeMs: number): number => timeMs - (timeMs % minuteMs);

/** Digits of a time in a key: in the order of the bytes up to the year 2286. */
const timeDigits = 13;

const timeKey = (timeMs: number): string => `m/${String(timeMs).padStart(timeDigits, "0")}/`;

/** Key of the row of a minute and type. @param startMs start of the minute, from 0 */
export const minuteKey = (startMs: number, type: EventType): string => timeKey(startMs) + type;

/** Keys of all rows of the minutes `fromMs` (inclusive) to `toMs` (exclusive). */
export const minuteRange = (fromMs: number, toMs: number): { readonly from: string; readonly to: string } => ({
  from: timeKey(Math.max(0, fromMs)),
  to: timeKey(Math.max(0, toMs)),
});

/** What a key names; undefined when it is none of a minute. */
export const parseMinuteKey = (
  key: string,
): { readonly minuteMs: number; readonly eventType: EventType } | undefined => {
  if (!/^m\/\d{13}\//.test(key)) return undefined;
  const named = key.slice(3 + timeDigits);
  const eventType = eventTypes.find((type) => type === named);
  return eventType === undefined ? undefined : { minuteMs: Number(key.slice(2, 2 + timeDigits)), eventType };
};

/** The bytes of a row. */
export const writeMinute = ({ count, sumCents, lateCount, lateSumCents }: MinuteTotals): Uint8Array =>
  Buffer.from(
    `{"count":${count},"sum":"${sumCents}","late_count":${lateCount},"late_sum":"${lateSumCents}"}`,
    "latin1",
  );

const minutePattern = /^\{"count":(\d+),"sum":"(\d+)","late_count":(\d+),"late_sum":"(\d+)"\}$/;

/** @throws Error when the bytes are none of a row */
export const readMinute = (bytes: Uint8Array): MinuteTotals => {
  const match = minutePattern.exec(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1"));
  if (match === null) throw new Error("A row of the metrics actor cannot be read; rebuild the actor.");
  return {
    count: Number(match[1]),
    sumCents: BigInt(match[2] ?? 0),
    lateCount: Number(match[3]),
    lateSumCents: BigInt(match[4] ?? 0),
  };
};
