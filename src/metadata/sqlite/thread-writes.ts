/**
 * Writes on a thread of their own. A commit waits for the disk inside SQLite, on an idle solid-state disk half a
 * millisecond and beside large uploads twenty; on the thread of the sockets nothing else would run meanwhile.
 * @module
 */
import { Worker, type WorkerOptions } from "node:worker_threads";
import { StreamError } from "../../core/errors.ts";
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
import type { NearCommits } from "./near-commits.ts";
import { packEntries, unpackOutcomes } from "./packing.ts";
import {
  errorFrom,
  type PlainVerb,
  type WriterCall,
  type WriterReply,
  type WriterSettings,
} from "./thread-messages.ts";
import type { Writes } from "./writes.ts";

/** Starts a thread; the seam at which a test gets hold of it. */
export type StartThread = (file: URL, options: WorkerOptions) => Worker;

const startWorker: StartThread = (file, options) => new Worker(file, options);

interface Waiting {
  readonly resolve: (reply: WriterReply) => void;
  readonly reject: (error: StreamError) => void;
}

/** What `done` carries for a verb. */
type Result<V extends PlainVerb> = Awaited<ReturnType<Writes[V]>>;

/** The calls, in the order in which they were made, on the other thread. */
export class ThreadWrites implements Writes {
  readonly #thread: Worker;
  readonly #clock: () => number;
  readonly #near: NearCommits;
  readonly #started = Promise.withResolvers<undefined>();
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** Why nothing is taken any more. */
  #ended: StreamError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(settings: WriterSettings, near: NearCommits, clock: () => number, startThread: StartThread) {
    this.#clock = clock;
    this.#near = near;
    this.#thread = startThread(new URL("./writer-thread.ts", import.meta.url), { workerData: settings });
    this.#thread.on("message", (reply: WriterReply) => this.#hear(reply));
    this.#thread.on("error", (error: unknown) => this.#end(error));
    this.#thread.on("exit", () => this.#end(undefined));
  }

  /**
   * Starts the thread and opens the file on it.
   * @param near takes small commits while nothing is under way on the thread
   * @param clock Unix milliseconds
   * @throws StreamError `unavailable`
   */
  static async start(
    settings: WriterSettings,
    near: NearCommits,
    clock: () => number,
    startThread: StartThread = startWorker,
  ): Promise<ThreadWrites> {
    const writes = new ThreadWrites(settings, near, clock, startThread);
    try {
      await writes.#started.promise;
    } catch (thrown) {
      await writes.#thread.terminate();
      throw thrown;
    }
    writes.#awaitReclaimed();
    return writes;
  }

  async commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]> {
    if (entries.length === 0) return [];
    if (this.#ended === undefined && this.#waiting.size === 0 && this.#near.takes(entries)) {
      const outcomes = this.#near.commit(entries);
      if (this.#near.hasCut()) this.#awaitReclaimed();
      return outcomes;
    }
    const packed = packEntries(entries);
    const call = { id: ++this.#lastId, nowMs: this.#clock(), verb: "commit", entries: packed } as const;
    const reply = await this.#ask(call, [packed.numbers.buffer, packed.hashes.buffer]);
    if (reply.kind !== "committed") throw new StreamError("internal", "The writer answered another call.");
    this.#near.record(entries.length, reply.tookMs);
    this.#near.changedElsewhere();
    return unpackOutcomes(reply.outcomes);
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    const result = await this.#plain("purge", subject, through);
    this.#awaitReclaimed();
    return result;
  }

  async putConsumer(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
  ): Promise<{ readonly status: "created" | "same" | "differs"; readonly state: ConsumerState }> {
    return this.#plain("putConsumer", subject, name, config);
  }

  async consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    return this.#plain("consumer", subject, name);
  }

  async consumers(subject: Subject): Promise<readonly ConsumerState[]> {
    return this.#plain("consumers", subject);
  }

  async deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null> {
    return this.#plain("deleteConsumer", subject, name);
  }

  async pull(request: PullRequest): Promise<PulledPage> {
    return this.#plain("pull", request);
  }

  async ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]> {
    return this.#plain("ack", requests);
  }

  async nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]> {
    return this.#plain("nack", requests);
  }

  async putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<"created" | "same" | "replaced"> {
    return this.#plain("putPolicy", filter, policy).finally(() => this.#near.policiesChanged());
  }

  async deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy | null> {
    return this.#plain("deletePolicy", filter).finally(() => this.#near.policiesChanged());
  }

  async expire(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly expired: number; readonly next: string | undefined }> {
    const swept = await this.#plain("expire", after, limit);
    if (swept.expired > 0) this.#awaitReclaimed();
    return swept;
  }

  async takeDead(request: {
    readonly limit: number;
    readonly minAgeMs: number;
    readonly leaseMs: number;
  }): Promise<readonly string[]> {
    return this.#plain("takeDead", request);
  }

  async forgetDead(objects: readonly string[]): Promise<void> {
    return this.#plain("forgetDead", objects);
  }

  async condemn(objects: readonly string[]): Promise<number> {
    return this.#plain("condemn", objects);
  }

  async ready(): Promise<void> {
    return this.#plain("ready");
  }

  async reclaimed(): Promise<void> {
    return this.#plain("reclaimed");
  }

  /** Lets the calls before it end, closes the file and ends the thread. Twice is once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (this.#ended === undefined) await this.#plain("close");
    } finally {
      this.#ended ??= new StreamError("unavailable", "The metadata store is closed.");
      await this.#thread.terminate();
    }
  }

  /** Removing purged rows counts as a call under way, so that no near commit meets it. */
  #awaitReclaimed(): void {
    this.reclaimed().catch(() => undefined);
  }

  async #plain<V extends PlainVerb>(verb: V, ...args: Parameters<Writes[V]>): Promise<Result<V>> {
    // The compiler does not see that a verb and its own arguments are a call.
    const call = { id: ++this.#lastId, nowMs: this.#clock(), verb, args } as WriterCall;
    const reply = await this.#ask(call);
    if (reply.kind !== "done") throw new StreamError("internal", "The writer answered another call.");
    return reply.result as Result<V>;
  }

  #ask(call: WriterCall, handedOver: readonly ArrayBuffer[] = []): Promise<WriterReply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.set(call.id, { resolve, reject });
      this.#thread.postMessage(call, [...handedOver]);
    });
  }

  #hear(reply: WriterReply): void {
    if (reply.kind === "started") this.#started.resolve(undefined);
    else if (reply.kind === "not_started") this.#started.reject(errorFrom(reply.error));
    else {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.kind === "failed") waiting?.reject(errorFrom(reply.error));
      else waiting?.resolve(reply);
    }
  }

  /** The thread is gone: what was asked of it may or may not have happened, and nothing more will. */
  #end(cause: unknown): void {
    const ended = new StreamError("unavailable", "The writer of the metadata has stopped.", {}, cause);
    this.#ended ??= ended;
    this.#started.reject(ended);
    const unknown = new StreamError("outcome_unknown", "The writer of the metadata stopped in between.", {}, cause);
    for (const { reject } of this.#waiting.values()) reject(unknown);
    this.#waiting.clear();
  }
}
