/**
 * Small commits on the thread of the sockets, while the disk is quick: two hops between threads would take longer than
 * the commit itself, most of all when the processor is busy. What is large, or has to wait for a slow or busy disk,
 * goes to the writer's thread.
 * @module
 */
import type { CommitEntry, CommitOutcome } from "../contract.ts";
import { type CommitTables, commitEntries } from "./commit.ts";
import type { Connection } from "./connection.ts";

/** A commit of so many messages takes little more than one of a single message. */
const entriesMax = 64;
/** Above this, commits leave the thread; a quiet solid-state disk takes 0.3 ms. */
const quickMsMax = 1;
/** Calls that the moving average goes over. */
const averaged = 8;

/** Commits that need no other thread. The caller sees to it that nobody else writes meanwhile. */
export class NearCommits {
  readonly #connection: Connection;
  readonly #clock: () => number;
  readonly #tables: CommitTables;
  /** The disk is taken as slow until the first commit. */
  #averageMs = Number.POSITIVE_INFINITY;

  /** @param clock Unix milliseconds */
  constructor(connection: Connection, clock: () => number, tables: CommitTables) {
    this.#connection = connection;
    this.#clock = clock;
    this.#tables = tables;
  }

  /** Whether a commit is expected to be over soon. */
  takes(entries: readonly CommitEntry[]): boolean {
    return entries.length <= entriesMax && this.#averageMs < quickMsMax;
  }

  /** Commits on this thread. @throws StreamError as `MetadataStore.commit` */
  commit(entries: readonly CommitEntry[]): readonly CommitOutcome[] {
    const startMs = performance.now();
    try {
      return this.#connection.write("durable", () => commitEntries(this.#tables, entries, this.#clock()));
    } finally {
      this.record(entries.length, performance.now() - startMs);
    }
  }

  /** Tells how long a commit took, on whichever thread. */
  record(entries: number, tookMs: number): void {
    // Large ones take long because they are large, which says nothing of a small one.
    if (entries > entriesMax) return;
    const isFirst = !Number.isFinite(this.#averageMs);
    this.#averageMs = isFirst ? tookMs : this.#averageMs + (tookMs - this.#averageMs) / averaged;
  }

  /** Whether a commit has cut a subject since this was last asked: the rows are for the other thread to remove. */
  hasCut(): boolean {
    return this.#tables.garbage.takeNoted();
  }

  /** Another connection has committed: what was known of the tables from here may be out of date. */
  changedElsewhere(): void {
    this.#tables.messageIds.mayHaveRows();
  }

  /** The other thread has, or may have, changed the policies. */
  policiesChanged(): void {
    this.#tables.policies.forget();
  }
}
