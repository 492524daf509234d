/**
 * The sums of the Event Hub on two servers over Tarantool and MinIO: both answer the same exact sums, whichever of them
 * counts, and none ever answers less than was answered before, by itself or by the other.
 * @module
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SeededRandom } from "../faults/random.ts";
import { useCluster } from "./use-cluster.ts";

setDefaultTimeout(90_000);

const minuteMs = 60_000;
const spanMinutes = 300;
const types = ["purchase", "return", "refund"] as const;
const cluster = useCluster({ nodes: 2 });

interface Shown {
  readonly event_count: number;
  readonly late_count: number;
  readonly windows: readonly {
    readonly start: string;
    readonly event_type: string;
    readonly event_count: number;
    readonly total_amount_exact: string;
    readonly late_count: number;
    readonly late_amount_exact: string;
  }[];
}

const metricsOf = async (url: string): Promise<Shown> => {
  const response = await fetch(`${url}/events/metrics?minutes=${spanMinutes}`);
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  return (await response.json()) as Shown;
};

const countOf = ({ event_count, late_count }: Shown): number => event_count + late_count;

/** Events and cents by minute and type, in time or late. */
type Books = Map<string, { count: number; cents: number }>;

const centsOf = (amount: string): number => Math.round(Number(amount) * 100);

const shownBooks = ({ windows }: Shown): readonly unknown[] =>
  windows.map((window) => [
    `${window.start} ${window.event_type}`,
    window.event_count + window.late_count,
    centsOf(window.total_amount_exact) + centsOf(window.late_amount_exact),
  ]);

const expectedBooks = (books: Books): readonly unknown[] =>
  [...books].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, { count, cents }]) => [key, count, cents]);

/** Publishes some events of new minutes and old ones, and books them. */
const publishSome = async (url: string, random: SeededRandom, books: Books): Promise<number> => {
  const events = Array.from({ length: random.integer(1, 40) }, () => {
    const back = random.integer(0, 1) === 0 ? 1 : spanMinutes - 30;
    const cents = random.integer(1, 100_000);
    const event = {
      user_id: "u",
      event_type: types[random.integer(0, 2)] ?? "purchase",
      amount: (cents / 100).toFixed(2),
      timestamp: new Date(Date.now() - random.integer(0, back) * minuteMs).toISOString(),
    };
    return { event, cents };
  });
  const response = await fetch(`${url}/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events.map(({ event }) => event)),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  for (const { event, cents } of events) {
    const { timestamp, event_type } = event;
    const key = `${timestamp.slice(0, 16)}:00.000Z ${event_type}`;
    const booked = books.get(key) ?? { count: 0, cents: 0 };
    books.set(key, { count: booked.count + 1, cents: booked.cents + cents });
  }
  return events.length;
};

/** Asks until all is counted; what is shown never becomes less. */
const counted = async (urls: readonly string[], count: number, random: SeededRandom): Promise<void> => {
  for (let seen = 0; seen < count; ) {
    const shown = countOf(await metricsOf(urls[random.integer(0, urls.length - 1)] ?? ""));
    expect(shown).toBeGreaterThanOrEqual(seen);
    seen = shown;
  }
};

/** Rebuilds, and waits until the actor is through. */
const rebuilt = async (url: string, other: string): Promise<void> => {
  const { generation: before } = await statusOf(url);
  const response = await fetch(`${url}/v1/actors/metrics/rebuild`, { method: "POST" });
  if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  for (;;) {
    const { generation, lag, rebuilding, owner } = await statusOf(other);
    if (generation > before && lag === 0 && !rebuilding && owner !== null) return;
    // What is asked in the middle of it is kept, too.
    await metricsOf(other);
  }
};

interface Status {
  readonly generation: number;
  readonly lag: number;
  readonly rebuilding: boolean;
  readonly owner: string | null;
}

const statusOf = async (url: string): Promise<Status> =>
  (await (await fetch(`${url}/v1/actors/metrics`)).json()) as Status;

test("are exact on both, over late events, takeovers, rebuilds and another life of the database", async () => {
  const { a, b, tarantool } = cluster();
  const random = new SeededRandom(5);
  const books: Books = new Map();
  let count = 0;
  const rounds = async (urls: readonly string[], number: number): Promise<void> => {
    for (let round = 0; round < number; round++) {
      count += await publishSome(urls[random.integer(0, urls.length - 1)] ?? "", random, books);
      await counted(urls, count, random);
      for (const url of urls) expect(shownBooks(await metricsOf(url))).toEqual(expectedBooks(books));
    }
  };
  const both = (): readonly string[] => [a.url, b.url];
  await rounds(both(), 15);

  // Whoever counts dies: the other takes over, with what it has seen kept.
  const { owner } = await statusOf(a.url);
  await a.kill("SIGKILL");
  await rounds([b.url], 5);
  await a.start();
  await rounds(both(), 5);
  await b.kill("SIGKILL");
  await rounds([a.url], 5);
  await b.start();
  await rounds(both(), 5);
  expect((await statusOf(a.url)).owner).not.toBe(owner ?? "none");

  // All is counted anew, twice, from either side.
  await rebuilt(a.url, b.url);
  await rounds(both(), 3);
  await rebuilt(b.url, a.url);
  await rounds(both(), 3);

  // The database remembers nothing of what it told before.
  await tarantool.kill("SIGKILL");
  await tarantool.start();
  await rounds(both(), 5);
});
