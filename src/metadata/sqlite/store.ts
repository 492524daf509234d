/**
 * The metadata store on SQLite: reads here, changes in `writes.ts`. A read never meets a transaction that is under way,
 * as both run to their end without an await.
 * @module
 */
import type { Head, Receipts, Sequence, SubjectDetails, SubjectSummary } from "../../core/message.ts";
import type { FilterPolicy } from "../../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../../core/subject.ts";
import type {
  ConsumerBacklog,
  DelayedMessage,
  EnvelopePage,
  MetadataStore,
  PageBounds,
  PulledPage,
} from "../contract.ts";
import { auditOf } from "./audit.ts";
import type { Connection } from "./connection.ts";
import { PageMeter } from "./messages.ts";
import { peekPage } from "./pull.ts";
import { receiptsOf } from "./receipts.ts";
import { shownRow, shownSubject } from "./retention.ts";
import { backlogOf } from "./state.ts";
import { headOf, type SubjectRow, summaryOf } from "./subjects.ts";
import type { Tables } from "./tables.ts";
import { mayHaveEnded } from "./ttl.ts";
import { Writes } from "./writes.ts";

/** What the store is made of; the schema is there already. */
export interface StoreParts {
  readonly connection: Connection;
  readonly tables: Tables;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly epoch: string;
  readonly warnings: readonly string[];
}

/** A metadata store in one file. */
export class SqliteMetadata extends Writes implements MetadataStore {
  readonly epoch: string;
  /** What was found damaged at the start, a line each; empty when all is well. */
  readonly warnings: readonly string[];

  constructor({ connection, tables, clock, epoch, warnings }: StoreParts) {
    super(connection, tables, clock);
    this.epoch = epoch;
    this.warnings = warnings;
  }

  async heads(subjects: readonly Subject[]): Promise<readonly Head[]> {
    return this.look(subjects, (nowMs) => subjects.map((subject) => headOf(shownSubject(this.tables, subject, nowMs))));
  }

  async range(subject: Subject, fromSequence: Sequence, bounds: PageBounds): Promise<EnvelopePage> {
    return this.#show(subject, (row, nowMs) => {
      const envelopes = row === null ? [] : this.tables.messages.page(row, fromSequence, new PageMeter(bounds), nowMs);
      return { head: headOf(row), envelopes };
    });
  }

  async sequenceAt(subject: Subject, timestampMs: number): Promise<Sequence> {
    return this.#show(subject, (row) => (row === null ? 1 : this.tables.messages.sequenceAt(row, timestampMs)));
  }

  async subjects(query: {
    readonly filter: SubjectFilter;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<{ readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean }> {
    const { filter, after = "", limit } = query;
    const nowMs = this.clock();
    // What cannot be removed, as the disk is full, is left out the second time.
    for (let isSecond = false; ; isSecond = true) {
      const ended: Subject[] = [];
      const shown = (row: SubjectRow): SubjectRow => {
        if (isSecond || !mayHaveEnded(row, nowMs)) return shownRow(this.tables, row, nowMs);
        ended.push(row.name);
        return row;
      };
      const listed = this.connection.read(() => this.tables.subjects.list(filter, after, limit, shown));
      if (ended.length === 0) return listed;
      await this.look(ended, () => undefined);
    }
  }

  async subject(subject: Subject): Promise<SubjectDetails | null> {
    return this.#show(subject, (row) => {
      if (row === null) return null;
      const { created_at: createdAtMs, last_published_at: lastPublishedAtMs } = row;
      return { ...summaryOf(row), createdAtMs, lastPublishedAtMs, consumers: this.tables.consumers.count(subject) };
    });
  }

  async peek(subject: Subject, consumer: ConsumerName, bounds: PageBounds): Promise<PulledPage> {
    return this.look([subject], (nowMs) => peekPage(this.tables, subject, consumer, bounds, nowMs));
  }

  async receipts(subject: Subject, sequence: Sequence): Promise<Receipts | null> {
    return this.#show(subject, (row, nowMs) => (row === null ? null : receiptsOf(this.tables, row, sequence, nowMs)));
  }

  async policies(): Promise<readonly FilterPolicy[]> {
    return this.connection.read(() => this.tables.policies.list());
  }

  async consumerBacklogs(
    after: { readonly subject: Subject; readonly name: ConsumerName } | undefined,
    limit: number,
  ): Promise<readonly ConsumerBacklog[]> {
    return this.connection.read(() =>
      this.tables.consumers
        .listAll(after?.subject ?? "", after?.name ?? "", limit)
        .map((row) => backlogOf(this.tables, row)),
    );
  }

  async countDead(): Promise<number> {
    return this.connection.read(() => this.tables.dead.count());
  }

  async referenced(objects: readonly string[]): Promise<readonly boolean[]> {
    return this.connection.read(() => objects.map((object) => this.tables.objects.isReferenced(object)));
  }

  async delayed(after: string | undefined, limit: number): Promise<readonly DelayedMessage[]> {
    return this.connection.read(() => this.tables.delayed.waiting(Number(after ?? 0), limit));
  }

  async audit(): Promise<readonly string[]> {
    return this.connection.read(() => auditOf(this.connection));
  }

  async ready(): Promise<void> {
    this.connection.touch();
  }

  /** Reads a subject as it is shown. */
  #show<T>(subject: Subject, work: (row: SubjectRow | null, nowMs: number) => T): Promise<T> {
    return this.look([subject], (nowMs) => work(shownSubject(this.tables, subject, nowMs), nowMs));
  }
}
