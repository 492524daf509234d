/**
 * Minutes an hour at a time. A block is never changed: where a minute changes, another block takes its place, so that
 * whatever was made of a block may be kept for as long as the block is there.
 * @module
 */
import { emptyMinute, type MinuteTotals, parseMinuteKey, readMinute } from "../codec/event-metrics.ts";
import type { EventType } from "../core/event.ts";
import type { MinuteBlock, MinuteMetrics } from "./contract.ts";

/** Length of a whole block, in milliseconds. */
export const hourMs = 60 * 60 * 1000;

/** Where the hour of a time begins, Unix milliseconds. */
export const hourOf = (timeMs: number): number => Math.floor(timeMs / hourMs) * hourMs;

/** A row, or what was one: null. */
export interface MinuteRow {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** Blocks by the beginnings of their hours; hours without minutes are left out. */
export type Hours = ReadonlyMap<number, MinuteBlock>;

/** Hours with rows laid over them. Rows of other hours than `fromMs` to `toMs`, and those of no minute, are left out. */
export const withRows = (before: Hours, rows: readonly MinuteRow[], fromMs: number, toMs: number): Hours => {
  const changed = new Map<number, MinuteMetrics[]>();
  for (const { key, value } of rows) {
    const named = parseMinuteKey(key);
    if (named === undefined || named.minuteMs < fromMs || named.minuteMs >= toMs) continue;
    const hour = hourOf(named.minuteMs);
    const minutes = changed.get(hour) ?? [...(before.get(hour)?.minutes ?? [])];
    changed.set(hour, minutes);
    putMinute(minutes, named, value);
  }
  if (changed.size === 0) return before;
  const hours = new Map(before);
  for (const [hour, minutes] of changed) {
    if (minutes.length === 0) hours.delete(hour);
    else hours.set(hour, blockOf(minutes));
  }
  return hours;
};

type MinuteName = Pick<MinuteMetrics, "minuteMs" | "eventType">;

/** In the order of the keys. */
const compare = (a: MinuteName, b: MinuteName): number =>
  a.minuteMs - b.minuteMs || (a.eventType < b.eventType ? -1 : a.eventType > b.eventType ? 1 : 0);

const putMinute = (minutes: MinuteMetrics[], named: MinuteName, value: Uint8Array | null): void => {
  // Nearly always it is the last one, or comes behind it.
  const at = minutes.findLastIndex((each) => compare(each, named) <= 0);
  const found = minutes[at];
  const isThere = found !== undefined && compare(found, named) === 0;
  if (value !== null) minutes.splice(isThere ? at : at + 1, isThere ? 1 : 0, { ...named, ...readMinute(value) });
  else if (isThere) minutes.splice(at, 1);
};

const blockOf = (minutes: readonly MinuteMetrics[]): MinuteBlock => {
  const totals = new Map<EventType, MinuteTotals>();
  for (const minute of minutes) addTo(totals, minute.eventType, minute);
  return { minutes, totals };
};

const addTo = (totals: Map<EventType, MinuteTotals>, type: EventType, more: MinuteTotals): void => {
  totals.set(type, addedTotals(totals.get(type) ?? emptyMinute, more));
};

/** What both come to. */
export const addedTotals = (a: MinuteTotals, b: MinuteTotals): MinuteTotals => ({
  count: a.count + b.count,
  sumCents: a.sumCents + b.sumCents,
  lateCount: a.lateCount + b.lateCount,
  lateSumCents: a.lateSumCents + b.lateSumCents,
});

/** What blocks come to, by type; types without minutes are left out. */
export const totalsOf = (blocks: readonly MinuteBlock[]): ReadonlyMap<EventType, MinuteTotals> => {
  const totals = new Map<EventType, MinuteTotals>();
  for (const block of blocks) for (const [type, more] of block.totals) addTo(totals, type, more);
  return totals;
};

/** Which minutes. */
export interface MinuteSpan {
  /** Inclusive. */
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  readonly eventType?: EventType | undefined;
}

/** The last part that was cut out of a block: the next request mostly asks for the same. */
const cuts = new WeakMap<MinuteBlock, MinuteSpan & { readonly part: MinuteBlock }>();

/** What of a block is in a span; the block itself where that is all of it. */
const cut = (block: MinuteBlock, { fromMs, toMs, eventType }: MinuteSpan): MinuteBlock => {
  const [first, last] = [block.minutes[0]?.minuteMs ?? fromMs, block.minutes.at(-1)?.minuteMs ?? fromMs];
  if (first >= fromMs && last < toMs && eventType === undefined) return block;
  const span = { fromMs: Math.max(fromMs, first), toMs: Math.min(toMs, last + 1), eventType };
  const known = cuts.get(block);
  if (known?.fromMs === span.fromMs && known.toMs === span.toMs && known.eventType === eventType) return known.part;
  const isIn = (minute: MinuteMetrics): boolean =>
    minute.minuteMs >= fromMs && minute.minuteMs < toMs && (eventType === undefined || minute.eventType === eventType);
  const part = blockOf(block.minutes.filter(isIn));
  cuts.set(block, { ...span, part });
  return part;
};

/** Blocks of a span in the order of the hours; none is empty. */
export const blocksIn = (hours: Hours, span: MinuteSpan): readonly MinuteBlock[] => {
  const blocks: MinuteBlock[] = [];
  for (let hour = hourOf(span.fromMs); hour < span.toMs; hour += hourMs) {
    const block = hours.get(hour);
    const part = block && cut(block, span);
    if (part !== undefined && part.minutes.length > 0) blocks.push(part);
  }
  return blocks;
};
