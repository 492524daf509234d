/**
 * Everything that changes the store: each method is one transaction around the rules in the files beside it. It runs
 * on the thread of the sockets and blocks it until the disk has answered (why: `index.ts`).
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import type { ConsumerConfig, ConsumerState, Sequence } from "../../core/message.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../../core/subject.ts";
import type {
  AckOutcome,
  AckRequest,
  ActorStore,
  CommitEntry,
  CommitOutcome,
  DeadObject,
  Moved,
  NackOutcome,
  NackRequest,
  PulledPage,
  PullRequest,
  SparseObject,
  SparseRequest,
} from "../contract.ts";
import { releaseAcked } from "./acked.ts";
import { SqliteActors } from "./actors.ts";
import { commitEntries } from "./commit.ts";
import { commitDelayed } from "./commit-due.ts";
import {
  applyMoves,
  candidatesOf,
  type Move,
  sparseObjectOf,
  takeCandidates,
  takeRoomful,
  wantedOf,
} from "./compact.ts";
import type { Connection, Durability } from "./connection.ts";
import { isConfigured } from "./consumers.ts";
import { pullPage, pullSettles } from "./pull.ts";
import { cutSubject } from "./purge.ts";
import { type RedriveRequest, redriveLetters } from "./redrive.ts";
import { cutExpired } from "./retention.ts";
import { acknowledge, giveBack } from "./settle.ts";
import type { Span } from "./spans.ts";
import { consumerState, makeConsumer } from "./state.ts";
import { subjectsToSweep, sweepSlice } from "./sweep.ts";
import type { Tables } from "./tables.ts";
import { mayHaveEnded } from "./ttl.ts";

/** Messages from the middle that one transaction deletes at most because all have acknowledged them. */
const releasedMax = 10_000;

/** Reads of upkeep go on for so long before others have their turn. */
const readMsMax = 1;

const subjectsOf = (requests: readonly { readonly subject: Subject }[]): readonly Subject[] => [
  ...new Set(requests.map(({ subject }) => subject)),
];

/** Why what has ended may stay where it is for now. */
const unremovableCodes: ReadonlySet<string> = new Set(["storage_full", "unavailable", "outcome_unknown"]);

/** Lets everybody else go first. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The changing half of the store. Calls run to their end one after the other; none waits for another inside. */
export abstract class Writes {
  readonly actors: ActorStore;
  /** Subjects of which more is acknowledged by all than one transaction has deleted. */
  readonly #unreleased = new Set<Subject>();
  /** The subject that the last slice of a sweep has not finished, or not begun: more of it may have expired. */
  #behind: Subject | undefined;
  /** The last call of `takeSparse`, settled or not. */
  #taking: Promise<unknown> = Promise.resolve();

  /** @param clock Unix milliseconds; asked once a call, before anything is awaited */
  constructor(
    protected readonly connection: Connection,
    protected readonly tables: Tables,
    protected readonly clock: () => number,
  ) {
    connection.read(() => tables.subjects.lookForExpiry());
    tables.garbage.start();
    this.actors = new SqliteActors({
      tables,
      read: (work) => connection.read(() => work(clock())),
      change: (durability, subjects, work) => this.#change(durability, () => this.#limited(subjects), work),
    });
  }

