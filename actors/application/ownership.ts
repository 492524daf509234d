/**
 * One ownership of an actor, from the claim until it is given back or somebody else has it: reads what is new, hands it
 * over, and commits step by step. What counts is in the store; whoever was fenced off changes nothing any more.
 * @module
 */
import type { BodyStore } from "../../src/bodies/contract.ts";
import type { Broker, Delivery, Subscription, SubscriptionSink } from "../../src/broker/contract.ts";
import { assert, StreamError } from "../../src/core/errors.ts";
import { pageMessagesMax } from "../../src/core/limits.ts";
import type { Sequence } from "../../src/core/message.ts";
import type { Subject } from "../../src/core/subject.ts";
import type {
  ActorCommit,
  ActorCommitOutcome,
  ActorRecord,
  ActorStore,
  CommitOutcome,
} from "../../src/metadata/contract.ts";
import type { Timers } from "../actor.ts";
import type { ActorDefinition, ActorLog } from "../define.ts";
import { Bell } from "./bell.ts";
import { alarmSubject, Cursors, isFed } from "./cursors.ts";
import { writeEffects } from "./effects.ts";
import { Step } from "./step.ts";
import { KnownRows } from "./table.ts";

/** What an actor is run with. */
export interface ActorTools {
  readonly store: ActorStore;
  readonly bodies: BodyStore;
  readonly broker: Pick<Broker, "read" | "subscribe" | "subjects" | "bodyBytesMax">;
  /** Who claims. */
  readonly owner: string;
  readonly leaseMs: number;
  readonly timers: Timers;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
  readonly log: ActorLog;
}

/** Messages in one step. */
const stepMessagesMax = 1000;
/** How long a step gathers, and at least between the beginnings of two that are not full, in milliseconds. */
const stepMsMax = 50;
const pageBytesMax = 1024 * 1024;
/** Handlers that never wait let others have their turn after so many milliseconds. */
const turnMsMax = 8;
/** Pause after a failure, doubled with each of the same message. */
const pauseMs = { first: 100, max: 5000 } as const;
const stateBytesMax = 1024 * 1024;
const errorBytesMax = 1024;

/** How long to wait after so many failures in a row (from 1). */
export const pauseAfter = (failures: number): number => Math.min(pauseMs.first * 2 ** (failures - 1), pauseMs.max);

/** Messages that were read and not handled yet. */
interface ReadPage {
  readonly subject: Subject;
  readonly messages: readonly Delivery[];
  /** Everything through it is in the page. */
  readonly through: Sequence;
  next: number;
}

/** What failed, and how often. */
interface Attempts {
  readonly count: number;
  readonly error: string;
}

/** What a commit changes, beside what every one has. */
type Change = Pick<ActorCommit, "positions" | "rows" | "publishes" | "state" | "alarmAtMs" | "failure">;
const noChange: Change = { positions: [], rows: [], publishes: [] };

/** The store has no room for what the actor publishes: it waits. */
class NoRoom extends Error {}

/** The whole step is at fault; which of its messages is found one by one. */
class StepFault extends Error {}

const utf8 = new TextDecoder();

/** Runs an actor as its owner. */
export class Ownership {
  readonly #definition: ActorDefinition;
  readonly #tools: ActorTools;
  readonly #fence: number;
  readonly #cursors = new Cursors();
  readonly #known = new KnownRows();
  readonly #bell: Bell;
  /** Messages, and the alarm, that have failed; by `keyOf`. */
  readonly #attempts = new Map<string, Attempts>();
  #revision: number;
  #restarts: number;
  /** As it is stored; "" when it is not. */
  #stateText: string;
  #state: object;
  #alarmAtMs: number | null;
  #page: ReadPage | undefined;
  /** What is being handled. */
  #handled: { readonly key: string; readonly fields: Readonly<Record<string, unknown>> } | undefined;
  /** Messages in the next steps while a fault is looked for. */
  #singleSteps = 0;
  /** Failures in a row that are no message's fault. */
  #troubles = 0;
  /** The next step begins then, unless a full one waits. */
  #quietUntilMs = 0;
  /** It waits for the first message, not for more of them. */
  #awaitsAny = false;
  #pauseUntilMs = 0;
  #renewedMs: number;
  #renewal: { cancel(): void } | undefined;
  #sending: Promise<unknown> = Promise.resolve();
  readonly #pauses = new Set<Bell>();
  #isLost = false;
  #isStopped = false;

