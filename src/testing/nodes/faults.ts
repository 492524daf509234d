/**
 * What can happen to a cluster, one named fault each: it happens while the cluster is published to, and is over when
 * `run` resolves. Whatever is chosen by chance comes from the given numbers.
 * @module
 */
import type { FaultPoint } from "../faults/plan.ts";
import type { SeededRandom } from "../faults/random.ts";
import type { S3Fault, SeenRequest } from "../s3-proxy.ts";
import type { Cluster, ClusterNode } from "./cluster.ts";
import type { Load } from "./load.ts";
import { pause, proceed } from "./signals.ts";

/** What a fault works on. */
export interface FaultScene {
  readonly cluster: Cluster;
  readonly load: Load;
  readonly random: SeededRandom;
  /** How long what stands still, or is away, does so, in milliseconds. */
  readonly stillMs: number;
}

/** Who suffers first. */
export type Victim = "node" | "tarantool" | "minio" | "network" | "s3";

/** One fault. */
export interface ClusterFault {
  readonly name: string;
  readonly victim: Victim;
  /** A node of this number loses its process, so nothing can watch there all the while. */
  readonly unwatched?: readonly number[];
  run(scene: FaultScene): Promise<void>;
}

/** Messages that have to be acknowledged while a part is away and the rest has to go on. */
const meanwhileMessages = 50;
/** Bytes a second over a slow line: pages and segments still pass, with many seconds for a large one. */
const slowBytesPerSecond = 200_000;

const killed = (name: string, victim: "tarantool" | "minio"): ClusterFault => ({
  name,
  victim,
  run: async ({ cluster, random, stillMs }) => {
    const store = cluster[victim];
    await store.kill("SIGKILL");
    // Now and then it is back before anybody noticed.
    if (random.integer(0, 2) > 0) await Bun.sleep(stillMs);
    await store.restart();
  },
});

const stopped = (name: string, victim: "tarantool" | "minio"): ClusterFault => ({
  name,
  victim,
  run: async ({ cluster, stillMs }) => {
    const pid = pidOf(cluster, victim);
    await pause(pid);
    await Bun.sleep(stillMs);
    proceed(pid);
  },
});

const pidOf = (cluster: Cluster, victim: "tarantool" | "minio"): number => {
  const { pid } = cluster[victim];
  if (pid === undefined) throw new Error(`${victim} is not running`);
  return pid;
};

const nodeFaults: readonly ClusterFault[] = [
  {
    name: "node killed",
    victim: "node",
    unwatched: [0],
    run: async ({ cluster, load }) => {
      await cluster.a.kill();
      await load.more(meanwhileMessages);
      await cluster.a.start();
    },
  },
  {
    name: "node stopped",
    victim: "node",
    run: async ({ cluster, load, stillMs }) => {
      await cluster.a.pause();
      await Promise.all([load.more(meanwhileMessages), Bun.sleep(stillMs)]);
      cluster.a.proceed();
    },
  },
  {
    name: "node ended by SIGTERM",
    victim: "node",
    unwatched: [0],
    run: async ({ cluster, load }) => {
      const { code } = await cluster.a.kill("SIGTERM");
      if (code !== 0) throw new Error(`node A ended with ${code} on SIGTERM`);
      await load.more(meanwhileMessages);
      await cluster.a.start();
    },
  },
];

/** Something that happens on the lines of every node to one store. */
const onLines = (
  name: string,
  line: "metadata" | "bodies",
  run: (proxies: readonly ClusterNode["proxies"]["metadata"][], scene: FaultScene) => Promise<void>,
): ClusterFault => ({
  name,
  victim: "network",
  run: (scene) =>
    run(
      scene.cluster.nodes.map(({ proxies }) => proxies[line]),
      scene,
    ),
});

const lineFaults = (["metadata", "bodies"] as const).flatMap((line): ClusterFault[] => [
  onLines(`lines to ${line} cut`, line, async (proxies, { load, random }) => {
    for (let cuts = random.integer(1, 4); cuts > 0; cuts--) {
      for (const proxy of proxies) proxy.cut();
      await load.more(random.integer(1, meanwhileMessages));
    }
  }),
  onLines(`lines to ${line} cut in the middle of an answer`, line, async (proxies, { random }) => {
    await Promise.all(proxies.map((proxy) => proxy.cutAfter(random.integer(1, 2000), "down")));
  }),
  onLines(`lines to ${line} cut in the middle of a request`, line, async (proxies, { random }) => {
    await Promise.all(proxies.map((proxy) => proxy.cutAfter(random.integer(1, 5000), "up")));
  }),
  onLines(`lines to ${line} silent`, line, async (proxies, { stillMs }) => {
    for (const proxy of proxies) proxy.pause();
    await Bun.sleep(stillMs);
    for (const proxy of proxies) proxy.resume();
  }),
  onLines(`lines to ${line} slow`, line, async (proxies, { load }) => {
    for (const proxy of proxies) proxy.slowTo(slowBytesPerSecond);
    await load.more(meanwhileMessages);
    for (const proxy of proxies) proxy.slowTo(undefined);
  }),
  onLines(`${line} refuses connections`, line, async (proxies, { stillMs }) => {
    await Promise.all(proxies.map((proxy) => proxy.refuse()));
    await Bun.sleep(stillMs);
    await Promise.all(proxies.map((proxy) => proxy.listen()));
  }),
  {
    name: `one node is cut off from ${line}`,
    victim: "network",
    run: async ({ cluster, load, stillMs }) => {
      const proxy = cluster.a.proxies[line];
      proxy.pause();
      await Promise.all([load.more(meanwhileMessages), Bun.sleep(stillMs)]);
      proxy.resume();
    },
  },
]);

