/**
 * Every kind of fault once, short, while two nodes are published to: afterwards every promise is kept on both nodes,
 * and whoever watched, also through a wildcard, saw everything once and in order. `scripts/faults.ts` does the same at
 * random, for as long as one likes, and holds the times of recovery against their bounds. `FAULTS_SEED` repeats a run.
 * @module
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SeededRandom } from "../faults/random.ts";
import { uniqueSubject } from "../server.ts";
import { faultNamed } from "./faults.ts";
import { diagnose } from "./proof.ts";
import { runTrial } from "./trial.ts";
import { useCluster } from "./use-cluster.ts";

const caseMsMax = 60_000;
setDefaultTimeout(caseMsMax);

const seed = Number(process.env["FAULTS_SEED"] ?? Math.floor(Math.random() * 2 ** 32));
const random = new SeededRandom(seed);
const cluster = useCluster({ proxies: true });

const names = [
  "node killed",
  "node stopped",
  "node ended by SIGTERM",
  "tarantool killed",
  "tarantool stopped",
  "minio killed",
  "minio stopped",
  "lines to metadata cut",
  "lines to metadata cut in the middle of an answer",
  "lines to metadata silent",
  "lines to metadata slow",
  "metadata refuses connections",
  "one node is cut off from metadata",
  "lines to bodies cut",
  "lines to bodies cut in the middle of a request",
  "bodies refuses connections",
  "S3 answers 500 to writes",
  "S3 answers 503 to writes",
  "S3 stores and does not say so",
  "S3 gets damaged requests",
  "S3 answers 500 to reads",
  "S3 sends half a body",
  "S3 sends wrong bytes",
  "node killed at bodies.segment",
  "node killed at bodies.object",
  "node killed at commit.before",
  "node killed at commit.after",
  "tarantool killed at commit.before",
  "tarantool killed at commit.after",
  "minio killed at bodies.segment",
];

test.each(names)(
  `%s (seed ${seed})`,
  async (name) => {
    const fault = faultNamed(name);
    const { ledger } = await runTrial(cluster(), {
      root: uniqueSubject("trial"),
      messages: 100,
      unwatched: fault.unwatched ?? [],
      fault: (load) => fault.run({ cluster: cluster(), load, random, stillMs: 500 }),
    });
    expect(ledger.count("unknown") + ledger.count("refused")).toBe(0);
  },
  caseMsMax,
);

test("after all of that the doctor finds nothing but orphans", async () => {
  const { healthy, messages } = await diagnose(cluster());
  expect({ healthy, isEmpty: messages === 0 }).toEqual({ healthy: true, isEmpty: false });
});
