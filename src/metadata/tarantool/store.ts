/**
 * The metadata store on Tarantool: each method is one call of a function in `lua/mts/verb`, which is one transaction.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type {
  BodyRef,
  ConsumerConfig,
  ConsumerState,
  Head,
  Receipts,
  Sequence,
  SubjectDetails,
  SubjectSummary,
} from "../../core/message.ts";
import type { FilterPolicy, RetentionPolicy } from "../../core/policy.ts";
import { type ConsumerName, filterPrefix, type Subject, type SubjectFilter } from "../../core/subject.ts";
import type {
  AckOutcome,
  AckRequest,
  ActorStore,
  ChangeFeed,
  CommitEntry,
  CommitOutcome,
  ConsumerBacklog,
  DeadObject,
  DelayedMessage,
  EnvelopePage,
  MetadataStore,
  NackOutcome,
  NackRequest,
  PageBounds,
  PulledPage,
  PullRequest,
  SparseObject,
  SparseRequest,
} from "../contract.ts";
import { TarantoolActors } from "./actors.ts";
import type { Calls } from "./calls.ts";
import { delayedMessages, moveItems, sparseItems, sparseObjects } from "./compaction.ts";
import { unavailable } from "./errors.ts";
import { TarantoolFeed } from "./feed.ts";
import type { Link } from "./link.ts";
import type { Measurer } from "./measure.ts";
import {
  backlogAt,
  commitOutcomes,
  configItems,
  envelopePage,
  headsOf,
  intOf,
  listOf,
  optionalOf,
  packCommit,
  policyItems,
  policyOf,
  pulledPage,
  receiptsOf,
  stateOf,
  summaryAt,
  textOf,
} from "./rows.ts";

/** What the store is made of. */
export interface StoreParts {
  readonly link: Link;
  readonly calls: Calls;
  readonly measurer: Measurer;
  readonly hello: Hello;
  readonly dedupeWindowMs: number;
}

/** What the database says of itself. */
export interface Hello {
  readonly epoch: string;
  readonly warnings: readonly string[];
  readonly isWritable: boolean;
}

/** The protocol of the functions that this driver speaks. */
const protocol = 1;
/** The oldest schema whose functions are all that this driver needs. */
const schemaMin = 9;

/** Asks who is there. @throws StreamError `unavailable` */
export const greet = async (calls: Calls): Promise<Hello> => {
  const [version, epoch, schema, warnings, isWritable] = listOf(await calls.read("mts_hello", []));
  if (version !== protocol || intOf(schema) < schemaMin)
    throw unavailable(
      `Tarantool runs functions of another version (schema ${intOf(schema)}, needed is ${schemaMin} or later): ` +
        "restart it with the lua folder of this release.",
    );
  return { epoch: textOf(epoch), warnings: listOf(warnings).map(textOf), isWritable: isWritable === true };
};

/** Whoever asks whether the store is ready wants to know it sooner than a call may take. */
const readyMsMax = 2000;

/** Rejects when the time is over. */
const silence = async (ms: number): Promise<never> =>
  new Promise((_, reject) => {
    setTimeout(() => reject(unavailable("Tarantool does not answer.")), ms).unref();
  });

/** Items of a subject in a listing. */
const summaryItems = 5;
/** Items of a consumer's backlog. */
const backlogItems = 4;

/** A metadata store that several nodes share. */
export class TarantoolMetadata implements MetadataStore {
  readonly epoch: string;
  readonly warnings: readonly string[];
  readonly changes: ChangeFeed;
  readonly actors: ActorStore;
  readonly #link: Link;
  readonly #calls: Calls;
  readonly #measurer: Measurer;
  readonly #dedupeWindowMs: number;

  constructor({ link, calls, measurer, hello, dedupeWindowMs }: StoreParts) {
    this.epoch = hello.epoch;
    this.warnings = hello.warnings;
    this.changes = new TarantoolFeed(calls);
    this.actors = new TarantoolActors(calls, dedupeWindowMs);
    this.#link = link;
    this.#calls = calls;
    this.#measurer = measurer;
    this.#dedupeWindowMs = dedupeWindowMs;
  }

