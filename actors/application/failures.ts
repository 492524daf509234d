/**
 * What has failed in one ownership, how often, and how long to wait for it. In memory only: the next owner counts anew.
 * @module
 */
import type { ActorLog } from "../define.ts";
import { isTransient, NoRoom, pauseAfter, StepFault, textOf } from "./faults.ts";

/** What failed, and how often. */
export interface Failure {
  readonly count: number;
  /** What it said the last time, at most 1 KiB of UTF-8. */
  readonly error: string;
}

/** What is being handled: a message, or the alarm. */
export interface Handled {
  /** Tells it from all others. */
  readonly key: string;
  /** For the log. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The alarm among what is handled. */
export const alarmKey = "alarm";

/** What failures need. */
export interface FailureTools {
  /** The actor's name. */
  readonly name: string;
  readonly log: ActorLog;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
}

/** The failures of one ownership. */
export class Failures {
  readonly #tools: FailureTools;
  /** Messages, and the alarm, that have failed; by their keys. */
  readonly #attempts = new Map<string, Failure>();
  #handled: Handled | undefined;
  /** Messages in the next steps while a fault is looked for. */
  #singleSteps = 0;
  /** Failures in a row that are no message's fault. */
  #troubles = 0;
  #pauseUntilMs = 0;

  constructor(tools: FailureTools) {
    this.#tools = tools;
  }

  /** How long nothing is tried, in milliseconds; 0 or less: no longer. */
  get pauseLeftMs(): number {
    return this.#pauseUntilMs - this.#tools.elapsedMs();
  }

  /** A step of one message each, until the one at fault is found. */
  get isSearching(): boolean {
    return this.#singleSteps > 0;
  }

  /** Undefined when it has not failed. */
  of(key: string): Failure | undefined {
    return this.#attempts.size === 0 ? undefined : this.#attempts.get(key);
  }

  /** Something is handled now: what fails from here on is its fault. */
  handling(handled: Handled): void {
    this.#handled = handled;
  }

  /** A step is stored. */
  stepped(): void {
    this.#troubles = 0;
    this.#singleSteps = Math.max(0, this.#singleSteps - 1);
    // Only the last of a step may have failed before.
    if (this.#attempts.size > 0 && this.#handled !== undefined) this.#attempts.delete(this.#handled.key);
  }

  /**
   * Puts off what failed, and logs why.
   * @param count messages and alarms in the step that is dropped
   * @returns what operators should be told of, if it is anything new
   */
  dropped(thrown: unknown, count: number): string | undefined {
    const { name, log, elapsedMs } = this.#tools;
    if (thrown instanceof NoRoom || isTransient(thrown)) {
      this.#pauseUntilMs = elapsedMs() + pauseAfter(++this.#troubles);
      log.warn("actor_waits", { actor: name, error: thrown });
      // Once; while it goes on nothing is new.
      return this.#troubles === 1 && thrown instanceof NoRoom ? thrown.message : undefined;
    }
    if (thrown instanceof StepFault && count > 1) {
      this.#singleSteps = count;
      return undefined;
    }
    const { key, fields } = this.#handled ?? { key: alarmKey, fields: {} };
    const attempts = (this.#attempts.get(key)?.count ?? 0) + 1;
    const error = textOf(thrown);
    this.#attempts.set(key, { count: attempts, error });
    this.#pauseUntilMs = elapsedMs() + pauseAfter(attempts);
    log.warn("actor_failed", { actor: name, ...fields, attempts, error: thrown });
    return error;
  }
}
