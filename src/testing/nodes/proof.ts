/**
 * What must hold after every fault: every promise is kept on every node, whatever watches has seen all of it in one
 * order, and the doctor finds nothing but orphans.
 * @module
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../cli.ts";
import { ClientError } from "../client.ts";
import type { Ledger } from "../faults/ledger.ts";
import { HttpClient } from "../http-client.ts";
import type { Cluster, ClusterNode } from "./cluster.ts";
import type { Watch } from "./watch.ts";

/** Between two attempts to publish, in milliseconds. */
const retryMs = 25;

/** Last sequences by subject, as the ledger knows them; all of it must be acknowledged. */
export const headsOf = (ledger: Ledger): ReadonlyMap<string, number> => {
  const heads = new Map<string, number>();
  for (const { subject, receipt, messageId } of ledger.entries) {
    if (receipt === undefined) throw new Error(`${messageId} is not settled`);
    heads.set(subject, Math.max(heads.get(subject) ?? 0, receipt.sequence));
  }
  return heads;
};

/** Proves the ledger on every node, and the watches against it. @throws Error that names what is wrong */
export const proveEverywhere = async (
  nodes: readonly ClusterNode[],
  ledger: Ledger,
  watches: readonly Watch[] = [],
): Promise<void> => {
  // One after the other: the first settles what is unknown.
  for (const node of nodes) {
    try {
      await ledger.prove(node.url);
    } catch (error) {
      throw new Error(`on node ${node.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const heads = headsOf(ledger);
  for (const watch of watches) {
    await watch.reached(heads);
    watch.prove(ledger);
  }
};

/** Publishes to a subject until it is acknowledged; answers after how many milliseconds. */
export const publishesAgain = async (node: ClusterNode, subject: string): Promise<number> => {
  const startedMs = performance.now();
  const client = new HttpClient(node.url);
  // One id: whatever became of the attempts before, the message is there once.
  const messageId = crypto.randomUUID();
  for (;;) {
    try {
      await client.publish({ subject, body: "again", messageId });
      return performance.now() - startedMs;
    } catch (error) {
      if (error instanceof ClientError && !error.retryable) throw error;
      await Bun.sleep(retryMs);
    }
  }
};

/** What `doctor --json` says. */
export interface Diagnosis {
  readonly healthy: boolean;
  readonly messages: number;
  readonly problems: number;
  readonly problem_list: readonly Readonly<Record<string, unknown>>[];
  readonly orphans: number;
}

/** Runs the doctor on the cluster's stores; its nodes may run. @throws Error when it finds a problem */
export const diagnose = async (cluster: Cluster): Promise<Diagnosis> => {
  const dataDir = await mkdtemp(join(tmpdir(), "mts-doctor-"));
  try {
    const env = { ...cluster.backends.env(), MTS_DATA_DIR: dataDir };
    const { code, stdout, stderr } = await runCli(["doctor", "--json"], { env });
    if (code !== 0) throw new Error(`the doctor ended with ${code}: ${stderr}${stdout}`);
    return JSON.parse(stdout) as Diagnosis;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
};
