/**
 * The Event Hub: how many events a second come in over HTTP, and how fast the last ones and the sums of a day come out
 * when a million are stored.
 * @module
 */
import { redisPeer, redisRangePeer } from "../redis.ts";
import type { Bench, Reading, Scenario } from "../scenario.ts";
import { withServer } from "../server.ts";
import { measureRequests, type RequestFigures, requestText } from "./requests.ts";

const connections = 64;
const users = 10_000;
const types = ["purchase", "return", "refund"] as const;
const dayMs = 24 * 60 * 60 * 1000;
const minutesOfDay = 24 * 60;
/** Events of one request of the filling. */
const batch = 5000;

/** An event as JSON, about as long as those of the original document; the same for the same number. */
const eventText = (number: number, timestampMs: number): string =>
  `{"user_id":"user${(number * 7919) % users}","event_type":"${types[number % types.length] ?? "purchase"}",` +
  `"amount":${((number * 104_729) % 100_000) / 100},"timestamp":"${new Date(timestampMs).toISOString()}"}`;

const spell = ({ quick }: Bench) => ({ warmUpMs: quick ? 1000 : 2000, measureMs: quick ? 3000 : 8000 });

const details = ({ p50Ms, p99Ms, maxMs }: RequestFigures) => ({ p50_ms: p50Ms, p99_ms: p99Ms, max_ms: maxMs });

/** POSTs of single events to one path. */
const postRate = (bench: Bench, path: string): Promise<Reading> =>
  withServer(bench.folder, async ({ url }) => {
    let sent = 0;
    const request = (): string => requestText("POST", url, path, eventText(sent++, Date.now()));
    const figures = await measureRequests({ url, connections, request, ...spell(bench) });
    return { value: figures.perSecond, details: details(figures) };
  });

const postTarget = { atLeast: 10_000 };

const post: Scenario = {
  name: "post",
  rows: [{ id: "post", title: `POST /events, ${connections} connections`, unit: "/s", target: postTarget }],
  measure: async (bench) => ({ post: await postRate(bench, "/events") }),
  peer: {
    name: "the same bytes as plain messages",
    missing: () => undefined,
    measure: async (bench) => ({ post: await postRate(bench, "/v1/subjects/events.purchase/messages") }),
  },
};

const postRedis: Scenario = {
  name: "post-redis",
  rows: [{ id: "post-redis", title: "the same beside Redis (XADD, fsync on)", unit: "/s", target: postTarget }],
  measure: async (bench) => ({ "post-redis": await postRate(bench, "/events") }),
  peer: redisPeer(
    "post-redis",
    ({ quick }) => ({
      ...{ clients: connections, pipeline: 1, streams: 1, count: quick ? 40_000 : 150_000 },
      bytes: eventText(1, 0).length,
    }),
    ({ perSecond }) => perSecond,
  ),
};

const storedCount = ({ quick }: Bench): number => (quick ? 100_000 : 1_000_000);

/** Events over the past day, in arrays. @param say told how far it is */
const fill = async (url: string, count: number, say: (text: string) => void): Promise<void> => {
  const startMs = Date.now() - dayMs + 60_000;
  for (let from = 0; from < count; from += batch) {
    const events = Array.from({ length: Math.min(batch, count - from) }, (_, index) =>
      eventText(from + index, startMs + ((from + index) / count) * (dayMs - 120_000)),
    );
    const response = await fetch(new URL("/events", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `[${events.join(",")}]`,
    });
    if (!response.ok) throw new Error(`filling: HTTP ${response.status}: ${(await response.text()).slice(0, 500)}`);
    await response.arrayBuffer();
    say(`filling: ${from + events.length} of ${count} events`);
  }
};

interface Metrics {
  readonly event_count: number;
  readonly late_count: number;
}

const countedMsMax = 300_000;
const pollMs = 200;

/** Waits until the metrics actor has counted them all. @returns how long it took, in milliseconds */
const counted = async (url: string, count: number, say: (text: string) => void): Promise<number> => {
  const startedMs = performance.now();
  while (performance.now() - startedMs < countedMsMax) {
    const response = await fetch(new URL(`/events/metrics?minutes=${minutesOfDay + 60}`, url));
    if (!response.ok) throw new Error(`metrics: HTTP ${response.status}: ${(await response.text()).slice(0, 500)}`);
    const { event_count: inTime, late_count: late } = (await response.json()) as Metrics;
    if (inTime + late >= count) return performance.now() - startedMs;
    say(`counting: ${inTime + late} of ${count} events`);
    await Bun.sleep(pollMs);
  }
  throw new Error("the metrics actor does not come to an end");
};

