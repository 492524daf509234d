/**
 * One ownership of an actor, from the claim until it is given back or somebody else has it: step by step it gathers what
 * is new and commits it. What counts is in the store; whoever was fenced off changes nothing any more.
 * @module
 */
import type { ActorRecord, CommitOutcome } from "../../src/metadata/contract.ts";
import type { ActorDefinition } from "../define.ts";
import { Bell } from "./bell.ts";
import { writeEffects } from "./effects.ts";
import { Failures } from "./failures.ts";
import { isTransient, NoRoom, StepFault } from "./faults.ts";
import { Feed } from "./feed.ts";
import { Gathering, stepMessagesMax, stepMsMax } from "./gathering.ts";
import { type Change, Lease } from "./lease.ts";
import { Memory } from "./memory.ts";
import { Step } from "./step.ts";
import type { ActorTools } from "./tools.ts";

/** Runs an actor as its owner. */
export class Ownership {
  readonly #definition: ActorDefinition;
  readonly #tools: ActorTools;
  readonly #bell: Bell;
  readonly #lease: Lease;
  readonly #feed: Feed;
  readonly #failures: Failures;
  readonly #memory: Memory;
  /** The next step begins then, unless a full one waits. */
  #quietUntilMs = 0;
  /** It waits for the first message, not for more of them. */
  #awaitsAny = false;

  /** @param claimedMs monotonic milliseconds, before the claim was sent */
  constructor(definition: ActorDefinition, record: ActorRecord, claimedMs: number, tools: ActorTools) {
    const { timers, log, elapsedMs } = tools;
    this.#definition = definition;
    this.#tools = tools;
    this.#bell = new Bell(timers);
    this.#lease = new Lease(record, claimedMs, tools, () => this.#bell.ring());
    this.#feed = new Feed(definition, tools, {
      onMore: () => this.#more(),
      onEnded: () => this.#lease.lose(),
      isOver: () => this.#lease.isOver,
    });
    this.#failures = new Failures({ name: definition.name, log, elapsedMs });
    this.#memory = new Memory(definition, record);
  }

  /** Messages that wait, as far as is known. */
  get lag(): number {
    return this.#feed.cursors.lag;
  }

  /** Failures since the actor was first claimed. */
  get restarts(): number {
    return this.#lease.restarts;
  }

  get isBackingOff(): boolean {
    return this.#failures.pauseLeftMs > 0;
  }

  /** Ends it after what is under way, and gives the lease back. */
  stop(): void {
    this.#lease.stop();
  }

  /** Somebody has it now, or it was rebuilt: there is nothing to give back. */
  lose(): void {
    this.#lease.lose();
  }

  /**
   * Runs until it is stopped or lost.
   * @throws StreamError when the stores fail in a way that leaves open what was done: claim it anew
   */
  async run(): Promise<void> {
    this.#lease.keep();
    try {
      await this.#feed.open();
      while (!this.#lease.isOver) {
        const idleMs = this.#idleMs();
        if (idleMs > 0) await this.#bell.wait(idleMs);
        else await this.#step();
      }
    } finally {
      this.#feed.close();
      this.#lease.letGo();
    }
    await this.#lease.release();
  }

  #more(): void {
    if (this.#awaitsAny || this.lag >= stepMessagesMax) this.#bell.ring();
  }

  /** How long there is nothing to do, unless somebody rings. */
  #idleMs(): number {
    const { elapsedMs, clock } = this.#tools;
    this.#awaitsAny = false;
    const { pauseLeftMs } = this.#failures;
    if (pauseLeftMs > 0) return pauseLeftMs;
    const { lag } = this;
    this.#awaitsAny = lag === 0;
    const isFull = this.#feed.hasPage || lag >= stepMessagesMax;
    const quietMs = isFull ? 0 : Math.max(0, this.#quietUntilMs - elapsedMs());
    if (lag > 0) return quietMs;
    const { alarmAtMs } = this.#memory;
    if (alarmAtMs === null || this.#definition.onAlarm === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(quietMs, alarmAtMs - clock());
  }

  async #step(): Promise<void> {
    const { elapsedMs, store, log, broker } = this.#tools;
    const { bodyBytesMax } = broker;
    this.#quietUntilMs = elapsedMs() + stepMsMax;
    const step = new Step({ definition: this.#definition, store, log, bodyBytesMax }, this.#memory.start());
    try {
      await this.#gather(step);
    } catch (thrown) {
      await this.#drop(step, thrown);
      return;
    } finally {
      step.end();
    }
    if (step.count === 0 && step.through.size === 0) return;
    try {
      await this.#commit(step);
    } catch (thrown) {
      if (!(thrown instanceof StepFault || thrown instanceof NoRoom || isTransient(thrown))) throw thrown;
      await this.#drop(step, thrown);
    }
  }

  /** @throws what a handler throws, StreamError */
  #gather(step: Step): Promise<void> {
    const from = {
      definition: this.#definition,
      tools: this.#tools,
      feed: this.#feed,
      failures: this.#failures,
      isOver: () => this.#lease.isOver,
    };
    return new Gathering(from, step).run();
  }

  /** @throws NoRoom, StepFault, StreamError */
  async #commit(step: Step): Promise<void> {
    const remembered = this.#memory.changeOf(step);
    const positions = [...step.through].map(([subject, through]) => ({ subject, through }));
    if (!(await this.#store(step, { ...remembered.change, positions }))) return;
    this.#memory.stored(step, remembered);
    for (const { subject, through } of positions) this.#feed.cursors.advance(subject, through);
    this.#failures.stepped();
  }

  /** Stores all that a step changes and publishes. @returns false when the lease is lost @throws NoRoom, StreamError */
  async #store(step: Step, change: Omit<Change, "publishes">): Promise<boolean> {
    for (let apart = false; ; ) {
      const publishes = await this.#lease.patiently(() => writeEffects(this.#tools.bodies, step.effects, apart));
      const outcome = await this.#lease.commit({ ...change, publishes });
      if (outcome.status !== "refused") return outcome.status === "committed";
      const why = outcome.outcomes.find(isRefusal);
      if (why?.status !== "body_gone") {
        throw new NoRoom(`A message could not be published: ${why?.status ?? "refused"}.`);
      }
      // The object into which it was written is being deleted.
      apart = true;
    }
  }

  /** Forgets a step, puts off what failed, and tells why. */
  async #drop(step: Step, thrown: unknown): Promise<void> {
    this.#feed.dropPage();
    this.#memory.restore();
    const news = this.#failures.dropped(thrown, step.count);
    if (news !== undefined) await this.#lease.tellFailure(news);
  }
}

const isRefusal = ({ status }: CommitOutcome): boolean =>
  status !== "committed" && status !== "duplicate" && status !== "scheduled";
