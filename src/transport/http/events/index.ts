/**
 * The Event Hub over REST: events in and out, plain or as CloudEvents, live, and their sums by the minute.
 * @module
 */
import type { EventHub } from "../../../hub/contract.ts";
import { structuredForms } from "../answer.ts";
import {
  eventMetricsOperation,
  getEventOperation,
  listEventsOperation,
  sendEventsOperation,
} from "../openapi/events.ts";
import type { HttpServices, Route } from "../route.ts";
import { listEvents, listQuery, showEvent } from "./list.ts";
import { openEventTail } from "./live.ts";
import { showMetrics } from "./metrics.ts";
import { sendEvents } from "./send.ts";

/** The routes of events. */
export const eventRoutes = (services: HttpServices, hub: EventHub): readonly Route[] => [
  {
    method: "POST",
    path: "/events",
    offers: structuredForms,
    handle: (call) => sendEvents(call, hub),
    operation: sendEventsOperation,
  },
  {
    method: "GET",
    path: "/events",
    query: listQuery,
    offers: [...structuredForms, "events", "cloudBatch"],
    handle: (call) => (call.representation === "events" ? openEventTail(call, hub, services) : listEvents(call, hub)),
    operation: listEventsOperation,
  },
  {
    method: "GET",
    path: "/events/metrics",
    query: ["minutes", "event_type"],
    offers: structuredForms,
    handle: (call) => showMetrics(call, hub),
    operation: eventMetricsOperation,
  },
  {
    method: "GET",
    path: "/events/:id",
    offers: [...structuredForms, "cloudEvent"],
    handle: (call) => showEvent(call, hub),
    operation: getEventOperation,
  },
];
