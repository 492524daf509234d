/**
 * Events on their way out: pages, and one by its id.
 * @module
 */
import { cloudEventView } from "../../../codec/cloud-event.ts";
import { eventTypeOfName, eventView, isUserId } from "../../../codec/event.ts";
import { parseAge } from "../../../core/duration.ts";
import { type EventType, eventTypes } from "../../../core/event.ts";
import { parseRfc3339 } from "../../../core/start.ts";
import type { EventFilter, EventHub, EventQuery } from "../../../hub/contract.ts";
import { mediaTypes } from "../accept.ts";
import { structuredResponse } from "../answer.ts";
import { invalidParameter, type Query, queryInteger } from "../query.ts";
import { type HttpCall, pathParameter } from "../route.ts";
import { attributeHeaders } from "./binary-mode.ts";

/** Query parameters of a page. */
export const listQuery = ["limit", "since", "event_type", "user_id", "order", "cursor"] as const;

/** Events of one page, and how many when the caller does not say. */
export const pageEventsMax = 1000;
const pageEventsDefault = 100;

const orders = ["newest", "oldest"] as const;

/** Which events a query asks for. @throws StreamError `invalid_parameter` */
export const eventFilter = (query: Query): EventFilter => ({ eventType: eventTypeOf(query), userId: userIdOf(query) });

/** @throws StreamError `invalid_parameter` */
export const eventTypeOf = (query: Query): EventType | undefined => {
  const raw = query.get("event_type");
  if (raw === undefined) return undefined;
  const type = eventTypeOfName(raw);
  if (type !== undefined) return type;
  throw invalidParameter("event_type", `event_type must be one of ${eventTypes.join(", ")}.`);
};

const userIdOf = (query: Query): string | undefined => {
  const raw = query.get("user_id");
  if (raw === undefined || isUserId(raw)) return raw;
  throw invalidParameter("user_id", "user_id must be 1 to 255 characters without control characters.");
};

/** The whole query of a page. @throws StreamError `invalid_parameter` */
export const pageQuery = (query: Query): EventQuery => {
  const order = query.get("order");
  const known = orders.find((each) => each === order);
  if (order !== undefined && known === undefined) {
    throw invalidParameter("order", `order must be one of ${orders.join(", ")}.`);
  }
  return {
    ...eventFilter(query),
    limit: queryInteger(query, "limit", { min: 1, max: pageEventsMax }, pageEventsDefault),
    order: known,
    sinceMs: sinceOf(query),
    cursor: query.get("cursor"),
  };
};

const sinceOf = (query: Query): number | undefined => {
  const raw = query.get("since");
  if (raw === undefined) return undefined;
  const ageMs = parseAge(raw);
  if (ageMs !== undefined) return Math.max(0, Date.now() - ageMs);
  const timeMs = parseRfc3339(raw);
  if (timeMs !== undefined) return Math.max(0, timeMs);
  throw invalidParameter("since", "since must be an RFC 3339 time, or an age such as 10m (ms s m h d w).");
};

/** One page, newest events first unless asked otherwise. */
export const listEvents = async ({ query, broker, representation }: HttpCall, hub: EventHub): Promise<Response> => {
  const { events, nextCursor, hasMore } = await hub.list(broker, pageQuery(query));
  if (representation === "cloudBatch") {
    return Response.json(
      events.map(({ event, headers }) => cloudEventView(event, headers)),
      {
        headers: {
          ...answerHeaders,
          "content-type": mediaTypes.cloudBatch[0],
          "x-has-more": String(hasMore),
          ...(nextCursor === undefined ? {} : { "x-next-cursor": nextCursor }),
        },
      },
    );
  }
  const views = events.map(({ event }) => eventView(event));
  const page = { events: views, next_cursor: nextCursor ?? null, has_more: hasMore };
  return structuredResponse(page, representation, 200, answerHeaders);
};

const answerHeaders = { "cache-control": "no-store", vary: "Accept" };

/** One event; its CloudEvents attributes stand in the headers, or around it. */
export const showEvent = async (call: HttpCall, hub: EventHub): Promise<Response> => {
  const stored = await hub.event(call.broker, pathParameter(call, "id"));
  if (call.representation === "cloudEvent") {
    const headers = { ...answerHeaders, "content-type": mediaTypes.cloudEvent[0] };
    return Response.json(cloudEventView(stored.event, stored.headers), { headers });
  }
  const headers = { ...attributeHeaders(stored), ...answerHeaders };
  return structuredResponse(eventView(stored.event), call.representation, 200, headers);
};
