/**
 * The metrics of the Event Hub: count and sum of the events of each minute in which they happened, by type. What comes
 * later than the set lateness is counted apart, in the same row. All of it follows from the stored events alone, so that
 * a rebuild comes to the same figures; after the lateness was changed, a rebuild makes them as if it had always been so.
 * @module
 */
import { readEvent } from "../src/codec/event.ts";
import {
  emptyMinute,
  type MinuteTotals,
  metricsActorName,
  minuteKey,
  minuteOf,
  readMinute,
  writeMinute,
} from "../src/codec/event-metrics.ts";
import { eventsFilter } from "../src/core/event.ts";
import { type ActorDefinition, type ActorSettings, defineActor } from "./define.ts";

/** Makes the actor. */
export default ({ eventsLatenessMs }: ActorSettings): ActorDefinition =>
  defineActor({
    name: metricsActorName,
    filter: eventsFilter,
    /** Messages on subjects of events that are none. */
    state: { malformed: 0 },
    rows: { write: writeMinute, read: readMinute, isImmutable: true },
    onMessage(message, { state, table }): void | Promise<void> {
      const event = readEvent(message);
      if (event === undefined) {
        state.malformed++;
        return;
      }
      const key = minuteKey(minuteOf(event.occurredAtMs), event.eventType);
      const isLate = event.receivedAtMs - event.occurredAtMs > eventsLatenessMs;
      const add = (totals: MinuteTotals = emptyMinute): void =>
        table.put(key, withEvent(totals, event.amountCents, isLate));
      const known = table.get(key);
      // Nearly always it is the minute of the event before: no turn is waited for.
      if (known instanceof Promise) return known.then(add);
      add(known);
    },
  });

const withEvent = (
  { count, sumCents, lateCount, lateSumCents }: MinuteTotals,
  cents: number,
  isLate: boolean,
): MinuteTotals =>
  isLate
    ? { count, sumCents, lateCount: lateCount + 1, lateSumCents: lateSumCents + BigInt(cents) }
    : { count: count + 1, sumCents: sumCents + BigInt(cents), lateCount, lateSumCents };
