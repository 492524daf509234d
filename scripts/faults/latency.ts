/**
 * How long a message takes from one node to the other: one lone publisher on A, one subscription on B, both in this
 * process and so on one clock.
 * @module
 */
import { startCluster } from "../../src/testing/nodes/cluster.ts";
import { WsClient, type WsSubscription } from "../../src/testing/ws-client.ts";

const warmUpCount = 200;
const bodyBytes = 1024;
/** What is promised. */
const medianMsMax = 10;

/** Percentiles in milliseconds. */
export interface Distribution {
  readonly name: string;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The measurement. */
export interface Latency {
  readonly count: number;
  readonly rows: readonly Distribution[];
  /** Whether the median of the push is below what is promised. */
  readonly isFast: boolean;
}

/** Measures. */
export const measureLatency = async (count: number): Promise<Latency> => {
  await using cluster = await startCluster({ nodes: 2 });
  const publisher = await WsClient.connect(cluster.a.wsUrl);
  const subscribers = await Promise.all([cluster.a, cluster.b].map(({ wsUrl }) => WsClient.connect(wsUrl)));
  const [here, exact, wild] = await Promise.all([
    subscribers[0]?.subscribe("latency.a", { credit: -1 }),
    subscribers[1]?.subscribe("latency.a", { credit: -1 }),
    subscribers[1]?.subscribe("latency.*", { credit: -1 }),
  ]);
  if (here === undefined || exact === undefined || wild === undefined) throw new Error("not subscribed");
  const times = { acknowledged: [] as number[], here: [] as number[], exact: [] as number[], wild: [] as number[] };
  const body = new Uint8Array(bodyBytes);
  for (let index = 1; index <= warmUpCount + count; index++) {
    const startedMs = performance.now();
    const sinceMs = (): number => performance.now() - startedMs;
    const [acknowledged, ...pushed] = await Promise.all([
      publisher.publish({ subject: "latency.a", body }).then(sinceMs),
      ...[here, exact, wild].map((subscription) => arrived(subscription, index).then(sinceMs)),
    ]);
    if (index <= warmUpCount) continue;
    times.acknowledged.push(acknowledged);
    times.here.push(pushed[0] ?? Number.NaN);
    times.exact.push(pushed[1] ?? Number.NaN);
    times.wild.push(pushed[2] ?? Number.NaN);
  }
  await Promise.all([publisher, ...subscribers].map((client) => client.close()));
  const exactRow = distribution("pushed on B, subject", times.exact);
  const rows = [
    distribution("acknowledged on A", times.acknowledged),
    distribution("pushed on A", times.here),
    exactRow,
    distribution("pushed on B, wildcard", times.wild),
  ];
  return { count, rows, isFast: exactRow.p50 < medianMsMax };
};

const arrived = async (subscription: WsSubscription, count: number): Promise<void> => {
  await subscription.count(count);
};

const distribution = (name: string, times: readonly number[]): Distribution => {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { name, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
};
