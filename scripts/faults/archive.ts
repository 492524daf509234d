/**
 * What earlier rounds stored, as digests: proven once more before it is deleted, so that a later fault that damages
 * something old does not go unseen, and the stores do not grow for ever.
 * @module
 */
import { type Ledger, readAll } from "../../src/testing/faults/ledger.ts";
import { HttpClient } from "../../src/testing/http-client.ts";
import type { ClusterNode } from "../../src/testing/nodes/cluster.ts";
import { headsOf } from "../../src/testing/nodes/proof.ts";

/** Rounds that are kept. */
const roundsMax = 30;

interface Kept {
  readonly subject: string;
  readonly last: number;
  readonly digest: string;
}

/** The rounds, oldest first. */
export class Archive {
  readonly #rounds: (readonly Kept[])[] = [];

  /** Keeps a round that was proven; proves and deletes the one that becomes too old. */
  async add(ledger: Ledger, nodes: readonly ClusterNode[]): Promise<void> {
    this.#rounds.push(
      [...headsOf(ledger)].map(([subject, last]) => ({ subject, last, digest: digestOf(ledger, subject) })),
    );
    const oldest = this.#rounds.length > roundsMax ? this.#rounds.shift() : undefined;
    if (oldest === undefined) return;
    for (const kept of oldest) {
      await proveKept(kept, nodes);
      await deleteKept(kept, nodes);
    }
  }

  /** Proves all that is kept, on every node. */
  async prove(nodes: readonly ClusterNode[]): Promise<void> {
    for (const kept of this.#rounds.flat()) await proveKept(kept, nodes);
  }
}

const digestOf = (ledger: Ledger, subject: string): string => {
  const hash = new Bun.CryptoHasher("sha256");
  const entries = ledger.entries.filter((entry) => entry.subject === subject);
  for (const { body } of entries.toSorted((a, b) => (a.receipt?.sequence ?? 0) - (b.receipt?.sequence ?? 0))) {
    hash.update(body);
  }
  return hash.digest("hex");
};

const proveKept = async ({ subject, last, digest }: Kept, nodes: readonly ClusterNode[]): Promise<void> => {
  for (const node of nodes) {
    const messages = await readAll(new HttpClient(node.url, "msgpack"), subject);
    const hash = new Bun.CryptoHasher("sha256");
    for (const { body } of messages) hash.update(body);
    if (messages.length === last && hash.digest("hex") === digest) continue;
    throw new Error(
      `${subject} on node ${node.name}: proven before, and now ${messages.length} of ${last} or other bytes`,
    );
  }
};

/** On one node, seen on the others. */
const deleteKept = async ({ subject, last }: Kept, nodes: readonly ClusterNode[]): Promise<void> => {
  const [first] = nodes;
  if (first === undefined) return;
  await new HttpClient(first.url).purge(subject, last);
  for (const node of nodes) {
    const page = await new HttpClient(node.url).read(subject);
    if (page.firstSequence === last + 1 && page.lastSequence === last && page.messages.length === 0) continue;
    throw new Error(`${subject} on node ${node.name}: deleted through ${last}, but it starts at ${page.firstSequence}`);
  }
};
