/**
 * The executable schema: from arguments to the verbs of the Event Hub. Rights are the broker's affair, as everywhere.
 * @module
 */
import { buildSchema, type GraphQLFieldResolver, type GraphQLSchema } from "graphql";
import type { Principal } from "../../auth/contract.ts";
import { parseAge } from "../../core/duration.ts";
import { assert, StreamError } from "../../core/errors.ts";
import type { EventType } from "../../core/event.ts";
import { parseRfc3339 } from "../../core/start.ts";
import type { EventFilter, EventHub, EventQuery } from "../../hub/contract.ts";
import { openEventQueue } from "./event-queue.ts";
import { eventNode, metricsNode, minutesUpTo } from "./nodes.ts";
import { eventsDefault, eventsMax, lastEventsDefault, minutesMax, typeDefinitions } from "./type-definitions.ts";

/** What every field may ask for. */
export interface GraphqlContext {
  readonly caller: Principal;
  /** Told of every stream that was opened, where it may turn out that nobody can take it. */
  readonly opened?: (stream: AsyncIterator<unknown>) => void;
}

/** What the schema is made of. */
export interface SchemaOptions {
  readonly hub: EventHub;
  /** Unix milliseconds now. */
  readonly nowMs: () => number;
}

/** Arguments as GraphQL gives them: null stands for "not said", too. */
interface FilterArguments {
  readonly eventType?: EventType | null;
  readonly userId?: string | null;
  readonly cursor?: string | null;
}

interface PageArguments extends FilterArguments {
  readonly limit?: number | null;
  readonly order?: "newest" | "oldest" | null;
  readonly since?: string | null;
}

/** Makes the schema. */
export const createEventSchema = (options: SchemaOptions): GraphQLSchema => {
  const schema = buildSchema(typeDefinitions);
  const queries = schema.getQueryType()?.getFields() ?? {};
  for (const [name, resolve] of Object.entries(resolversOf(options))) {
    const field = queries[name];
    assert(field !== undefined, `${name} is a field of the schema`);
    field.resolve = resolve;
  }
  const stream = schema.getSubscriptionType()?.getFields()["eventStream"];
  assert(stream !== undefined, "the schema has the stream");
  stream.subscribe = (async (_, args, { caller, opened }) => {
    const request = { ...filterOf(args), cursor: args.cursor ?? undefined };
    const queue = await openEventQueue(options.hub, caller.broker, request);
    opened?.(queue);
    return queue;
  }) satisfies Resolver<FilterArguments>;
  return schema;
};

type Resolver<Arguments> = GraphQLFieldResolver<unknown, GraphqlContext, Arguments>;

const resolversOf = ({ hub, nowMs }: SchemaOptions) => ({
  lastEvents: (async (_, args, { caller }) => {
    const page = await hub.list(caller.broker, queryOf(args, lastEventsDefault, nowMs()));
    return page.events.map(({ event }) => eventNode(event));
  }) satisfies Resolver<PageArguments>,
  events: (async (_, args, { caller }) => {
    const page = await hub.list(caller.broker, queryOf(args, eventsDefault, nowMs()));
    const { nextCursor, hasMore } = page;
    return { events: page.events.map(({ event }) => eventNode(event)), nextCursor, hasMore };
  }) satisfies Resolver<PageArguments>,
  event: (async (_, { id }, { caller }) => {
    try {
      const { event } = await hub.event(caller.broker, id);
      return eventNode(event);
    } catch (thrown) {
      if (thrown instanceof StreamError && isGone(thrown)) return null;
      throw thrown;
    }
  }) satisfies Resolver<{ readonly id: string }>,
  aggregatedMetrics: (async (_, { minutes, eventType }, { caller }) => {
    const range = minutesUpTo(nowMs(), within("minutes", minutes ?? 1, minutesMax));
    return metricsNode(await hub.metrics(caller.broker, { ...range, eventType: eventType ?? undefined }), range);
  }) satisfies Resolver<{ readonly minutes?: number | null; readonly eventType?: EventType | null }>,
});

const isGone = ({ code }: StreamError): boolean => code === "event_not_found" || code === "message_expired";

const filterOf = ({ eventType, userId }: FilterArguments): EventFilter => ({
  eventType: eventType ?? undefined,
  userId: userId ?? undefined,
});

const queryOf = (args: PageArguments, limitDefault: number, now: number): EventQuery => ({
  ...filterOf(args),
  limit: within("limit", args.limit ?? limitDefault, eventsMax),
  order: args.order ?? undefined,
  cursor: args.cursor ?? undefined,
  sinceMs: args.since == null ? undefined : sinceMsOf(args.since, now),
});

/** @throws StreamError `invalid_parameter` */
const within = (parameter: string, value: number, max: number): number => {
  if (value >= 1 && value <= max) return value;
  throw new StreamError("invalid_parameter", `${parameter} must be 1 to ${max}.`, { parameter });
};

/** @throws StreamError `invalid_parameter` */
const sinceMsOf = (raw: string, now: number): number => {
  const ageMs = parseAge(raw);
  const sinceMs = ageMs === undefined ? parseRfc3339(raw) : now - ageMs;
  if (sinceMs !== undefined) return sinceMs;
  throw new StreamError("invalid_parameter", "since must be an RFC 3339 time or an age such as 10m (ms s m h d w).", {
    parameter: "since",
  });
};
