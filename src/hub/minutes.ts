/**
 * The minutes that the metrics actor has counted, read from its table.
 * @module
 */
import type { ActorTableRow, Broker } from "../broker/contract.ts";
import { asBuffer } from "../codec/bytes.ts";
import { metricsActorName, minuteRange, parseMinuteKey, readMinute } from "../codec/event-metrics.ts";
import { pageMessagesMax } from "../core/limits.ts";
import type { EventHub, MinuteMetrics } from "./contract.ts";

/** Rows that are remembered: two weeks of minutes of all types. */
const rememberedMax = 14 * 24 * 60 * 3;

/**
 * What rows say. Minutes that are over do not change, so that what was read before is there already; a row that has
 * changed is read anew.
 */
export class MinuteReader {
  readonly #known = new Map<string, { readonly value: Uint8Array; readonly minute: MinuteMetrics }>();

  /** @throws StreamError `actor_not_found` */
  async read(
    broker: Broker,
    { fromMs, toMs, eventType }: Parameters<EventHub["metrics"]>[1],
  ): Promise<readonly MinuteMetrics[]> {
    const minutes: MinuteMetrics[] = [];
    const { from, to } = minuteRange(fromMs, toMs);
    for (let next = from; ; ) {
      const rows = await broker.actorRows(metricsActorName, { from: next, to, limit: pageMessagesMax });
      for (const row of rows) {
        const minute = this.#minute(row);
        if (minute !== undefined && (eventType === undefined || minute.eventType === eventType)) minutes.push(minute);
      }
      const last = rows.at(-1);
      if (rows.length < pageMessagesMax || last === undefined) return minutes;
      // The next key in byte order.
      next = `${last.key}\0`;
    }
  }

  #minute({ key, value }: ActorTableRow): MinuteMetrics | undefined {
    const known = this.#known.get(key);
    if (known !== undefined && asBuffer(known.value).equals(value)) return known.minute;
    const named = parseMinuteKey(key);
    if (named === undefined) return undefined;
    const minute = { ...named, ...readMinute(value) };
    if (this.#known.size >= rememberedMax) this.#known.clear();
    this.#known.set(key, { value, minute });
    return minute;
  }
}
