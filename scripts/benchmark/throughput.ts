/**
 * How many messages a second, and how fast one gets through: publishing, replay, fan-out, push.
 * @module
 */
import type { Outcome } from "../load-test/outcome.ts";
import { delivered, type LoadOptions, latencyMs, messageBytes, published, rateReading, runLoad } from "./load.ts";
import { type RedisLoad, redisPeer } from "./redis.ts";
import type { Bench, Peer, Reading, Scenario } from "./scenario.ts";

const size = `${messageBytes}B`;

/** How long to warm up and to measure. */
const spell = ({ quick }: Bench): LoadOptions =>
  quick ? { warmup: "1s", duration: "2s" } : { warmup: "2s", duration: "8s" };

/** A server of its own on the folder of the run. */
const load = ({ folder }: Bench, options: LoadOptions): Promise<Outcome> =>
  runLoad({ size, ...options, "data-dir": folder });

/** Redis with as much under way as its own tool gives it: 64 clients, 32 commands each. */
const redisPipelined =
  (streams: number) =>
  ({ quick }: Bench): RedisLoad => ({ clients: 64, pipeline: 32, streams, count: quick ? 100_000 : 500_000 });

/** A server that only answers, under the same load: what generator and sockets can do here at all. */
const controlPeer = (
  id: string,
  options: (bench: Bench) => LoadOptions,
  pick: (outcome: Outcome) => Reading,
): Peer => ({
  name: "control",
  missing: () => undefined,
  async measure(bench) {
    return { [id]: pick(await runLoad({ size, ...options(bench), control: true })) };
  },
});

const pipelined = (batch: 1 | 100, subjects: 1 | 8, perSecondMin: number): Scenario => {
  const name = `${batch === 1 ? "ws" : "batch"}-${subjects}`;
  const frames = batch === 1 ? "1 message a frame" : "batches of 100";
  const title = `publish over ws, ${frames}, window 1,000, 1 KB, ${subjects === 1 ? "1 subject" : "8 subjects"}`;
  return {
    name,
    rows: [{ id: name, title, unit: "/s", target: { atLeast: perSecondMin }, ratio: { wanted: 1, floor: 0.6 } }],
    async measure(bench) {
      const outcome = await load(bench, { ...spell(bench), batch, subjects, window: 1000, subscribers: 0 });
      return { [name]: rateReading(outcome, published(outcome)) };
    },
    peer: redisPeer(name, redisPipelined(subjects), ({ perSecond }) => perSecond),
  };
};

const lone: Scenario = {
  name: "lone",
  rows: [{ id: "lone", title: "a lone publisher over ws, 1 KB: p50", unit: "ms", target: { atMost: 1.2 } }],
  async measure(bench) {
    const publish = published(await load(bench, { ...spell(bench), window: 1, subscribers: 0 }));
    return { lone: { value: latencyMs(publish, "p50"), details: { p99_ms: latencyMs(publish, "p99") } } };
  },
  peer: redisPeer(
    "lone",
    ({ quick }) => ({ clients: 1, pipeline: 1, streams: 1, count: quick ? 4000 : 20_000 }),
    ({ p50Ms }) => p50Ms,
  ),
};

const http: Scenario = {
  name: "http",
  rows: [{ id: "http", title: "publish over HTTP, 64 connections, 1 KB", unit: "/s", target: { atLeast: 15_000 } }],
  async measure(bench) {
    const outcome = await load(bench, { ...spell(bench), protocol: "http", window: 64, subscribers: 0 });
    return { http: rateReading(outcome, published(outcome)) };
  },
  peer: redisPeer(
    "http",
    ({ quick }) => ({ clients: 64, pipeline: 1, streams: 1, count: quick ? 40_000 : 150_000 }),
    ({ perSecond }) => perSecond,
  ),
};

const replay: Scenario = {
  name: "replay",
  rows: [{ id: "replay", title: "replay to one subscriber, 1 KB", unit: "/s", target: { atLeast: 200_000 } }],
  async measure(bench) {
    const outcome = await load(bench, { replay: true, count: bench.quick ? 200_000 : 1_000_000 });
    return { replay: rateReading(outcome, delivered(outcome)) };
  },
};

/** One message at a time never lets two share a frame: the cost of a frame to every subscriber. 16 may share. */
const fanOut = (bytes: 100 | 1024, window: 1 | 16): Scenario => {
  const id = `fanout-${bytes === 100 ? "100b" : "1k"}-${window}`;
  const underWay = window === 1 ? "1 message at a time" : `${window} messages under way`;
  const title = `live fan-out to 1,000 subscribers, ${underWay}, ${bytes === 100 ? "100 B" : "1 KB"}: deliveries`;
  const options = (bench: Bench): LoadOptions => ({ ...spell(bench), subscribers: 1000, window, size: `${bytes}B` });
  const reading = (outcome: Outcome): Reading => rateReading(outcome, delivered(outcome));
  return {
    name: id,
    rows: [{ id, title, unit: "/s", target: { atLeast: 150_000 } }],
    async measure(bench) {
      return { [id]: reading(await load(bench, options(bench))) };
    },
    peer: controlPeer(id, options, reading),
  };
};

const pushOptions = (bench: Bench): LoadOptions => ({ ...spell(bench), rate: 5000 });

const pushReading = (outcome: Outcome): Reading => {
  const delivery = delivered(outcome);
  const details = { p99_ms: latencyMs(delivery, "p99"), max_ms: latencyMs(delivery, "max") };
  return { value: latencyMs(delivery, "p50"), details };
};

const push: Scenario = {
  name: "push",
  rows: [{ id: "push", title: "publish to push at 5,000/s, 1 KB: p50", unit: "ms", target: { atMost: 2 } }],
  async measure(bench) {
    return { push: pushReading(await load(bench, pushOptions(bench))) };
  },
  peer: controlPeer("push", pushOptions, pushReading),
};

/** In the order of the table. */
export const throughputScenarios: readonly Scenario[] = [
  pipelined(1, 1, 60_000),
  pipelined(1, 8, 60_000),
  pipelined(100, 1, 100_000),
  pipelined(100, 8, 100_000),
  lone,
  http,
  replay,
  fanOut(1024, 1),
  fanOut(100, 1),
  fanOut(1024, 16),
  fanOut(100, 16),
  push,
];
