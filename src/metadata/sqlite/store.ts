/**
 * The metadata store on SQLite: each method is one transaction around the rules in the files beside it.
 * @module
 */
import type {
  ConsumerConfig,
  ConsumerState,
  Head,
  Sequence,
  SubjectDetails,
  SubjectSummary,
} from "../../core/message.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../../core/subject.ts";
import type {
  AckOutcome,
  AckRequest,
  CommitEntry,
  CommitOutcome,
  EnvelopePage,
  MetadataStore,
  NackOutcome,
  NackRequest,
  PageBounds,
  PulledPage,
  PullRequest,
} from "../contract.ts";
import { type CommitTables, commitEntries } from "./commit.ts";
import type { Connection } from "./connection.ts";
import { ConsumerTable, isConfigured } from "./consumers.ts";
import { Garbage } from "./garbage.ts";
import { LeaseTable } from "./leases.ts";
import { MessageIdTable } from "./message-ids.ts";
import { MessageTable, PageMeter } from "./messages.ts";
import { peekPage, pullPage, pullSettles } from "./pull.ts";
import { type PurgeTables, purgeSubject } from "./purge.ts";
import { acknowledge, giveBack } from "./settle.ts";
import { consumerState, makeConsumer, type StateTables } from "./state.ts";
import { headOf, SubjectTable, summaryOf } from "./subjects.ts";

/** Every table; the rules take what they need of them. */
type Tables = CommitTables & PurgeTables & StateTables;

/** What the store is made of; the schema is there already. */
export interface StoreParts {
  readonly connection: Connection;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly dedupeWindowMs: number;
  readonly epoch: string;
  readonly warnings: readonly string[];
}

/** A metadata store in one file. Calls run to their end one after the other; none waits for another inside. */
export class SqliteMetadata implements MetadataStore {
  readonly epoch: string;
  /** What was found damaged at the start, a line each; empty when all is well. */
  readonly warnings: readonly string[];
  readonly #connection: Connection;
  readonly #clock: () => number;
  readonly #tables: Tables;

  constructor(parts: StoreParts) {
    const { connection } = parts;
    this.epoch = parts.epoch;
    this.warnings = parts.warnings;
    this.#connection = connection;
    this.#clock = parts.clock;
    this.#tables = {
      subjects: new SubjectTable(connection),
      messages: new MessageTable(connection),
      messageIds: new MessageIdTable(connection, parts.dedupeWindowMs),
      consumers: new ConsumerTable(connection),
      leases: new LeaseTable(connection),
      garbage: new Garbage(connection),
    };
    this.#tables.garbage.start();
  }

  async commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]> {
    if (entries.length === 0) return [];
    return this.#connection.write("durable", () => commitEntries(this.#tables, entries, this.#clock()));
  }

  async heads(subjects: readonly Subject[]): Promise<readonly Head[]> {
    return this.#connection.read(() => subjects.map((subject) => headOf(this.#tables.subjects.find(subject))));
  }

  async range(subject: Subject, fromSequence: Sequence, bounds: PageBounds): Promise<EnvelopePage> {
    return this.#connection.read(() => {
      const row = this.#tables.subjects.find(subject);
      const envelopes = row === null ? [] : this.#tables.messages.page(row, fromSequence, new PageMeter(bounds));
      return { head: headOf(row), envelopes };
    });
  }

  async sequenceAt(subject: Subject, timestampMs: number): Promise<Sequence> {
    return this.#connection.read(() => {
      const row = this.#tables.subjects.find(subject);
      return row === null ? 1 : this.#tables.messages.sequenceAt(row, timestampMs);
    });
  }

  async subjects(query: {
    readonly filter: SubjectFilter;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<{ readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean }> {
    return this.#connection.read(() => this.#tables.subjects.list(query.filter, query.after ?? "", query.limit));
  }

  async subject(subject: Subject): Promise<SubjectDetails | null> {
    return this.#connection.read(() => {
      const row = this.#tables.subjects.find(subject);
      if (row === null) return null;
      const { created_at: createdAtMs, last_published_at: lastPublishedAtMs } = row;
      return { ...summaryOf(row), createdAtMs, lastPublishedAtMs, consumers: this.#tables.consumers.count(subject) };
    });
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

  async peek(subject: Subject, consumer: ConsumerName, bounds: PageBounds): Promise<PulledPage> {
    return this.#connection.read(() => peekPage(this.#tables, subject, consumer, bounds, this.#clock()));
  }

  async ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => requests.map((each) => acknowledge(this.#tables, each, nowMs)));
  }

  async nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]> {
    const nowMs = this.#clock();
    return this.#connection.write("durable", () => requests.map((each) => giveBack(this.#tables, each, nowMs)));
  }

  async referenced(objects: readonly string[]): Promise<readonly boolean[]> {
    return this.#connection.read(() => objects.map((object) => this.#tables.messages.isReferenced(object)));
  }

  async ready(): Promise<void> {
    this.#connection.touch();
  }

  /** Resolves when the rows of purged messages are gone (or could not be removed for now). */
  async reclaimed(): Promise<void> {
    await this.#tables.garbage.idle();
  }

  async close(): Promise<void> {
    await this.#tables.garbage.stop();
    this.#connection.close();
  }
}
