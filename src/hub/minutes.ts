/**
 * The minutes that the metrics actor has counted. They are read from its table once; after that each request asks the
 * store only for what has changed since, in old minutes as in new ones, so that it answers what the table says at the
 * time of the request. That a store can tell is not taken for granted: where it cannot, all is read anew.
 * @module
 */
import type { Broker, RowsMark } from "../broker/contract.ts";
import { metricsActorName, minuteRange } from "../codec/event-metrics.ts";
import { pageMessagesMax } from "../core/limits.ts";
import { blocksIn, type Hours, hourMs, hourOf, type MinuteSpan, withRows } from "./blocks.ts";
import type { MinuteBlock } from "./contract.ts";

/** Longest stretch of minutes that is kept: two weeks. */
const knownMsMax = 14 * 24 * hourMs;
/** How often all is read anew, as the actor is rebuilt meanwhile, before the rows are taken as they come. */
const attemptsMax = 3;

/** Whole hours of the table at one moment, the mark. Never changed, so that requests may share it. */
interface KnownMinutes {
  readonly mark: RowsMark;
  /** Inclusive. */
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  readonly hours: Hours;
}

/** Reads minutes, and keeps those that were read last. */
export class MinuteReader {
  /** Of any moment: each is as good to go on from. */
  #known: KnownMinutes | undefined;

  /** @throws StreamError `actor_not_found` */
  async read(broker: Broker, span: MinuteSpan): Promise<readonly MinuteBlock[]> {
    const fromMs = hourOf(Math.max(0, span.fromMs));
    const whole = { fromMs, toMs: Math.max(fromMs, hourOf(span.toMs + hourMs - 1)) };
    const hours = await this.#hours(broker, whole);
    return blocksIn(hours, { ...span, fromMs: Math.max(0, span.fromMs) });
  }

  async #hours(broker: Broker, span: MinuteSpan): Promise<Hours> {
    let known = this.#known;
    if (known !== undefined && !isNear(known, span)) known = undefined;
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      // The mark comes first: whatever changes while rows are read is among the changes, too.
      const mark = known?.mark ?? (await broker.actorRowChanges(metricsActorName, undefined, 0)).mark;
      const wide = await widened(broker, known ?? nothing(mark, span), span);
      const changes = await broker.actorRowChanges(metricsActorName, mark, pageMessagesMax);
      if (changes.rows !== undefined) {
        const { fromMs, toMs } = wide;
        const hours = withRows(wide.hours, changes.rows, fromMs, toMs);
        this.#known = { mark: changes.mark, fromMs, toMs, hours };
        return hours;
      }
      known = undefined;
    }
    const none = "" as RowsMark;
    return (await widened(broker, nothing(none, span), span)).hours;
  }
}

const nothing = (mark: RowsMark, { fromMs }: MinuteSpan): KnownMinutes => ({
  mark,
  fromMs,
  toMs: fromMs,
  hours: new Map(),
});

/** Whether both and what is between them may be kept. */
const isNear = (known: KnownMinutes, span: MinuteSpan): boolean =>
  Math.max(known.toMs, span.toMs) - Math.min(known.fromMs, span.fromMs) <= knownMsMax;

/** With what is missing of a span, read after the mark. */
const widened = async (broker: Broker, known: KnownMinutes, span: MinuteSpan): Promise<KnownMinutes> => {
  let { fromMs, toMs, hours } = known;
  if (span.fromMs < fromMs) {
    hours = await withTable(broker, hours, span.fromMs, fromMs);
    fromMs = span.fromMs;
  }
  if (span.toMs > toMs) {
    hours = await withTable(broker, hours, toMs, span.toMs);
    toMs = span.toMs;
  }
  return { mark: known.mark, fromMs, toMs, hours };
};

/** Hours with what the table says of others. */
const withTable = async (broker: Broker, before: Hours, fromMs: number, toMs: number): Promise<Hours> => {
  let hours = before;
  const { from, to } = minuteRange(fromMs, toMs);
  for (let next = from; ; ) {
    const rows = await broker.actorRows(metricsActorName, { from: next, to, limit: pageMessagesMax });
    hours = withRows(hours, rows, fromMs, toMs);
    const last = rows.at(-1);
    if (rows.length < pageMessagesMax || last === undefined) return hours;
    // The next key in byte order.
    next = `${last.key}\0`;
  }
};
