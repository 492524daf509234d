/**
 * Measures a node over real Tarantool (`wal_mode=fsync`) and MinIO: generator, node, Tarantool and MinIO all on this
 * machine. `bun scripts/benchmark-remote.ts [--rounds N] [--seconds N] [--only TEXT]` prints one Markdown table of the
 * cases with the text in their name, and to standard error how busy each server was. 1 MiB bodies are set against bare
 * PUTs of the same size and concurrency in the same run: as the driver sends them, with the signed SHA-256 that any S3
 * client sends over plain HTTP, and by `putObject` of the `minio` package, as a program of anybody's would.
 * @module
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { Client } from "minio";
import { type ChecksumChoice, openS3Bodies } from "../src/bodies/s3/index.ts";
import { type Cluster, startCluster } from "../src/testing/nodes/cluster.ts";
import { delivered, type LoadOptions, latencyMs, published, runLoad } from "./benchmark/load.ts";
import { spreadOf } from "./benchmark/statistics.ts";
import { cpuUsOf } from "./load-test/cpu.ts";

const MiB = 1024 * 1024;
/** Bodies under way at once in the cases of large bodies. */
const largeWindow = 16;
const largeCase = `1 MiB bodies, window ${largeWindow}, 16 subjects: MB/s`;
const bareCase = `bare PUTs of 1 MiB, ${largeWindow} at once: MB/s`;
const signedCase = `bare PUTs of 1 MiB with signed SHA-256, ${largeWindow} at once: MB/s`;
const clientCase = `bare PUTs of 1 MiB by the minio package, ${largeWindow} at once: MB/s`;

interface Case {
  readonly name: string;
  readonly target: string;
  readonly measure: (cluster: Cluster, seconds: number) => Promise<number>;
}

const loadOf = (cluster: Cluster, seconds: number, options: LoadOptions): LoadOptions => ({
  url: cluster.nodes[0]?.url ?? "",
  duration: `${seconds}s`,
  warmup: "1s",
  subscribers: 0,
  ...options,
});

const rate =
  (options: LoadOptions) =>
  async (cluster: Cluster, seconds: number): Promise<number> =>
    published(await runLoad(loadOf(cluster, seconds, options))).per_second;

const megabytes =
  (sizeBytes: number, options: LoadOptions) =>
  async (cluster: Cluster, seconds: number): Promise<number> =>
    ((await rate({ size: `${sizeBytes}B`, ...options })(cluster, seconds)) * sizeBytes) / 1e6;

/** A body that does not compress to nothing. */
const bareBody = (): Buffer => {
  const random = crypto.getRandomValues(new Uint8Array(65_536));
  return Buffer.concat(Array.from({ length: MiB / random.length }, () => random));
};

/** Megabytes a second of `put`, which writes one object of 1 MiB, with as many under way as in the case of large bodies. */
const putRate = async (seconds: number, put: () => Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let written = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      await put();
      written += MiB;
    }
  };
  await Promise.all(Array.from({ length: largeWindow }, lane));
  return written / 1e6 / ((performance.now() - startedAt) / 1000);
};

/** Objects written by the driver itself, nothing around them. */
const barePuts =
  (checksum: ChecksumChoice) =>
  async (cluster: Cluster, seconds: number): Promise<number> => {
    const place = { bucket: "bare-puts", addressing: "path", prefix: "" } as const;
    const store = await openS3Bodies({ ...cluster.minio.endpoint, ...place, checksum });
    const bodies = [new Uint8Array(bareBody())];
    try {
      return await putRate(seconds, () => store.writeSegment(bodies));
    } finally {
      await store.close();
    }
  };

/** Objects written by the client that the project is built on, with its own defaults. */
const clientPuts = async (cluster: Cluster, seconds: number): Promise<number> => {
  const { host, port, tls, accessKey, secretKey, region } = cluster.minio.endpoint;
  const client = new Client({ endPoint: host, port, useSSL: tls, accessKey, secretKey, region });
  const bucket = "client-puts";
  if (!(await client.bucketExists(bucket))) await client.makeBucket(bucket);
  const body = bareBody();
  return putRate(seconds, () => client.putObject(bucket, crypto.randomUUID(), body, body.length));
};

