/**
 * The lease of one ownership: what is stored under its fence, one commit after the other, and what keeps it until it is
 * given back or somebody else has it.
 * @module
 */
import type { ActorCommit, ActorCommitOutcome, ActorName, ActorRecord } from "../../src/metadata/contract.ts";
import { Bell } from "./bell.ts";
import { isTransient, pauseAfter } from "./faults.ts";
import type { ActorTools } from "./tools.ts";

/** What a commit changes, beside what every one has. */
export type Change = Pick<ActorCommit, "positions" | "rows" | "publishes" | "state" | "alarmAtMs" | "failure">;

/** Nothing: it renews the lease. */
const noChange: Change = { positions: [], rows: [], publishes: [] };

/** One lease, from its claim. */
export class Lease {
  readonly #name: ActorName;
  readonly #fence: number;
  readonly #tools: ActorTools;
  readonly #onOver: () => void;
  #revision: number;
  #restarts: number;
  #renewedMs: number;
  #renewal: { cancel(): void } | undefined;
  #sending: Promise<unknown> = Promise.resolve();
  readonly #pauses = new Set<Bell>();
  #isLost = false;
  #isStopped = false;

  /**
   * @param claimedMs monotonic milliseconds, before the claim was sent
   * @param onOver told when it is stopped or lost
   */
  constructor(record: ActorRecord, claimedMs: number, tools: ActorTools, onOver: () => void) {
    this.#name = record.name;
    this.#fence = record.fence;
    this.#revision = record.revision;
    this.#restarts = record.restarts;
    this.#renewedMs = claimedMs;
    this.#tools = tools;
    this.#onOver = onOver;
  }

  /** Failures since the actor was first claimed. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Whether nothing new is begun under it. */
  get isOver(): boolean {
    return this.#isStopped || this.#isLost;
  }

  /** Ends it after what is under way. */
  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  /** Somebody has it now, or the actor was rebuilt: there is nothing to give back. */
  lose(): void {
    this.#isLost = true;
    this.#end();
  }

  #end(): void {
    for (const bell of this.#pauses) bell.ring();
    this.#onOver();
  }

  /** Renews it from now on, until `letGo`. */
  keep(): void {
    const { leaseMs, timers, elapsedMs } = this.#tools;
    const dueMs = this.#renewedMs + leaseMs / 3 - elapsedMs();
    this.#renewal = timers.after(Math.max(1, dueMs), () => {
      void this.#renew().finally(() => {
        if (this.#renewal !== undefined) this.keep();
      });
    });
  }

  /** Renews it no longer. */
  letGo(): void {
    this.#renewal?.cancel();
    this.#renewal = undefined;
  }

  /** Gives it back, unless it is another's. @throws StreamError of the store */
  async release(): Promise<void> {
    if (!this.#isLost) await this.#tools.store.release(this.#name, this.#fence);
  }

  /**
   * Stores a change: one at a time, again and again until its outcome is known, as a repetition changes nothing. It is
   * lost when the answer is `fenced`.
   * @throws StreamError what trying again does not help with, or when it was stopped meanwhile
   */
  commit(change: Change): Promise<ActorCommitOutcome> {
    const sent = this.#sending.then(() => this.#commitNext(change));
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  /** Counts a restart, and keeps why. @param failure at most 1 KiB of UTF-8 */
  async tellFailure(failure: string): Promise<void> {
    this.#restarts++;
    await this.commit({ ...noChange, failure });
  }

  /** Tries until the stores answer, or it is over. @throws StreamError what trying again does not help with */
  async patiently<T>(run: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await run();
      } catch (thrown) {
        if (!isTransient(thrown) || this.isOver) throw thrown;
        this.#tools.log.warn("actor_waits", { actor: this.#name, error: thrown });
        await this.#pause(pauseAfter(failures));
      }
    }
  }

  async #commitNext(change: Change): Promise<ActorCommitOutcome> {
    const { store, leaseMs, elapsedMs } = this.#tools;
    if (this.#isLost) return { status: "fenced" };
    const request: ActorCommit = {
      name: this.#name,
      fence: this.#fence,
      revision: this.#revision,
      leaseMs,
      ...change,
    };
    let sentMs = 0;
    const outcome = await this.patiently(() => {
      sentMs = elapsedMs();
      return store.commit(request);
    });
    if (outcome.status === "committed") {
      this.#revision = outcome.revision;
      this.#renewedMs = sentMs;
    }
    if (outcome.status === "fenced") this.lose();
    return outcome;
  }

  async #pause(ms: number): Promise<void> {
    const bell = new Bell(this.#tools.timers);
    this.#pauses.add(bell);
    await bell.wait(ms);
    this.#pauses.delete(bell);
  }

  /** Unless a step has just done so. */
  async #renew(): Promise<void> {
    const { leaseMs, elapsedMs, log } = this.#tools;
    if (elapsedMs() - this.#renewedMs < leaseMs / 3) return;
    try {
      await this.commit(noChange);
    } catch (error) {
      log.warn("actor_waits", { actor: this.#name, error });
      this.lose();
    }
  }
}