const storedScenario = (say: (text: string) => void): Scenario => {
  const get = (url: string, path: string | (() => string), bench: Bench): Promise<RequestFigures> => {
    const request = (): string => requestText("GET", url, typeof path === "string" ? path : path());
    return measureRequests({ url, connections: 1, request, warmUpMs: 1000, measureMs: bench.quick ? 2000 : 5000 });
  };
  const reading = (figures: RequestFigures): Reading => ({
    value: figures.p99Ms,
    details: { ...details(figures), a_second: figures.perSecond },
  });
  return {
    name: "stored",
    rows: [
      { id: "last", title: "the last 100 of a million events: p99", unit: "ms", target: { atMost: 5 } },
      {
        id: "last-graphql",
        title: "GraphQL lastEvents(limit: 100), all fields of a million events: p99",
        unit: "ms",
        target: { atMost: 5 },
      },
      { id: "last-type", title: "the same of one type: p99", unit: "ms", target: { atMost: 5 } },
      { id: "older", title: "100 events by a cursor from the middle: p99", unit: "ms" },
      { id: "user", title: `the last events of one of ${users} users, one page: p99`, unit: "ms" },
      { id: "day", title: "sums of a day, by minute and type: p99", unit: "ms", target: { atMost: 10 } },
      {
        id: "day-graphql",
        title: "GraphQL aggregatedMetrics of a day: p99",
        unit: "ms",
        target: { atMost: 10 },
      },
      { id: "counted", title: "the metrics actor is through, after the last event", unit: "s" },
    ],
    measure: (bench) =>
      withServer(bench.folder, async ({ url }) => {
        const count = storedCount(bench);
        await fill(url, count, say);
        const countedMs = await counted(url, count, say);
        const last = await get(url, "/events?limit=100", bench);
        const lastGraphql = await get(url, graphql(`{ lastEvents(limit: 100) { ${fields} } }`), bench);
        const lastType = await get(url, "/events?limit=100&event_type=return", bench);
        const middle = await cursorOf(url, Math.floor(count / 2));
        const older = await get(url, `/events?limit=100&cursor=${middle}`, bench);
        let user = 0;
        const byUser = await get(url, () => `/events?limit=100&user_id=user${user++ % users}`, bench);
        const day = await get(url, `/events/metrics?minutes=${minutesOfDay}`, bench);
        const sums = `{ aggregatedMetrics(minutes: ${minutesOfDay}) { totalAmount eventCount timeWindow } }`;
        const dayGraphql = await get(url, graphql(sums), bench);
        return {
          last: reading(last),
          "last-graphql": reading(lastGraphql),
          "day-graphql": reading(dayGraphql),
          "last-type": reading(lastType),
          older: reading(older),
          user: reading(byUser),
          day: reading(day),
          counted: { value: countedMs / 1000 },
        };
      }),
    peer: redisRangePeer("last", ({ quick }) => ({
      ...{ stored: storedCount({ quick, folder: "" }), range: 100, count: quick ? 5000 : 20_000 },
      bytes: eventText(1, 0).length,
    })),
  };
};

const fields = "id userId eventType amount timestamp";

const graphql = (query: string): string => `/graphql?query=${encodeURIComponent(query)}`;

/** A cursor so many events behind the newest, found page by page. */
const cursorOf = async (url: string, behind: number): Promise<string> => {
  let cursor = "";
  for (let passed = 0; passed < behind; passed += 1000) {
    const next = cursor === "" ? "" : `&cursor=${cursor}`;
    const response = await fetch(new URL(`/events?limit=1000${next}`, url));
    cursor = ((await response.json()) as { readonly next_cursor: string }).next_cursor;
  }
  return cursor;
};

/** In the order of the table. @param say told how far the long steps are */
export const eventScenarios = (say: (text: string) => void): readonly Scenario[] => [
  post,
  postRedis,
  storedScenario(say),
];
