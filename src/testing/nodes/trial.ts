/**
 * One trial of the cluster: load on every node and watches on all of it, a fault in the midst, and the proof afterwards
 * that nothing that was promised is broken.
 * @module
 */
import { Ledger } from "../faults/ledger.ts";
import type { Cluster } from "./cluster.ts";
import { type LaneOptions, Load, type LoadBook } from "./load.ts";
import { proveEverywhere, publishesAgain } from "./proof.ts";
import { Watch } from "./watch.ts";

/** A trial. */
export interface TrialOptions {
  /** First tokens of all subjects of the trial; never used before. */
  readonly root: string;
  /** Messages acknowledged before the fault, and again after it. */
  readonly messages: number;
  /** Nodes whose connections the fault cuts or whose process it ends: nothing watches there. */
  readonly unwatched?: readonly number[];
  /** Length of a body by its index in a lane. */
  readonly bodyBytes?: (index: number) => number;
  /** Brings the fault and takes it away again; resolves when everything runs again. */
  fault(load: Load): Promise<void>;
}

/** What a trial measured; times in milliseconds. */
export interface TrialResult {
  readonly book: LoadBook;
  readonly ledger: Ledger;
  /** From the end of the fault to the first acknowledged publish, for the node that took longest. */
  readonly againMs: number;
}

const KiB = 1024;
/** Mostly small; now and then one that is stored as an object of its own. */
const mixedBytes = (index: number): number => (index % 97 === 50 ? 300 * KiB : (index * 61) % 1200);

/** Runs one. @throws Error that names what is wrong */
export const runTrial = async (cluster: Cluster, options: TrialOptions): Promise<TrialResult> => {
  const { root, messages, unwatched = [], bodyBytes = mixedBytes } = options;
  const { nodes } = cluster;
  const subjects = [`${root}.a`, `${root}.b`, `${root}.c.d`];
  const ledger = new Ledger();
  const watches = await Promise.all(
    nodes
      .filter((_, index) => !unwatched.includes(index))
      .flatMap((node) => [Watch.open(node, `${root}.>`), Watch.open(node, `${root}.a`)]),
  );
  const lanes = nodes.flatMap((node, home): LaneOptions[] => [
    { nodes, home, subjects, bodyBytes, lane: `${root}.${node.name}.ws`, transport: "ws", window: 24 },
    { nodes, home, subjects, bodyBytes, lane: `${root}.${node.name}.http`, transport: "http", window: 1 },
  ]);
  const load = new Load(ledger, lanes);
  try {
    await load.more(messages);
    await options.fault(load);
    const again = await Promise.all(nodes.map((node) => publishesAgain(node, `again.${root}`)));
    await load.more(messages);
    await load.stop();
    if (load.book.inexcusable.length > 0) throw new Error(`answers: ${load.book.inexcusable.join(", ")}`);
    await proveEverywhere(nodes, ledger, watches);
    return { book: load.book, ledger, againMs: Math.max(...again) };
  } finally {
    load.abandon();
    await Promise.allSettled(watches.map((watch) => watch[Symbol.asyncDispose]()));
  }
};