  /** @param claimedMs monotonic milliseconds, before the claim was sent */
  constructor(definition: ActorDefinition, record: ActorRecord, claimedMs: number, tools: ActorTools) {
    this.#definition = definition;
    this.#tools = tools;
    this.#fence = record.fence;
    this.#revision = record.revision;
    this.#restarts = record.restarts;
    this.#stateText = record.state === null ? "" : utf8.decode(record.state);
    this.#state = this.#storedState();
    this.#alarmAtMs = record.alarmAtMs;
    this.#renewedMs = claimedMs;
    this.#bell = new Bell(tools.timers);
  }

  get lag(): number {
    return this.#cursors.lag;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get isBackingOff(): boolean {
    return this.#tools.elapsedMs() < this.#pauseUntilMs;
  }

  /** Ends it after what is under way, and gives the lease back. */
  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  /** Somebody has it now, or it was rebuilt: there is nothing to give back. */
  lose(): void {
    this.#isLost = true;
    this.#wake();
  }

  #wake(): void {
    this.#bell.ring();
    for (const bell of this.#pauses) bell.ring();
  }

  /**
   * Runs until it is stopped or lost.
   * @throws StreamError when the stores fail in a way that leaves open what was done: claim it anew
   */
  async run(): Promise<void> {
    const { store } = this.#tools;
    this.#armRenewal();
    let subscription: Subscription | undefined;
    try {
      subscription = await this.#subscribe();
      await this.#load();
      while (!this.#isOver()) {
        const idleMs = this.#idleMs();
        if (idleMs > 0) await this.#bell.wait(idleMs);
        else await this.#step();
      }
    } finally {
      subscription?.close();
      this.#renewal?.cancel();
      this.#renewal = undefined;
    }
    if (!this.#isLost) await store.release(this.#definition.name, this.#fence);
  }

  // A look that the type checker does not take for settled: it changes while the loop waits.
  #isOver(): boolean {
    return this.#isStopped || this.#isLost;
  }