  async commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]> {
    if (entries.length === 0) return [];
    const answer = await this.#calls.write("mts_commit", (client, written) =>
      packCommit(client, written, entries, this.#dedupeWindowMs),
    );
    return commitOutcomes(answer, entries);
  }

  async heads(subjects: readonly Subject[]): Promise<readonly Head[]> {
    return headsOf(await this.#calls.read("mts_heads", [subjects]));
  }

  async range(subject: Subject, fromSequence: Sequence, bounds: PageBounds): Promise<EnvelopePage> {
    const { limit, bodyBytesMax } = bounds;
    const page = envelopePage(
      subject,
      await this.#calls.read("mts_range", [subject, fromSequence, limit, bodyBytesMax]),
    );
    return { head: page.head, envelopes: await this.#measurer.complete(page.envelopes) };
  }

  async sequenceAt(subject: Subject, timestampMs: number): Promise<Sequence> {
    return intOf(await this.#calls.read("mts_sequence_at", [subject, Math.max(0, timestampMs)]));
  }

  async subjects(query: {
    readonly filter: SubjectFilter;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<{ readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean }> {
    const { filter, after = "", limit } = query;
    const answer = await this.#calls.read("mts_subjects", [filter, filterPrefix(filter), after, limit]);
    const [hasMore, found] = listOf(answer);
    const items = listOf(found);
    const subjects = Array.from({ length: items.length / summaryItems }, (_, index) =>
      summaryAt(items, index * summaryItems),
    );
    return { subjects, hasMore: hasMore === true };
  }

  async subject(subject: Subject): Promise<SubjectDetails | null> {
    const answer = await this.#calls.read("mts_subject", [subject]);
    if (answer === null) return null;
    const items = listOf(answer);
    return {
      ...summaryAt(items, 0),
      createdAtMs: intOf(items[summaryItems]),
      lastPublishedAtMs: intOf(items[summaryItems + 1]),
      consumers: intOf(items[summaryItems + 2]),
    };
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    return { deleted: intOf(await this.#calls.writePlain("mts_purge", [subject, through])) };
  }

  async putConsumer(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
  ): Promise<{ readonly status: "created" | "same" | "differs"; readonly state: ConsumerState }> {
    const answer = await this.#calls.writePlain("mts_put_consumer", [subject, name, ...configItems(config)]);
    const [status, items] = listOf(answer);
    const state = stateOf(items);
    if (state === null || (status !== "created" && status !== "same" && status !== "differs")) {
      throw new StreamError("internal", "The metadata store answered no consumer.");
    }
    return { status, state };
  }

  async consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    return stateOf(await this.#calls.writePlain("mts_consumer", [subject, name]));
  }

  async consumers(subject: Subject): Promise<readonly ConsumerState[]> {
    const states = listOf(await this.#calls.writePlain("mts_consumers", [subject])).map(stateOf);
    return states.filter((state) => state !== null);
  }

  async consumerBacklogs(
    after: { readonly subject: Subject; readonly name: ConsumerName } | undefined,
    limit: number,
  ): Promise<readonly ConsumerBacklog[]> {
    const items = listOf(
      await this.#calls.read("mts_consumer_backlogs", [after?.subject ?? "", after?.name ?? "", limit]),
    );
    return Array.from({ length: items.length / backlogItems }, (_, index) => backlogAt(items, index * backlogItems));
  }

  async deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    return stateOf(await this.#calls.writePlain("mts_delete_consumer", [subject, name]));
  }

  async pull({ subject, consumer, limit, bodyBytesMax, autoAck, create }: PullRequest): Promise<PulledPage> {
    const request = [subject, consumer, limit, bodyBytesMax, autoAck, create];
    return this.#completed(pulledPage(subject, await this.#calls.writePlain("mts_pull", request)));
  }

  async peek(subject: Subject, consumer: ConsumerName, bounds: PageBounds): Promise<PulledPage> {
    const request = [subject, consumer, bounds.limit, bounds.bodyBytesMax];
    return this.#completed(pulledPage(subject, await this.#calls.read("mts_peek", request)));
  }

  async ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]> {
    if (requests.length === 0) return [];
    const items = requests.map(({ subject, consumer, through, sequences }) => [subject, consumer, through, sequences]);
    return listOf(await this.#calls.writePlain("mts_ack", items)).map(ackOutcome);
  }

  async nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]> {
    if (requests.length === 0) return [];
    const items = requests.map(({ subject, consumer, sequences, delayMs, error }) => [
      subject,
      consumer,
      sequences,
      delayMs,
      error,
    ]);
    return listOf(await this.#calls.writePlain("mts_nack", items)).map(nackOutcome);
  }

  async commitDue(limit: number): Promise<{ readonly committed: number; readonly nextInMs: number | null }> {
    const answer = await this.#calls.writePlain("mts_commit_due", [this.#dedupeWindowMs, limit]);
    const [committed, nextInMs] = listOf(answer);
    return { committed: intOf(committed), nextInMs: nextInMs === null ? null : intOf(nextInMs) };
  }

  /** Never called: `changes` tells of them. */
  onMoved(): void {
    return undefined;
  }

  async redrive(request: {
    readonly subject: Subject;
    readonly consumer: ConsumerName;
    readonly from: Sequence;
    readonly limit: number;
  }): Promise<{ readonly redriven: number; readonly next: Sequence | undefined }> {
    const { subject, consumer, from, limit } = request;
    const [redriven, next] = listOf(await this.#calls.writePlain("mts_redrive", [subject, consumer, from, limit]));
    return { redriven: intOf(redriven), next: optionalOf(next) };
  }

  async takeSparse(request: SparseRequest): Promise<readonly SparseObject[]> {
    return sparseObjects(await this.#calls.writePlain("mts_take_sparse", sparseItems(request)));
  }

  async moveBodies(moves: readonly { readonly from: BodyRef; readonly to: BodyRef }[], lingerMs = 0): Promise<number> {
    if (moves.length === 0) return 0;
    return intOf(await this.#calls.writePlain("mts_move_bodies", moveItems(moves, lingerMs)));
  }

  async delayed(after: string | undefined, limit: number): Promise<readonly DelayedMessage[]> {
    return delayedMessages(await this.#calls.read("mts_delayed", [Number(after ?? 0), limit]));
  }

  async receipts(subject: Subject, sequence: Sequence): Promise<Receipts | null> {
    return receiptsOf(subject, sequence, await this.#calls.read("mts_receipts", [subject, sequence]));
  }

  async putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<"created" | "same" | "replaced"> {
    const status = await this.#calls.writePlain("mts_put_policy", [filter, ...policyItems(policy)]);
    if (status === "created" || status === "same" || status === "replaced") return status;
    throw new StreamError("internal", "The metadata store answered nothing of a policy.");
  }

  async deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy | null> {
    const answer = await this.#calls.writePlain("mts_delete_policy", [filter]);
    return answer === null ? null : policyOf(answer).policy;
  }

  async policies(): Promise<readonly FilterPolicy[]> {
    return listOf(await this.#calls.read("mts_policies", [])).map(policyOf);
  }

  async expire(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly expired: number; readonly next: string | undefined }> {
    const [expired, next] = listOf(await this.#calls.writePlain("mts_expire", [after ?? "", limit]));
    return { expired: intOf(expired), next: next === null ? undefined : textOf(next) };
  }

  async takeDead(request: {
    readonly limit: number;
    readonly minAgeMs: number;
    readonly leaseMs: number;
  }): Promise<readonly DeadObject[]> {
    const { limit, minAgeMs, leaseMs } = request;
    const answer = await this.#calls.writePlain("mts_take_dead", [limit, minAgeMs, leaseMs, true]);
    const [names, bytes] = listOf(answer).map(listOf);
    return (names ?? []).map((name, place) => ({ object: textOf(name), bytes: optionalOf(bytes?.[place]) }));
  }

  async holdDead(objects: readonly string[], leaseMs: number): Promise<void> {
    if (objects.length > 0) await this.#calls.writePlain("mts_hold_dead", [objects, leaseMs]);
  }

  async forgetDead(objects: readonly string[]): Promise<void> {
    if (objects.length > 0) await this.#calls.writePlain("mts_forget_dead", [objects]);
  }

  async countDead(): Promise<number> {
    return intOf(await this.#calls.read("mts_count_dead", []));
  }

  async condemn(objects: readonly string[]): Promise<number> {
    if (objects.length === 0) return 0;
    return intOf(await this.#calls.writePlain("mts_condemn", [objects]));
  }

  async referenced(objects: readonly string[]): Promise<readonly boolean[]> {
    if (objects.length === 0) return [];
    return listOf(await this.#calls.read("mts_referenced", [objects])).map((each) => each === true);
  }

  /** Rejects with what is in the way: nobody there, another epoch, an instance that only reads. */
  async ready(): Promise<void> {
    const { epoch, isWritable } = await Promise.race([greet(this.#calls), silence(readyMsMax)]);
    if (epoch !== this.epoch) throw unavailable("Tarantool has another store than the one that was opened.");
    if (!isWritable) throw unavailable("Tarantool accepts no writes (read-only).");
  }

  /** Calls in flight are rejected; the database decides on each as if the connection had been lost. */
  async close(): Promise<void> {
    this.#link.close();
  }

  async #completed(page: PulledPage): Promise<PulledPage> {
    return { ...page, envelopes: await this.#measurer.complete(page.envelopes) };
  }
}

const ackOutcome = (outcome: unknown): AckOutcome => {
  const [status, number, moved] = listOf(outcome);
  if (status === 0) return { status: "acked", ackedThrough: intOf(number), moved: moved === true };
  return refusedOutcome(status, number);
};

const nackOutcome = (outcome: unknown): NackOutcome => {
  const [status, number] = listOf(outcome);
  if (status === 0) return { status: "nacked", redeliver: intOf(number) };
  return refusedOutcome(status, number);
};

const refusedOutcome = (status: unknown, last: unknown): AckOutcome & NackOutcome => {
  if (status === 1) return { status: "consumer_not_found" };
  if (status === 2) return { status: "sequence_out_of_range", lastSequence: intOf(last) };
  return { status: "wrong_ack_mode" };
};
