/**
 * Pages of events over all their types: lanes merged by the time of the commit.
 * @module
 */
import type { Broker } from "../broker/contract.ts";
import { type EventType, eventTypes } from "../core/event.ts";
import type { EventPage, EventQuery, StoredEvent } from "./contract.ts";
import { type EventOrder, readCursor, writeCursor } from "./cursor.ts";
import { type Lane, NewestLane, OldestLane } from "./lane.ts";
import type { RecentEvents } from "./recent.ts";

/** Messages that one request looks at beyond its limit, when a filter by user passes over most of them. */
const lookedMax = 10_000;
/** Least messages in a first window. */
const windowMin = 8;
/** Read ahead of what an even mix of types would need. */
const windowShare = 1.5;

/** Which types are asked for. */
export const typesOf = (eventType: EventType | undefined): readonly EventType[] =>
  eventType === undefined ? eventTypes : [eventType];

/** Reads one page. @throws StreamError `invalid_parameter`, and as `Broker.read` */
export const readEventPage = async (broker: Broker, query: EventQuery, known?: RecentEvents): Promise<EventPage> => {
  const { limit, order = "newest", userId, sinceMs, cursor, eventType } = query;
  const types = typesOf(eventType);
  const positions = cursor === undefined ? undefined : readCursor(cursor, order, broker.epoch, types);
  const share = types.length === 1 ? limit : Math.ceil((limit / types.length) * windowShare);
  const recent = userId === undefined ? known : undefined;
  const options = { broker, recent, userId, sinceMs, window: Math.max(windowMin, Math.min(share, limit)) };
  const lanes = types.map((type): Lane => {
    const position = positions?.get(type);
    return order === "newest" ? new NewestLane(type, options, position) : new OldestLane(type, options, position);
  });
  const events = await merge(lanes, limit, order);
  const hasMore = lanes.some((lane) => lane.next !== undefined || !lane.exhausted);
  const goesOn = hasMore || order === "oldest";
  const nextCursor = goesOn
    ? writeCursor(order, broker.epoch, new Map(lanes.map((lane) => [lane.type, lane.position])))
    : undefined;
  return { events, nextCursor, hasMore };
};

/** Takes events out of the lanes until there are enough, none are left, or too many were passed over. */
const merge = async (lanes: readonly Lane[], limit: number, order: EventOrder): Promise<readonly StoredEvent[]> => {
  const looked = await Promise.all(lanes.map((lane) => lane.fill()));
  let left = limit + lookedMax - sum(looked);
  const events: StoredEvent[] = [];
  while (events.length < limit) {
    const empty = lanes.filter((lane) => lane.next === undefined && !lane.exhausted);
    if (empty.length > 0) {
      // What these lanes have may come before all that is known.
      if (left <= 0) break;
      left -= sum(await Promise.all(empty.map((lane) => lane.fill())));
      continue;
    }
    const lane = foremost(lanes, order);
    if (lane?.next === undefined) break;
    events.push(lane.next);
    lane.shift();
  }
  return events;
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** The lane whose next event comes first; of two of the same millisecond the first in `oldest`, the last in `newest`. */
const foremost = (lanes: readonly Lane[], order: EventOrder): Lane | undefined => {
  let found: Lane | undefined;
  let foundAtMs = 0;
  for (const lane of lanes) {
    if (lane.next === undefined) continue;
    const atMs = lane.next.event.receivedAtMs;
    if (found === undefined || (order === "newest" ? atMs >= foundAtMs : atMs < foundAtMs)) {
      found = lane;
      foundAtMs = atMs;
    }
  }
  return found;
};
