/**
 * How many live events GraphQL subscriptions carry: so many subscribers on one server, events published one by one at a
 * steady rate, and every subscriber must get every event once and in order. Subscribers and publisher run on the same
 * machine. `bun scripts/benchmark-graphql.ts --help` tells the options; the parts are in `benchmark/graphql/`.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guard } from "../src/testing/guardian.ts";
import { firstMatch, killAll, start } from "./benchmark/children.ts";
import type { SubscribersReport } from "./benchmark/graphql/subscribers.ts";
import { say } from "./benchmark/progress-line.ts";
import { withServer } from "./benchmark/server.ts";
import { endOnInterrupt, exitCodes, runCommand } from "./command/main.ts";
import {
  OptionReader,
  type OptionSpecs,
  optionLines,
  type ParsedOptions,
  parseCommandLine,
} from "./command/options.ts";

const servers = ["ours", "bare", "graphql-ws"];

const specs = {
  subscribers: { value: "N", meaning: "sockets, each with the same subscription (default 1000)" },
  rate: { value: "N", meaning: "events a second, published one by one (default 500)" },
  seconds: { value: "N", meaning: "how long (default 10)" },
  only: { value: "NAME,…", meaning: `${servers.join(", ")} (default all)` },
  json: { meaning: "print one JSON object instead of the table" },
  help: { meaning: "this text" },
} as const satisfies OptionSpecs<string>;

const help = (): string => `Usage: bun scripts/benchmark-graphql.ts [options]

Measures GraphQL subscriptions (graphql-transport-ws) of the embedded server, fsync on, next to a bare Bun server that
only sends prepared frames, and next to graphql-ws with graphql-js at a tenth of the rate. Prints a Markdown table.

${optionLines(specs)}
Exit code: 0 every subscriber of ours got every event once and in order; 1 not so; 2 wrong options.
`;

/** What a row of the table says. */
interface Row {
  readonly name: string;
  readonly subscribers: number;
  readonly rate: number;
  readonly events: number;
  readonly expected: number;
  readonly deliveredPerSecond: number;
  readonly report: SubscribersReport;
  readonly isRight: boolean;
}

interface Load {
  readonly subscribers: number;
  readonly rate: number;
  readonly seconds: number;
}

/** No progress for so long means that nothing more comes. */
const stallMs = 5000;
const tickMs = 2;
const subscribersFile = join(import.meta.dir, "benchmark", "graphql", "subscribers.ts");
const types = ["purchase", "return", "refund"] as const;

/** Publishes at the rate; resolves with the number of events when all are acknowledged. */
const publish = async (url: string, path: (type: string) => string, { rate, seconds }: Load): Promise<number> => {
  const total = rate * seconds;
  const under: Promise<unknown>[] = [];
  const startMs = performance.now();
  const timestamp = new Date().toISOString();
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) / 1000) * rate));
    for (; sent < due; sent++) {
      const type = types[sent % types.length] ?? "purchase";
      const body = JSON.stringify({
        user_id: (performance.timeOrigin + performance.now()).toFixed(3),
        event_type: type,
        amount: sent % 1000,
        timestamp,
      });
      const headers = { "content-type": "application/json" };
      const answer = fetch(`${url}${path(type)}`, { method: "POST", headers, body }).then(async (response) => {
        await response.arrayBuffer();
        if (response.status !== 201) throw new Error(`a publish was answered with ${response.status}`);
      });
      under.push(answer);
    }
    await Bun.sleep(tickMs);
  }
  await Promise.all(under);
  return total;
};

