/**
 * Redis Streams as a peer: XADD of the same kilobyte, acknowledged after fdatasync like ours.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Child, firstMatch, runToEnd, start } from "./children.ts";
import { messageBytes } from "./load.ts";
import type { Bench, Peer, Reading } from "./scenario.ts";

/** What redis-benchmark is told. */
export interface RedisLoad {
  readonly clients: number;
  /** Commands a client has under way. */
  readonly pipeline: number;
  readonly streams: number;
  readonly count: number;
  /** Bytes of a message; a kilobyte when left out. */
  readonly bytes?: number;
}

/** A stream that is filled and then read from its end, one request at a time. */
export interface RedisRangeLoad {
  readonly stored: number;
  readonly bytes: number;
  /** Messages of one answer. */
  readonly range: number;
  readonly count: number;
}

/** What redis-benchmark measured. */
export interface RedisResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const startsMax = 5;
const readyPattern = /Ready to accept connections/;

const installHint = "redis-server and redis-benchmark are not there (Debian: apt-get install redis-server redis-tools)";

/** Compares with Redis under a load of its own. @param pick which of the results is the figure */
export const redisPeer = (
  id: string,
  loadOf: (bench: Bench) => RedisLoad,
  pick: (result: RedisResult) => number,
): Peer => ({
  name: "Redis",
  missing: () => (Bun.which("redis-server") && Bun.which("redis-benchmark") ? undefined : installHint),
  async measure(bench) {
    const result = await measureRedis(bench.folder, loadOf(bench));
    const reading: Reading = { value: pick(result), details: { p50_ms: result.p50Ms, p99_ms: result.p99Ms } };
    return { [id]: reading };
  },
});

/** Compares the reading of the last messages with XREVRANGE: p99 in milliseconds. */
export const redisRangePeer = (id: string, loadOf: (bench: Bench) => RedisRangeLoad): Peer => ({
  name: "Redis",
  missing: () => (Bun.which("redis-server") && Bun.which("redis-benchmark") ? undefined : installHint),
  async measure(bench) {
    const { stored, bytes, range, count } = loadOf(bench);
    const result = await withRedis(bench.folder, async (port) => {
      await runToEnd(benchmarkCommand(port, { clients: 64, pipeline: 32, streams: 1, count: stored, bytes }));
      const target = ["-h", "127.0.0.1", "-p", String(port), "--csv", "-c", "1", "-n", String(count)];
      const command = ["XREVRANGE", "stream", "+", "-", "COUNT", String(range)];
      return parseRedisBenchmark(await runToEnd(["redis-benchmark", ...target, ...command]));
    });
    return { [id]: { value: result.p99Ms, details: { p50_ms: result.p50Ms } } };
  },
});

const measureRedis = (folder: string, load: RedisLoad): Promise<RedisResult> =>
  withRedis(folder, async (port) => parseRedisBenchmark(await runToEnd(benchmarkCommand(port, load))));

/** One server for one measurement: what the one before stored is not in its memory. */
const withRedis = async (folder: string, measure: (port: number) => Promise<RedisResult>): Promise<RedisResult> => {
  const dataDir = await mkdtemp(join(folder, "redis-"));
  const { child, port } = await startRedis(dataDir);
  try {
    return await measure(port);
  } finally {
    // It owns nothing that is kept: no need to let it save.
    child.kill("SIGKILL");
    await child.exited;
    await rm(dataDir, { recursive: true, force: true });
  }
};

const startRedis = async (dataDir: string): Promise<{ child: Child<"inherit">; port: number }> => {
  for (let tries = 1; tries <= startsMax; tries++) {
    const port = freePort();
    const child = start([...serverCommand, "--port", String(port), "--dir", dataDir], "inherit");
    if ((await firstMatch(child.stdout, readyPattern)) !== undefined) return { child, port };
    // Somebody else took the port in between.
    await child.exited;
  }
  throw new Error(`redis-server did not start in ${startsMax} tries`);
};

/** No snapshots and no rewriting of the log in between: Redis at its best. */
const serverCommand = [
  ...["redis-server", "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always"],
  ...["--save", "", "--auto-aof-rewrite-percentage", "0"],
];

/** Redis takes no port 0. */
const freePort = (): number => {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = listener;
  listener.stop(true);
  return port;
};

const benchmarkCommand = (port: number, load: RedisLoad): string[] => {
  const { clients, pipeline, streams, count, bytes = messageBytes } = load;
  const body = Buffer.alloc(bytes, "0123456789abcdef").toString();
  const [spread, key] = streams === 1 ? [[], "stream"] : [["-r", String(streams)], "stream:__rand_int__"];
  return [
    ...["redis-benchmark", "-h", "127.0.0.1", "-p", String(port), "--csv", ...spread],
    ...["-c", String(clients), "-P", String(pipeline), "-n", String(count), "XADD", key, "*", "data", body],
  ];
};

/**
 * Reads what `redis-benchmark --csv` prints: a line of names, a line of values, all quoted; the first value is the
 * command and may contain anything.
 * @throws Error when it is something else
 */
export const parseRedisBenchmark = (csv: string): RedisResult => {
  const lines = csv.trim().split("\n");
  const names: string[] = lines.find((line) => line.startsWith('"test","rps"'))?.match(/[a-z0-9_]+/g) ?? [];
  const numbers: string[] = lines.at(-1)?.match(/"\d+(?:\.\d+)?"/g) ?? [];
  const value = (name: string): number => {
    // Counted from the end, as the command may look like numbers.
    const fromEnd = names.indexOf(name) - names.length;
    const quoted = names.includes(name) ? numbers.at(fromEnd) : undefined;
    if (quoted === undefined) throw new Error(`redis-benchmark tells no ${name}: ${csv.slice(0, 200)}`);
    return Number(quoted.slice(1, -1));
  };
  return { perSecond: value("rps"), p50Ms: value("p50_latency_ms"), p99Ms: value("p99_latency_ms") };
};
