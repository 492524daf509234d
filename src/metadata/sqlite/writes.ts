/**
 * Everything that changes the store: each method is one transaction around the rules in the files beside it. It runs
 * on the thread of the sockets and blocks it until the disk has answered (why: `index.ts`).
 * @module
 */
import type { ConsumerConfig, ConsumerState, Sequence } from "../../core/message.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../../core/subject.ts";
import type {
  AckOutcome,
  AckRequest,
  CommitEntry,
  CommitOutcome,
  NackOutcome,
  NackRequest,
  PulledPage,
  PullRequest,
} from "../contract.ts";
import { commitEntries } from "./commit.ts";
import type { Connection, Durability } from "./connection.ts";
import { isConfigured } from "./consumers.ts";
import { pullPage, pullSettles } from "./pull.ts";
import { cutSubject } from "./purge.ts";
import { cutExpired, expireSubjects } from "./retention.ts";
import { acknowledge, giveBack } from "./settle.ts";
import { consumerState, makeConsumer } from "./state.ts";
import type { Tables } from "./tables.ts";

/** The changing half of the store. Calls run to their end one after the other; none waits for another inside. */
export abstract class Writes {
  /** @param clock Unix milliseconds; asked once a call, before anything is awaited */
  constructor(
    protected readonly connection: Connection,
    protected readonly tables: Tables,
    protected readonly clock: () => number,
  ) {
    tables.garbage.start();
  }

  async commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]> {
    if (entries.length === 0) return [];
    return this.#write("durable", () => commitEntries(this.tables, entries, this.clock()));
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    const nowMs = this.clock();
    const deleted = this.#write("durable", () => {
      cutExpired(this.tables, subject, nowMs);
      const row = this.tables.subjects.find(subject);
      return row === null ? 0 : cutSubject(this.tables, row, through, nowMs);
    });
    return { deleted };
  }

  async putConsumer(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
  ): Promise<{ readonly status: "created" | "same" | "differs"; readonly state: ConsumerState }> {
    const nowMs = this.clock();
    return this.#write("durable", () => {
      cutExpired(this.tables, subject, nowMs);
      const found = this.tables.consumers.find(subject, name);
      const row = found ?? makeConsumer(this.tables, subject, name, config, nowMs);
      const status = found === null ? "created" : isConfigured(row, config) ? "same" : "differs";
      return { status, state: consumerState(this.tables, row, nowMs) };
    });
  }

  async consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    const nowMs = this.clock();
    return this.#write("durable", () => {
      cutExpired(this.tables, subject, nowMs);
      const row = this.tables.consumers.find(subject, name);
      return row === null ? null : consumerState(this.tables, row, nowMs);
    });
  }

  async consumers(subject: Subject): Promise<readonly ConsumerState[]> {
    const nowMs = this.clock();
    return this.#write("durable", () => {
      cutExpired(this.tables, subject, nowMs);
      return this.tables.consumers.list(subject).map((row) => consumerState(this.tables, row, nowMs));
    });
  }

  async deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    const nowMs = this.clock();
    return this.#write("durable", () => {
      cutExpired(this.tables, subject, nowMs);
      const row = this.tables.consumers.find(subject, name);
      if (row === null) return null;
      const state = consumerState(this.tables, row, nowMs);
      this.tables.leases.remove(row);
      this.tables.consumers.remove(row.id);
      return state;
    });
  }

  async pull(request: PullRequest): Promise<PulledPage> {
    const nowMs = this.clock();
    // A lease may be lost in a power cut; what was settled may not, as `acked_through` never moves back.
    const page = this.#write("relaxed", () =>
      pullSettles(this.tables, request, nowMs) ? undefined : pullPage(this.tables, request, nowMs),
    );
    if (page !== undefined) return page;
    return this.#write("durable", () => {
      cutExpired(this.tables, request.subject, nowMs);
      return pullPage(this.tables, request, nowMs);
    });
  }

  async ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]> {
    const nowMs = this.clock();
    return this.#write("durable", () =>
      requests.map((each) => {
        cutExpired(this.tables, each.subject, nowMs);
        return acknowledge(this.tables, each, nowMs);
      }),
    );
  }

  async nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]> {
    const nowMs = this.clock();
    return this.#write("durable", () =>
      requests.map((each) => {
        cutExpired(this.tables, each.subject, nowMs);
        return giveBack(this.tables, each, nowMs);
      }),
    );
  }

  async putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<"created" | "same" | "replaced"> {
    return this.#changePolicies(() => this.tables.policies.put(filter, policy));
  }

  async deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy | null> {
    return this.#changePolicies(() => this.tables.policies.remove(filter));
  }

  async expire(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly expired: number; readonly next: string | undefined }> {
    const nowMs = this.clock();
    return this.#write("durable", () => expireSubjects(this.tables, after ?? "", limit, nowMs));
  }

  async takeDead(request: {
    readonly limit: number;
    readonly minAgeMs: number;
    readonly leaseMs: number;
  }): Promise<readonly string[]> {
    const nowMs = this.clock();
    const { limit, minAgeMs, leaseMs } = request;
    return this.#write("durable", () => this.tables.dead.take(limit, nowMs - minAgeMs, nowMs, nowMs + leaseMs));
  }

  async forgetDead(objects: readonly string[]): Promise<void> {
    this.#write("durable", () => {
      for (const object of objects) this.tables.dead.forget(object);
    });
  }

  async condemn(objects: readonly string[]): Promise<number> {
    const nowMs = this.clock();
    return this.#write("durable", () => objects.filter((object) => this.tables.dead.condemn(object, nowMs)).length);
  }

  /** Resolves when the rows of purged messages are gone (or could not be removed for now). */
  async reclaimed(): Promise<void> {
    await this.tables.garbage.idle();
  }

  /** Ends the removal of purged rows, and closes the file. */
  async close(): Promise<void> {
    await this.tables.garbage.stop();
    this.connection.close();
  }

  /** One transaction; what it deleted is removed afterwards. */
  #write<T>(durability: Durability, work: () => T): T {
    const result = this.connection.write(durability, work);
    this.tables.garbage.startNoted();
    return result;
  }

  /** What is known of the policies is read anew, also when it is not known whether they have changed. */
  #changePolicies<T>(work: () => T): T {
    try {
      return this.connection.write("durable", work);
    } finally {
      this.tables.policies.forget();
    }
  }
}