  async commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]> {
    if (entries.length === 0) return [];
    return this.#change(
      "durable",
      () => this.#limited(subjectsOf(entries)),
      (nowMs) => commitEntries(this.tables, entries, nowMs),
    );
  }

  async commitDue(limit: number): Promise<{ readonly committed: number; readonly nextInMs: number | null }> {
    const nowMs = this.clock();
    const { delayed } = this.tables;
    const inMs = (atMs: number | null): number | null => (atMs === null ? null : Math.max(0, atMs - nowMs));
    // Mostly nothing is due, and looking takes no lock.
    const nextAtMs = this.connection.read(() => delayed.nextAtMs());
    if (nextAtMs === null) delayed.rest();
    if (nextAtMs === null || nextAtMs > nowMs) return { committed: 0, nextInMs: inMs(nextAtMs) };
    return this.#write("durable", () => {
      const committed = commitDelayed(this.tables, limit, nowMs);
      return { committed, nextInMs: inMs(delayed.nextAtMs()) };
    });
  }

  onMoved(listener: (moved: readonly Moved[]) => void): void {
    this.tables.moved.listen(listener);
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    const deleted = await this.#change("durable", [subject], (nowMs) => {
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
    return this.#change("durable", [subject], (nowMs) => {
      const found = this.tables.consumers.find(subject, name);
      const row = found ?? makeConsumer(this.tables, subject, name, config, nowMs);
      const status = found === null ? "created" : isConfigured(row, config) ? "same" : "differs";
      return { status, state: consumerState(this.tables, row, nowMs) };
    });
  }

  async consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    return this.#change("durable", [subject], (nowMs) => {
      const row = this.tables.consumers.find(subject, name);
      return row === null ? null : consumerState(this.tables, row, nowMs);
    });
  }

  async consumers(subject: Subject): Promise<readonly ConsumerState[]> {
    return this.#change("durable", [subject], (nowMs) => {
      return this.tables.consumers.list(subject).map((row) => consumerState(this.tables, row, nowMs));
    });
  }

  async deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    return this.#change("durable", [subject], (nowMs) => {
      const row = this.tables.consumers.find(subject, name);
      if (row === null) return null;
      const state = consumerState(this.tables, row, nowMs);
      this.tables.leases.remove(row);
      this.tables.consumers.remove(row.id);
      return state;
    });
  }

  async pull(request: PullRequest): Promise<PulledPage> {
    // A lease may be lost in a power cut; what was settled may not, as `acked_through` never moves back.
    const page = await this.#change("relaxed", [], (nowMs) =>
      pullSettles(this.tables, request, nowMs) ? undefined : pullPage(this.tables, request, nowMs),
    );
    if (page !== undefined) return page;
    return this.#change("durable", [request.subject], (nowMs) => pullPage(this.tables, request, nowMs));
  }

  async ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]> {
    return this.#change("durable", subjectsOf(requests), (nowMs) =>
      requests.map((each) => acknowledge(this.tables, each, nowMs)),
    );
  }

  async nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]> {
    return this.#change("durable", subjectsOf(requests), (nowMs) =>
      requests.map((each) => giveBack(this.tables, each, nowMs)),
    );
  }

  async redrive(request: RedriveRequest): Promise<{ readonly redriven: number; readonly next: Sequence | undefined }> {
    const letters = (): readonly Subject[] => {
      const from = this.tables.consumers.find(request.subject, request.consumer)?.dead_letter ?? null;
      return from === null ? [request.subject] : [request.subject, from];
    };
    return this.#change("durable", letters, (nowMs) => redriveLetters(this.tables, request, nowMs));
  }

  takeSparse(request: SparseRequest): Promise<readonly SparseObject[]> {
    const nowMs = this.clock();
    // One after the other, so that none finds what another is about to take.
    const taking = this.#taking.then(() => this.#takeSparse(request, nowMs));
    this.#taking = taking.catch(() => undefined);
    return taking;
  }

  async #takeSparse(request: SparseRequest, nowMs: number): Promise<readonly SparseObject[]> {
    const wanted = wantedOf(request, nowMs);
    const waiting = await this.#inTurns(candidatesOf(this.tables.sparse, request, wanted));
    while (waiting.length > 0) {
      const roomful = takeRoomful(waiting, request);
      const untilMs = nowMs + request.leaseMs;
      const taken = this.#write("durable", () => takeCandidates(this.tables, roomful, wanted, untilMs));
      const found: SparseObject[] = [];
      for (const each of taken) {
        const object = await this.#inTurns(sparseObjectOf(this.tables, each));
        if (object !== undefined) found.push(object);
      }
      if (found.length > 0) return found;
    }
    return [];
  }

  async moveBodies(moves: readonly Move[], lingerMs = 0): Promise<number> {
    const nowMs = this.clock();
    return this.#write("durable", () => applyMoves(this.tables, moves, lingerMs, nowMs));
  }

  async putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<"created" | "same" | "replaced"> {
    const nowMs = this.clock();
    return this.#changePolicies(() => this.tables.policies.put(filter, policy, nowMs));
  }

  async deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy | null> {
    return this.#changePolicies(() => this.tables.policies.remove(filter));
  }

  async expire(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly expired: number; readonly next: string | undefined }> {
    const { subjects, next } = this.connection.read(() => subjectsToSweep(this.tables, after ?? "", limit));
    if (subjects.length === 0) return { expired: 0, next };
    const nowMs = this.clock();
    const [first] = subjects;
    if (first !== undefined && first === this.#behind) {
      // A power cut that brings some back does no harm: before an object goes because of it, a durable transaction notes
      // that, and with it all before it.
      const { removed, isAll } = this.#write("relaxed", () => cutExpired(this.tables, first, nowMs));
      if (isAll) this.#behind = undefined;
      return { expired: removed, next: after ?? "" };
    }
    const slice = this.#write("durable", () => sweepSlice(this.tables, subjects, nowMs));
    this.#behind = subjects[slice.subjects];
    // With much to remove the caller comes again, so that it decides how long others have their turn.
    const isAll = slice.subjects === subjects.length;
    return { expired: slice.removed, next: isAll ? next : (subjects[slice.subjects - 1] ?? after ?? "") };
  }

  async takeDead(request: {
    readonly limit: number;
    readonly minAgeMs: number;
    readonly leaseMs: number;
  }): Promise<readonly DeadObject[]> {
    const nowMs = this.clock();
    const { limit, minAgeMs, leaseMs } = request;
    const taken = this.#write("durable", () => this.tables.dead.take(limit, nowMs - minAgeMs, nowMs, nowMs + leaseMs));
    return taken.map((object) => ({ object }));
  }

  async holdDead(objects: readonly string[], leaseMs: number): Promise<void> {
    const untilMs = this.clock() + leaseMs;
    this.#write("durable", () => {
      for (const object of objects) this.tables.dead.hold(object, untilMs);
    });
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

  /** Those that are to be free of what is too old before a commit: only the room that a policy leaves depends on it. */
  #limited(subjects: readonly Subject[]): readonly Subject[] {
    if (this.tables.policies.isEmpty || !this.tables.subjects.mayExpire) return [];
    return subjects.filter((each) => this.tables.policies.of(each));
  }

  /**
   * One transaction on subjects of which nothing is too old. Where there is very much to remove before, or behind what
   * was acknowledged, that is done in transactions of its own between others' work.
   */
  async #change<T>(
    durability: Durability,
    subjects: readonly Subject[] | (() => readonly Subject[]),
    work: (nowMs: number) => T,
  ): Promise<T> {
    const isCut = (nowMs: number): boolean =>
      (typeof subjects === "function" ? subjects() : subjects).every(
        (subject) => cutExpired(this.tables, subject, nowMs).isAll,
      );
    for (;;) {
      const nowMs = this.clock();
      const done = this.#write(durability, () => (isCut(nowMs) ? { result: work(nowMs) } : undefined));
      if (done !== undefined) {
        if (this.#unreleased.size > 0) await this.#releaseRest();
        return done.result;
      }
      do {
        await turn();
      } while (!this.#write("relaxed", () => isCut(nowMs)));
    }
  }

  /** Reads that may be many, step by step in short transactions; others have their turn between. */
  async #inTurns<T>(steps: Generator<undefined, T>): Promise<T> {
    const some = (): IteratorResult<undefined, T> => {
      const startMs = performance.now();
      for (;;) {
        const step = steps.next();
        if (step.done === true || performance.now() - startMs >= readMsMax) return step;
      }
    };
    for (;;) {
      const step = this.connection.read(some);
      if (step.done === true) return step.value;
      await turn();
    }
  }

  /** Reads subjects of which nothing is too old; what has outlived its time is removed before. */
  protected async look<T>(subjects: readonly Subject[], work: (nowMs: number) => T): Promise<T> {
    const nowMs = this.clock();
    const { tables } = this;
    const done = this.connection.read(() => {
      const hasEnded =
        tables.subjects.mayExpire && subjects.some((each) => mayHaveEnded(tables.subjects.find(each), nowMs));
      return hasEnded ? undefined : { result: work(nowMs) };
    });
    return done === undefined ? this.#lookAtEnded(subjects, work) : done.result;
  }

  /** A full disk keeps nobody from reading: what cannot be removed is left out then. */
  async #lookAtEnded<T>(subjects: readonly Subject[], work: (nowMs: number) => T): Promise<T> {
    try {
      return await this.#change("relaxed", subjects, work);
    } catch (thrown) {
      if (!(thrown instanceof StreamError) || !unremovableCodes.has(thrown.code)) throw thrown;
      return this.connection.read(() => work(this.clock()));
    }
  }

  /** One transaction; what it deleted is removed afterwards, and what it committed by itself is told. */
  #write<T>(durability: Durability, work: () => T): T {
    const { releases, moved, garbage } = this.tables;
    moved.drop();
    releases.take();
    const result = this.#orForget(() =>
      this.connection.write(durability, () => {
        const result = work();
        for (const [subject, span] of releases.take()) this.#release(subject, span);
        return result;
      }),
    );
    garbage.startNoted();
    moved.tell();
    return result;
  }

  /** What a transaction that was undone has noted is not known. */
  #orForget<T>(transact: () => T): T {
    try {
      return transact();
    } catch (thrown) {
      this.tables.objects.forgetKnown();
      throw thrown;
    }
  }

  /** Deletes what acknowledgements of this transaction have completed. */
  #release(subject: Subject, span?: Span): void {
    const { isAll } = releaseAcked(this.tables, subject, this.clock(), releasedMax, span);
    if (isAll) this.#unreleased.delete(subject);
    else this.#unreleased.add(subject);
  }

  /** Goes on with what acknowledgements have completed. */
  async #releaseRest(): Promise<void> {
    for (const subject of this.#unreleased) {
      while (this.#unreleased.has(subject)) {
        await turn();
        this.#write("relaxed", () => {
          this.#release(subject);
        });
      }
    }
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