const measure = async (name: string, url: string, path: (type: string) => string, load: Load): Promise<Row> => {
  const ready = Promise.withResolvers<undefined>();
  const reported = Promise.withResolvers<SubscribersReport>();
  const seen = { frames: 0, atMs: performance.now() };
  const child = Bun.spawn([process.execPath, subscribersFile, url, String(load.subscribers), String(load.rate)], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (message: SubscribersReport | { type: "ready" } | { type: "progress"; frames: number }) => {
      if (message.type === "ready") ready.resolve(undefined);
      else if (message.type === "report") reported.resolve(message);
      else if (message.frames !== seen.frames) Object.assign(seen, { frames: message.frames, atMs: performance.now() });
    },
  });
  guard(child.pid);
  try {
    await Promise.race([ready.promise, child.exited.then(() => Promise.reject(new Error("the subscribers failed")))]);
    say(`${name}: ${load.subscribers} subscribers, ${load.rate} events/s, ${load.seconds} s`);
    const startMs = performance.now();
    const events = await publish(url, path, load);
    const expected = events * load.subscribers;
    seen.atMs = performance.now();
    while (seen.frames < expected && performance.now() - seen.atMs < stallMs) await Bun.sleep(50);
    const seconds = (seen.atMs - startMs) / 1000;
    child.send("report");
    const report = await reported.promise;
    const { frames, wrong, fewest, most, closed } = report;
    const isRight = frames === expected && wrong === 0 && fewest === events && most === events && closed === 0;
    const { subscribers, rate } = load;
    return { name, subscribers, rate, events, expected, deliveredPerSecond: frames / seconds, report, isRight };
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
};

const ours = async (load: Load): Promise<Row> => {
  const folder = await mkdtemp(join(tmpdir(), "mts-benchmark-graphql-"));
  try {
    return await withServer(folder, ({ url }) => measure("MiniToolStream", url, () => "/events", load));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const peer = async (name: string, kind: string, load: Load): Promise<Row> => {
  const child = start([process.execPath, join(import.meta.dir, "benchmark", "graphql", "peer.ts"), kind], "inherit");
  try {
    const url = await firstMatch(child.stdout, /^(http:\S+)\n/m);
    if (url === undefined) throw new Error("the peer did not start");
    return await measure(name, url, () => "/events", load);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
};

const table = (rows: readonly Row[]): string => {
  const lines = rows.map(({ name, subscribers, rate, deliveredPerSecond, report, isRight }) => {
    const { p50, p99, max } = report.latencyMs;
    const latency = [p50, p99, max].map((ms) => ms.toFixed(1)).join(" / ");
    const complete = isRight ? "yes" : `no (${report.wrong} wrong, ${report.closed} closed)`;
    const delivered = Math.round(deliveredPerSecond).toLocaleString("en");
    return `| ${name} | ${subscribers} | ${rate} | ${delivered} | ${complete} | ${latency} |`;
  });
  return [
    "| server | subscribers | events/s | deliveries/s | every event once, in order | ms p50 / p99 / max |",
    "| --- | ---: | ---: | ---: | --- | ---: |",
    ...lines,
    "",
  ].join("\n");
};

interface Options {
  readonly load: Load;
  readonly only: readonly string[];
  readonly json: boolean;
}

/** More than any machine does. */
const numberMax = 1_000_000;

const parseOptions = (argv: readonly string[]): ParsedOptions<Options> =>
  parseCommandLine(argv, { specs, help }, (values) => {
    const reader = new OptionReader(specs, values);
    const only = reader.text("only")?.split(",") ?? servers;
    if (!only.every((name) => servers.includes(name))) reader.wrong(`--only takes ${servers.join(", ")}`);
    const load = {
      subscribers: reader.integer("subscribers", 1, numberMax, 1000),
      rate: reader.integer("rate", 1, numberMax, 500),
      seconds: reader.integer("seconds", 1, numberMax, 10),
    };
    return { options: { load, only, json: reader.on("json") }, errors: reader.errors };
  });

const run = async ({ load, only, json }: Options): Promise<number> => {
  endOnInterrupt(killAll);
  const rows: Row[] = [];
  if (only.includes("ours")) rows.push(await ours(load));
  if (only.includes("bare")) rows.push(await peer("Bun alone, prepared frames", "bare", load));
  if (only.includes("graphql-ws")) {
    const slower = { ...load, rate: Math.max(1, Math.round(load.rate / 10)) };
    rows.push(await peer("graphql-ws and graphql-js", "graphql-ws", slower));
  }
  process.stdout.write(json ? `${JSON.stringify(rows)}\n` : table(rows));
  return rows.every(({ name, isRight }) => name !== "MiniToolStream" || isRight) ? exitCodes.good : exitCodes.bad;
};

if (import.meta.main) process.exit(await runCommand("benchmark-graphql", parseOptions(Bun.argv.slice(2)), run));