const cases: readonly Case[] = [
  {
    name: "publish over ws, 1 KB, window 1,000, 1 subject: messages/s",
    target: "≥ 30,000",
    measure: rate({ size: "1024B", window: 1000 }),
  },
  {
    name: "the same, 8 subjects, window 4,000: messages/s",
    target: "≥ 30,000",
    measure: rate({ size: "1024B", window: 4000, subjects: 8 }),
  },
  ...[64, 256, 1000].map(
    (window): Case => ({
      name: `64 KiB bodies, window ${window}: MB/s`,
      target: window === 64 ? "" : "≥ 100",
      measure: megabytes(65_536, { window }),
    }),
  ),
  {
    name: largeCase,
    target: "≥ 0.9 x bare PUTs",
    measure: megabytes(MiB, { window: largeWindow, subjects: 16 }),
  },
  { name: bareCase, target: "", measure: barePuts("auto") },
  { name: signedCase, target: "", measure: barePuts("sha256") },
  { name: clientCase, target: "", measure: clientPuts },
  {
    name: "a lone publisher, 1 KB: p50 ms",
    target: "≤ 3",
    measure: async (cluster, seconds) =>
      latencyMs(published(await runLoad(loadOf(cluster, seconds, { size: "1024B", window: 1 }))), "p50"),
  },
  {
    name: "replay of stored 1 KB messages: messages/s",
    target: "≥ 100,000",
    measure: async (cluster) =>
      delivered(await runLoad({ url: cluster.nodes[0]?.url ?? "", replay: true, count: 200_000, size: "1024B" }))
        .per_second,
  },
];

/** Processor time of the servers while something is measured, in cores; what is left of the machine is the generator's. */
const withCores = async (cluster: Cluster, measure: () => Promise<number>): Promise<readonly [number, string]> => {
  const servers = { node: cluster.a.process.pid, tarantool: cluster.tarantool.pid, minio: cluster.minio.pid };
  const usedUs = (): number[] => Object.values(servers).map((pid) => (pid === undefined ? NaN : (cpuUsOf(pid) ?? NaN)));
  const [startedAt, before] = [performance.now(), usedUs()];
  const figure = await measure();
  const elapsedUs = (performance.now() - startedAt) * 1000;
  const after = usedUs();
  const cores = Object.keys(servers).map(
    (name, index) => `${name} ${(((after[index] ?? NaN) - (before[index] ?? NaN)) / elapsedUs).toFixed(2)}`,
  );
  return [figure, cores.join(", ")];
};

const helpText = `Usage: bun scripts/benchmark-remote.ts [options]

Measures a node over Tarantool and MinIO, all started here for the run, and prints a Markdown table.

  --rounds N   how often each case is measured (default 3)
  --seconds N  how long each time (default 5)
  --only TEXT  only the cases with this text in their name
  --help       this text

Cases:
${cases.map(({ name }) => `  ${name}`).join("\n")}
`;

const main = async (): Promise<void> => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "5" },
      only: { type: "string", default: "" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(helpText);
    return;
  }
  const chosen = cases.filter(({ name }) => name.includes(values.only));
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  if (!(rounds >= 1 && seconds >= 1)) throw new Error("--rounds and --seconds are numbers from 1 on");
  const figures = chosen.map((): number[] => []);
  const loadBefore = loadavg().map((value) => value.toFixed(2));
  {
    await using cluster = await startCluster({ nodes: 1, memory: "2GiB" });
    for (let round = 1; round <= rounds; round++) {
      for (const [index, { name, measure }] of chosen.entries()) {
        const [figure, cores] = await withCores(cluster, () => measure(cluster, seconds));
        process.stderr.write(`round ${round}/${rounds} ${name} ${figure.toFixed(2)} (cores: ${cores})\n`);
        figures[index]?.push(figure);
      }
    }
  }
  process.stdout.write(
    `- load average before the run ${loadBefore.join(", ")}; medians of ${rounds} rounds (min – max)\n\n`,
  );
  process.stdout.write("| case | figure | target |\n| --- | --- | --- |\n");
  for (const [index, { name, target }] of chosen.entries()) {
    const spread = spreadOf(figures[index] ?? []);
    const text = spread === undefined ? "" : [spread.median, spread.min, spread.max].map(rounded).join(" ");
    process.stdout.write(`| ${name} | ${text.replace(/^(\S+) (\S+) (\S+)$/, "$1 ($2 – $3)")} | ${target} |\n`);
  }
  process.stdout.write(shareOfBare(new Map(chosen.map(({ name }, index) => [name, figures[index] ?? []]))));
};

/** The large bodies as a share of the bare PUTs of the same round: neighbours in time, on a machine that has moods. */
const shareOfBare = (figures: ReadonlyMap<string, readonly number[]>): string => {
  const sharesOf = (name: string): string => {
    const bare = figures.get(name) ?? [];
    const shares = (figures.get(largeCase) ?? []).map((figure, round) => figure / (bare[round] ?? NaN));
    return shares.some(Number.isFinite) ? `\nLarge bodies to ${name}: ${shares.map(rounded).join(", ")}\n` : "";
  };
  return [bareCase, signedCase, clientCase].map(sharesOf).join("");
};

const rounded = (value: number): string => (value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(2));

await main();
