/**
 * Everything that changes the store: each method is one transaction around the rules in the files beside it. It runs
 * on the thread of the sockets and blocks it until the disk has answered (why: `index.ts`).
 * @module
 */
import type { ConsumerConfig, ConsumerState, Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import type {
  AckOutcome,
  AckRequest,
  CommitEntry,
  CommitOutcome,
  MetadataStore,
  NackOutcome,
  NackRequest,
  PulledPage,
  PullRequest,
} from "../contract.ts";
import { commitEntries } from "./commit.ts";
import type { Connection } from "./connection.ts";
import { isConfigured } from "./consumers.ts";
import { pullPage, pullSettles } from "./pull.ts";
import { purgeSubject } from "./purge.ts";
import { acknowledge, giveBack } from "./settle.ts";
import { consumerState, makeConsumer } from "./state.ts";
import { openTables, type Tables } from "./tables.ts";

/** The changing half of the store, and looking at consumers, which settles what has used up its deliveries. */
export interface Writes
  extends Pick<
    MetadataStore,
    | "commit"
    | "purge"
    | "putConsumer"
    | "consumer"
    | "consumers"
    | "deleteConsumer"
    | "pull"
    | "ack"
    | "nack"
    | "ready"
    | "close"
  > {
  /** Resolves when the rows of purged messages are gone (or could not be removed for now). */
  reclaimed(): Promise<void>;
}

/** Writes on this thread. Calls run to their end one after the other; none waits for another inside. */
export class LocalWrites implements Writes {
  readonly #connection: Connection;
  readonly #clock: () => number;
  readonly #tables: Tables;

  /** @param clock Unix milliseconds; asked once a call, before anything is awaited */
  constructor(connection: Connection, clock: () => number, dedupeWindowMs: number) {
    this.#connection = connection;
    this.#clock = clock;
    this.#tables = openTables(connection, dedupeWindowMs);
    this.#tables.garbage.start();
  }

  async commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]> {
    if (entries.length === 0) return [];
    return this.#connection.write("durable", () => commitEntries(this.#tables, entries, this.#clock()));
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    const deleted = this.#connection.write("durable", () => purgeSubject(this.#tables, subject, through));
    if (deleted > 0) this.#tables.garbage.start();
    return { deleted };
  }

  async putConsumer(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
  ): Promise<{ readonly status: "created" | "same" | "differs"; readonly state: ConsumerState }> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => {
      const found = this.#tables.consumers.find(subject, name);
      const row = found ?? makeConsumer(this.#tables, subject, name, config, nowMs);
      const status = found === null ? "created" : isConfigured(row, config) ? "same" : "differs";
      return { status, state: consumerState(this.#tables, row, nowMs) };
    });
  }

  async consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => {
      const row = this.#tables.consumers.find(subject, name);
      return row === null ? null : consumerState(this.#tables, row, nowMs);
    });
  }

  async consumers(subject: Subject): Promise<readonly ConsumerState[]> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () =>
      this.#tables.consumers.list(subject).map((row) => consumerState(this.#tables, row, nowMs)),
    );
  }

  async deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => {
      const row = this.#tables.consumers.find(subject, name);
      if (row === null) return null;
      const state = consumerState(this.#tables, row, nowMs);
      this.#tables.leases.remove(row);
      this.#tables.consumers.remove(row.id);
      return state;
    });
  }

  async pull(request: PullRequest): Promise<PulledPage> {
    const nowMs = this.#clock();
    // A lease may be lost in a power cut; what was settled may not, as `acked_through` never moves back.
    const page = this.#connection.write("relaxed", () =>
      pullSettles(this.#tables, request, nowMs) ? undefined : pullPage(this.#tables, request, nowMs),
    );
    return page ?? this.#connection.write("durable", () => pullPage(this.#tables, request, nowMs));
  }

  async ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => requests.map((each) => acknowledge(this.#tables, each, nowMs)));
  }

  async nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => requests.map((each) => giveBack(this.#tables, each, nowMs)));
  }

  async ready(): Promise<void> {
    this.#connection.touch();
  }

  async reclaimed(): Promise<void> {
    await this.#tables.garbage.idle();
  }

  async close(): Promise<void> {
    await this.#tables.garbage.stop();
    this.#connection.close();
  }
}
