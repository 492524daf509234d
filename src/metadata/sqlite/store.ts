/**
 * The metadata store on SQLite: reads here, changes in `writes.ts`. A read never meets a transaction that is under way,
 * as both run to their end without an await.
 * @module
 */
import type { Head, Sequence, SubjectDetails, SubjectSummary } from "../../core/message.ts";
import type { FilterPolicy } from "../../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../../core/subject.ts";
import type { EnvelopePage, MetadataStore, PageBounds, PulledPage } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { PageMeter } from "./messages.ts";
import { peekPage } from "./pull.ts";
import { shownRow, shownSubject } from "./retention.ts";
import { headOf, type SubjectRow, summaryOf } from "./subjects.ts";
import type { Tables } from "./tables.ts";
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
    const nowMs = this.clock();
    return this.connection.read(() => subjects.map((subject) => headOf(shownSubject(this.tables, subject, nowMs))));
  }

  async range(subject: Subject, fromSequence: Sequence, bounds: PageBounds): Promise<EnvelopePage> {
    return this.connection.read(() => {
      const row = this.#shown(subject);
      const envelopes = row === null ? [] : this.tables.messages.page(row, fromSequence, new PageMeter(bounds));
      return { head: headOf(row), envelopes };
    });
  }

  async sequenceAt(subject: Subject, timestampMs: number): Promise<Sequence> {
    return this.connection.read(() => {
      const row = this.#shown(subject);
      return row === null ? 1 : this.tables.messages.sequenceAt(row, timestampMs);
    });
  }

  async subjects(query: {
    readonly filter: SubjectFilter;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<{ readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean }> {
    const nowMs = this.clock();
    const shown = (row: SubjectRow): SubjectRow => shownRow(this.tables, row, nowMs);
    return this.connection.read(() => this.tables.subjects.list(query.filter, query.after ?? "", query.limit, shown));
  }

  async subject(subject: Subject): Promise<SubjectDetails | null> {
    return this.connection.read(() => {
      const row = this.#shown(subject);
      if (row === null) return null;
      const { created_at: createdAtMs, last_published_at: lastPublishedAtMs } = row;
      return { ...summaryOf(row), createdAtMs, lastPublishedAtMs, consumers: this.tables.consumers.count(subject) };
    });
  }

  async peek(subject: Subject, consumer: ConsumerName, bounds: PageBounds): Promise<PulledPage> {
    return this.connection.read(() => peekPage(this.tables, subject, consumer, bounds, this.clock()));
  }

  async policies(): Promise<readonly FilterPolicy[]> {
    return this.connection.read(() => this.tables.policies.list());
  }

  async countDead(): Promise<number> {
    return this.connection.read(() => this.tables.dead.count());
  }

  async referenced(objects: readonly string[]): Promise<readonly boolean[]> {
    return this.connection.read(() => objects.map((object) => this.tables.messages.isReferenced(object)));
  }

  async ready(): Promise<void> {
    this.connection.touch();
  }

  /** Inside a transaction. */
  #shown(subject: Subject): SubjectRow | null {
    return shownSubject(this.tables, subject, this.clock());
  }
}