  /** Hears of what is new, before it looks what there is. */
  #subscribe(): Promise<Subscription> {
    const sink: SubscriptionSink = {
      batchBytesMax: pageBytesMax,
      writable: () => true,
      messages: () => undefined,
      damaged: () => undefined,
      notify: (subject, sequence) => this.#told(subject, sequence),
      ended: () => this.lose(),
    };
    return this.#tools.broker.subscribe(
      {
        filter: this.#definition.filter,
        from: { kind: "new" },
        mode: "notify",
        credit: Number.POSITIVE_INFINITY,
      },
      sink,
    );
  }

  #told(subject: Subject, last: Sequence): void {
    if (!isFed(this.#definition, subject)) return;
    this.#cursors.told(subject, last);
    if (this.#awaitsAny || this.#cursors.lag >= stepMessagesMax) this.#bell.ring();
  }

  /** Where it is in all subjects, and what they have. */
  async #load(): Promise<void> {
    const { store, broker } = this.#tools;
    const { name, filter } = this.#definition;
    for (let after: string | undefined; ; ) {
      const positions = await store.positions(name, after, pageMessagesMax);
      for (const position of positions) this.#cursors.place(position);
      after = positions.at(-1)?.subject;
      if (positions.length < pageMessagesMax || this.#isOver()) break;
    }
    for (let after: string | undefined; ; ) {
      const page = await broker.subjects({ filter, after, limit: pageMessagesMax });
      for (const { subject, lastSequence } of page.subjects) {
        if (isFed(this.#definition, subject)) this.#cursors.told(subject, lastSequence);
      }
      after = page.subjects.at(-1)?.subject;
      if (!page.hasMore || after === undefined || this.#isOver()) return;
    }
  }

  /** How long there is nothing to do, unless somebody rings. */
  #idleMs(): number {
    const { elapsedMs, clock } = this.#tools;
    const nowMs = elapsedMs();
    this.#awaitsAny = false;
    if (nowMs < this.#pauseUntilMs) return this.#pauseUntilMs - nowMs;
    const { lag } = this.#cursors;
    this.#awaitsAny = lag === 0;
    const isFull = this.#page !== undefined || lag >= stepMessagesMax;
    const quietMs = isFull ? 0 : Math.max(0, this.#quietUntilMs - nowMs);
    if (lag > 0) return quietMs;
    if (this.#alarmAtMs === null || this.#definition.onAlarm === undefined) return Number.POSITIVE_INFINITY;
    return Math.max(quietMs, this.#alarmAtMs - clock());
  }

  async #step(): Promise<void> {
    const { elapsedMs, store, log, broker } = this.#tools;
    const { bodyBytesMax } = broker;
    const startedMs = elapsedMs();
    this.#quietUntilMs = startedMs + stepMsMax;
    const step = new Step(
      { definition: this.#definition, store, log, bodyBytesMax },
      { state: this.#state, known: this.#known, alarmAtMs: this.#alarmAtMs },
    );
    try {
      await this.#fill(step, startedMs);
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

  /** Hands over what there is, until the step is long enough. */
  async #fill(step: Step, startedMs: number): Promise<void> {
    const { elapsedMs, clock } = this.#tools;
    const countMax = this.#singleSteps > 0 ? 1 : stepMessagesMax;
    let turnMs = startedMs;
    const isLongEnough = (): boolean =>
      step.count >= countMax || step.isFull || elapsedMs() - startedMs >= stepMsMax || this.#isOver();
    if (this.#cursors.lag === 0 && step.alarmAtMs !== null && step.alarmAtMs <= clock()) {
      if ((await this.#ring(step)) === "alone") return;
    }
    while (!isLongEnough()) {
      this.#page ??= await this.#read(step, countMax - step.count);
      const page = this.#page;
      if (page === undefined) return;
      for (;;) {
        const message = page.messages[page.next];
        if (message === undefined) break;
        if (isLongEnough()) return;
        if (step.alarmAtMs !== null && this.#ringsAt(step, step.alarmAtMs) <= message.timestampMs) {
          if ((await this.#ring(step)) === "alone") return;
          continue;
        }
        if ((await this.#hand(step, message)) === "alone") return;
        if (elapsedMs() - turnMs >= turnMsMax) {
          await new Promise((resolve) => setImmediate(resolve));
          turnMs = elapsedMs();
        }
      }
      this.#page = undefined;
      step.through.set(page.subject, page.through);
    }
  }

  /** The next page of a subject that has more. */
  async #read(step: Step, limit: number): Promise<ReadPage | undefined> {
    const subject = this.#cursors.next();
    if (subject === undefined) return undefined;
    const from = (step.through.get(subject) ?? this.#cursors.through(subject)) + 1;
    // Once round all of them.
    if (from > this.#cursors.last(subject)) return undefined;
    const page = await this.#tools.broker.read({
      subject,
      from: { kind: "sequence", sequence: from },
      limit,
      bodyBytesMax: pageBytesMax,
      waitMs: 0,
    });
    for (const { sequence, error } of page.damaged) {
      this.#tools.log.warn("actor_message_lost", { actor: this.#definition.name, subject, sequence, error });
    }
    return { subject, messages: page.messages, through: page.nextSequence - 1, next: 0 };
  }

  /**
   * Hands one message over, or gives it up. One that failed before is alone in its step: `alone` ends the step, behind it
   * or, when there is something else in it, before it.
   */
  async #hand(step: Step, message: Delivery): Promise<"on" | "alone"> {
    const { subject, sequence } = message;
    const { name, attemptsMax } = this.#definition;
    const key = `${subject}\n${sequence}`;
    const failed = this.#attempts.size === 0 ? undefined : this.#attempts.get(key);
    if (failed !== undefined && step.count > 0) return "alone";
    const hadEffects = this.#cursors.hadEffects(subject, sequence);
    this.#handled = { key, fields: { subject, sequence } };
    if (failed !== undefined && failed.count >= attemptsMax) {
      this.#tools.log.warn("actor_gave_up", { actor: name, subject, sequence, attempts: failed.count });
      if (!hadEffects) step.giveUp(message, failed.count, failed.error);
    } else {
      const pending = step.message(message, hadEffects);
      if (pending !== undefined) await pending;
    }
    if (this.#page !== undefined) this.#page.next++;
    step.count++;
    step.through.set(subject, sequence);
    return failed === undefined ? "on" : "alone";
  }

  /** When an alarm rings: each later than the one before, so that each has a time of its own. */
  #ringsAt(step: Step, alarmAtMs: number): number {
    const last = step.through.get(alarmSubject) ?? this.#cursors.through(alarmSubject);
    return Math.max(alarmAtMs, last + 1);
  }

  /** As `#hand`, for the alarm. */
  async #ring(step: Step): Promise<"on" | "alone"> {
    assert(step.alarmAtMs !== null, "an alarm is set");
    const { name, attemptsMax } = this.#definition;
    const failed = this.#attempts.get(alarmKey);
    if (failed !== undefined && step.count > 0) return "alone";
    const atMs = this.#ringsAt(step, step.alarmAtMs);
    this.#handled = { key: alarmKey, fields: { alarm: atMs } };
    if (failed !== undefined && failed.count >= attemptsMax) {
      this.#tools.log.warn("actor_gave_up", { actor: name, alarm: atMs, attempts: failed.count });
      step.dropAlarm();
    } else {
      const pending = step.alarm(atMs, this.#cursors.hadEffects(alarmSubject, atMs));
      if (pending !== undefined) await pending;
    }
    step.count++;
    step.through.set(alarmSubject, atMs);
    return failed === undefined ? "on" : "alone";
  }

  /** @throws NoRoom, StepFault, StreamError */
  async #commit(step: Step): Promise<void> {
    const text = this.#stateTextOf(step);
    const positions = [...step.through].map(([subject, through]) => ({ subject, through }));
    const rows = rowsOf(step);
    const change: Change = {
      positions,
      rows,
      publishes: [],
      state: text === this.#stateText ? undefined : Buffer.from(text, "utf8"),
      alarmAtMs: step.isAlarmChanged ? step.alarmAtMs : undefined,
    };
    let apart = false;
    for (;;) {
      const publishes = await this.#patiently(() => writeEffects(this.#tools.bodies, step.effects, apart));
      const outcome = await this.#send({ ...change, publishes });
      if (outcome.status === "fenced") {
        this.lose();
        return;
      }
      if (outcome.status === "committed") break;
      const why = outcome.outcomes.find(isRefusal);
      if (why?.status !== "body_gone")
        throw new NoRoom(`A message could not be published: ${why?.status ?? "refused"}.`);
      // The object into which it was written is being deleted.
      apart = true;
    }
    this.#stateText = text;
    if (step.isAlarmChanged) this.#alarmAtMs = step.alarmAtMs;
    for (const { subject, through } of positions) this.#cursors.advance(subject, through);
    step.table.stored();
    this.#troubles = 0;
    this.#singleSteps = Math.max(0, this.#singleSteps - 1);
    if (this.#attempts.size > 0 && this.#handled !== undefined) this.#attempts.delete(this.#handled.key);
  }

  /** @throws StepFault when it is none that can be stored */
  #stateTextOf(step: Step): string {
    let text: string;
    try {
      text = JSON.stringify(step.state);
    } catch (error) {
      throw new StepFault(`The state cannot be written as JSON: ${textOf(error)}`);
    }
    // Cheap unless it is near the limit.
    if (text.length * 3 > stateBytesMax && Buffer.byteLength(text, "utf8") > stateBytesMax) {
      throw new StepFault(`The state is larger than ${stateBytesMax} bytes; keep what grows in the table.`);
    }
    return text;
  }

  /** Forgets a step, puts off what failed, and tells why. */
  async #drop(step: Step, thrown: unknown): Promise<void> {
    this.#page = undefined;
    this.#state = this.#storedState();
    const { name } = this.#definition;
    const { log, elapsedMs } = this.#tools;
    if (thrown instanceof NoRoom || isTransient(thrown)) {
      this.#pauseUntilMs = elapsedMs() + pauseAfter(++this.#troubles);
      log.warn("actor_waits", { actor: name, error: thrown });
      // Once; while it goes on nothing is new.
      if (this.#troubles === 1 && thrown instanceof NoRoom) await this.#tellFailure(thrown.message);
      return;
    }
    if (thrown instanceof StepFault && step.count > 1) {
      this.#singleSteps = step.count;
      return;
    }
    const { key, fields } = this.#handled ?? { key: alarmKey, fields: {} };
    const count = (this.#attempts.get(key)?.count ?? 0) + 1;
    const error = textOf(thrown);
    this.#attempts.set(key, { count, error });
    this.#pauseUntilMs = elapsedMs() + pauseAfter(count);
    log.warn("actor_failed", { actor: name, ...fields, attempts: count, error: thrown });
    await this.#tellFailure(error);
  }

  async #tellFailure(failure: string): Promise<void> {
    this.#restarts++;
    const outcome = await this.#send({ ...noChange, failure });
    if (outcome.status === "fenced") this.lose();
  }

  /** One commit at a time, again and again until its outcome is known: a repetition changes nothing. */
  #send(change: Change): Promise<ActorCommitOutcome> {
    const sent = this.#sending.then(() => this.#sendNext(change));
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  async #sendNext(change: Change): Promise<ActorCommitOutcome> {
    const { store, leaseMs, elapsedMs } = this.#tools;
    const { name } = this.#definition;
    if (this.#isLost) return { status: "fenced" };
    const request: ActorCommit = { name, fence: this.#fence, revision: this.#revision, leaseMs, ...change };
    let sentMs = 0;
    const outcome = await this.#patiently(() => {
      sentMs = elapsedMs();
      return store.commit(request);
    });
    if (outcome.status === "committed") {
      this.#revision = outcome.revision;
      this.#renewedMs = sentMs;
    }
    return outcome;
  }

  /** Tries until the stores answer, or it is stopped. @throws StreamError what trying again does not help with */
  async #patiently<T>(run: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await run();
      } catch (thrown) {
        if (!isTransient(thrown) || this.#isOver()) throw thrown;
        this.#tools.log.warn("actor_waits", { actor: this.#definition.name, error: thrown });
        await this.#pause(pauseAfter(failures));
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const bell = new Bell(this.#tools.timers);
    this.#pauses.add(bell);
    await bell.wait(ms);
    this.#pauses.delete(bell);
  }

  #armRenewal(): void {
    const { leaseMs, timers, elapsedMs } = this.#tools;
    const dueMs = this.#renewedMs + leaseMs / 3 - elapsedMs();
    this.#renewal = timers.after(Math.max(1, dueMs), () => {
      void this.#renew().finally(() => {
        if (this.#renewal !== undefined) this.#armRenewal();
      });
    });
  }

  /** Keeps the lease, unless a step has just done so. */
  async #renew(): Promise<void> {
    const { leaseMs, elapsedMs } = this.#tools;
    if (elapsedMs() - this.#renewedMs < leaseMs / 3) return;
    try {
      const outcome = await this.#send(noChange);
      if (outcome.status === "fenced") this.lose();
    } catch (error) {
      this.#tools.log.warn("actor_waits", { actor: this.#definition.name, error });
      this.lose();
    }
  }

  #storedState(): object {
    return this.#stateText === "" ? structuredClone(this.#definition.state) : asObject(JSON.parse(this.#stateText));
  }
}

const alarmKey = "alarm";

/** @throws StepFault when one cannot be stored */
const rowsOf = (step: Step): Change["rows"] => {
  try {
    return step.table.changes();
  } catch (error) {
    throw new StepFault(`A row cannot be written: ${textOf(error)}`);
  }
};

const asObject = (raw: unknown): object => {
  assert(typeof raw === "object" && raw !== null, "a state is stored as it was: an object");
  return raw;
};

const isRefusal = ({ status }: CommitOutcome): boolean =>
  status !== "committed" && status !== "duplicate" && status !== "scheduled";

const transient: ReadonlySet<string> = new Set(["unavailable", "outcome_unknown", "storage_full", "overloaded"]);

/** Whether the same may work later, and may be asked again in just the same way. */
const isTransient = (thrown: unknown): boolean => thrown instanceof StreamError && transient.has(thrown.code);

/** What an error says, short enough to be kept. */
const textOf = (thrown: unknown): string => {
  const text = (thrown instanceof Error ? thrown.message || thrown.name : String(thrown)).toWellFormed();
  const bytes = Buffer.from(text, "utf8");
  return bytes.length <= errorBytesMax ? text : utf8.decode(bytes.subarray(0, errorBytesMax - 3));
};