const isWrite = ({ method }: SeenRequest): boolean => method === "PUT" || method === "POST";
const isRead = ({ method, bytes }: SeenRequest): boolean => method === "GET" && bytes === 0;

/** S3 misbehaves for a few requests of each node; over when all of them have come. */
const s3Fault = (
  name: string,
  fault: S3Fault,
  concerns: (request: SeenRequest) => boolean,
  unwatched: readonly number[] = [],
): ClusterFault => ({
  name: `S3 ${name}`,
  victim: "s3",
  unwatched,
  run: async ({ cluster, load, random }) => {
    await Promise.all(
      cluster.nodes.map(async ({ url, proxies }) => {
        const times = random.integer(1, 5);
        let left = times;
        const happened = Promise.withResolvers<undefined>();
        proxies.s3.inject(fault, times, (request) => {
          if (!concerns(request)) return false;
          if (--left === 0) happened.resolve(undefined);
          return true;
        });
        // Live followers are fed from memory and never ask: somebody has to read.
        const reading = concerns === isRead ? readUntil(url, load, happened.promise) : Promise.resolve();
        await Promise.all([happened.promise, reading]);
      }),
    );
  },
});

/** Reads what was published until something has happened; what the reads are answered is the proof's to judge. */
const readUntil = async (url: string, load: Load, happened: Promise<unknown>): Promise<void> => {
  const over = happened.then(() => true);
  for (;;) {
    for (const subject of load.subjects) {
      await fetch(`${url}/v1/subjects/${encodeURIComponent(subject)}/messages?limit=20`).then((answer) =>
        answer.text(),
      );
    }
    if (await Promise.race([over, Bun.sleep(1).then(() => false)])) return;
  }
};

const s3Faults: readonly ClusterFault[] = [
  s3Fault("answers 500 to writes", { kind: "answer", status: 500, code: "InternalError" }, isWrite),
  s3Fault("answers 503 to writes", { kind: "answer", status: 503, code: "SlowDown" }, isWrite),
  s3Fault("stores and does not say so", { kind: "reply lost" }, isWrite),
  s3Fault("stores and says nothing", { kind: "no reply" }, isWrite),
  s3Fault("gets damaged requests", { kind: "request damaged" }, isWrite),
  s3Fault("answers 500 to reads", { kind: "answer", status: 500, code: "InternalError" }, isRead),
  s3Fault("answers 503 to reads", { kind: "answer", status: 503, code: "SlowDown" }, isRead),
  s3Fault("sends half a body", { kind: "half body" }, isRead),
  // A body that comes damaged twice is told as lost, and whoever watches goes on behind it.
  s3Fault("sends wrong bytes", { kind: "wrong byte" }, isRead, [0, 1, 2, 3]),
];

const steps = ["bodies.segment", "bodies.object", "commit.before", "commit.after"] as const satisfies FaultPoint[];

/** Node A stands at a step of a publish while something happens to somebody. */
const atStep = (step: (typeof steps)[number], victim: "tarantool" | "minio", signal: "killed" | "stopped") =>
  ({
    name: `${victim} ${signal} at ${step}`,
    victim,
    unwatched: [0],
    run: async (scene) => {
      const { cluster, random } = scene;
      const hit = step === "bodies.object" ? 1 : random.integer(1, 10);
      await cluster.a.restart([{ point: step, hit, act: "hold" }]);
      const { process } = cluster.a;
      await process.wrote(`held at ${step}\n`);
      if (signal === "killed") {
        await cluster[victim].kill("SIGKILL");
        // Goes on while the store is away, or when it is back.
        if (random.integer(0, 1) === 0) process.signal("SIGUSR2");
        await cluster[victim].restart();
      } else {
        const pid = pidOf(cluster, victim);
        await pause(pid);
        process.signal("SIGUSR2");
        await Bun.sleep(scene.stillMs);
        proceed(pid);
      }
      process.signal("SIGUSR2");
    },
  }) satisfies ClusterFault;

const nodeAtStep = (step: (typeof steps)[number], act: "killed" | "stopped"): ClusterFault => ({
  name: `node ${act} at ${step}`,
  victim: "node",
  unwatched: [0],
  run: async ({ cluster, load, random, stillMs }) => {
    const hit = step === "bodies.object" ? 1 : random.integer(1, 10);
    await cluster.a.restart([{ point: step, hit, act: act === "killed" ? "kill" : "hold" }]);
    const { process } = cluster.a;
    if (act === "killed") {
      await process.exited;
      await load.more(meanwhileMessages);
      await cluster.a.start();
      return;
    }
    await process.wrote(`held at ${step}\n`);
    await cluster.a.pause();
    await Promise.all([load.more(meanwhileMessages), Bun.sleep(stillMs)]);
    cluster.a.proceed();
    process.signal("SIGUSR2");
  },
});

/** All of them. */
export const clusterFaults: readonly ClusterFault[] = [
  ...nodeFaults,
  killed("tarantool killed", "tarantool"),
  stopped("tarantool stopped", "tarantool"),
  killed("minio killed", "minio"),
  stopped("minio stopped", "minio"),
  ...lineFaults,
  ...s3Faults,
  ...steps.flatMap((step) => [
    nodeAtStep(step, "killed"),
    nodeAtStep(step, "stopped"),
    ...(["tarantool", "minio"] as const).flatMap((victim) => [
      atStep(step, victim, "killed"),
      atStep(step, victim, "stopped"),
    ]),
  ]),
];

/** The fault of this name. */
export const faultNamed = (name: string): ClusterFault => {
  const fault = clusterFaults.find((each) => each.name === name);
  if (fault === undefined) throw new Error(`there is no fault "${name}"`);
  return fault;
};
