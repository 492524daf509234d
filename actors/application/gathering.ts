/**
 * Gathering a step: hands over messages, and the alarm between them, until the step is long enough; gives up what has
 * failed too often.
 * @module
 */
import type { Delivery } from "../../src/broker/contract.ts";
import { assert } from "../../src/core/errors.ts";
import type { ActorDefinition } from "../define.ts";
import { alarmSubject } from "./cursors.ts";
import { alarmKey, type Failures } from "./failures.ts";
import type { Feed } from "./feed.ts";
import type { Step } from "./step.ts";
import type { ActorTools } from "./tools.ts";

/** Messages in one step. */
export const stepMessagesMax = 1000;
/** How long a step gathers, and at least between the beginnings of two that are not full, in milliseconds. */
export const stepMsMax = 50;
/** Handlers that never wait let others have their turn after so many milliseconds. */
const turnMsMax = 8;

/** What is gathered from. */
export interface GatheringTools {
  readonly definition: ActorDefinition;
  readonly tools: Pick<ActorTools, "clock" | "elapsedMs" | "log">;
  readonly feed: Feed;
  readonly failures: Failures;
  /** Whether nothing more should be begun. */
  readonly isOver: () => boolean;
}

/** Gathers one step. */
export class Gathering {
  readonly #definition: ActorDefinition;
  readonly #tools: GatheringTools["tools"];
  readonly #feed: Feed;
  readonly #failures: Failures;
  readonly #isOver: () => boolean;
  readonly #step: Step;
  readonly #countMax: number;
  readonly #startedMs: number;

  constructor({ definition, tools, feed, failures, isOver }: GatheringTools, step: Step) {
    this.#definition = definition;
    this.#tools = tools;
    this.#feed = feed;
    this.#failures = failures;
    this.#isOver = isOver;
    this.#step = step;
    this.#countMax = failures.isSearching ? 1 : stepMessagesMax;
    this.#startedMs = tools.elapsedMs();
  }

  /** Hands over what there is, until the step is long enough. @throws what a handler throws, StreamError */
  async run(): Promise<void> {
    const { clock, elapsedMs } = this.#tools;
    const step = this.#step;
    if (this.#feed.cursors.lag === 0 && step.alarmAtMs !== null && step.alarmAtMs <= clock()) {
      if ((await this.#ring()) === "alone") return;
    }
    let turnMs = this.#startedMs;
    while (!this.#isLongEnough()) {
      const page = await this.#feed.page(step, this.#countMax - step.count);
      if (page === undefined) return;
      for (;;) {
        const message = page.messages[page.next];
        if (message === undefined) break;
        if (this.#isLongEnough()) return;
        if (step.alarmAtMs !== null && this.#ringsAt(step.alarmAtMs) <= message.timestampMs) {
          if ((await this.#ring()) === "alone") return;
          continue;
        }
        if ((await this.#hand(message)) === "alone") return;
        if (elapsedMs() - turnMs >= turnMsMax) turnMs = await this.#nextTurn();
      }
      this.#feed.dropPage();
      step.through.set(page.subject, page.through);
    }
  }

  #isLongEnough(): boolean {
    const step = this.#step;
    if (step.count >= this.#countMax || step.isFull) return true;
    return this.#tools.elapsedMs() - this.#startedMs >= stepMsMax || this.#isOver();
  }

  /** Lets others have their turn. @returns when the next one begins, monotonic milliseconds */
  async #nextTurn(): Promise<number> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.#tools.elapsedMs();
  }

  /**
   * Hands one message over, or gives it up. One that failed before is alone in its step: `alone` ends the step, behind it
   * or, when there is something else in it, before it.
   */
  async #hand(message: Delivery): Promise<"on" | "alone"> {
    const step = this.#step;
    const { subject, sequence } = message;
    const { name, attemptsMax } = this.#definition;
    const key = `${subject}\n${sequence}`;
    const failed = this.#failures.of(key);
    if (failed !== undefined && step.count > 0) return "alone";
    const hadEffects = this.#feed.cursors.hadEffects(subject, sequence);
    this.#failures.handling({ key, fields: { subject, sequence } });
    if (failed !== undefined && failed.count >= attemptsMax) {
      this.#tools.log.warn("actor_gave_up", { actor: name, subject, sequence, attempts: failed.count });
      if (!hadEffects) step.giveUp(message, failed.count, failed.error);
    } else {
      const pending = step.message(message, hadEffects);
      if (pending !== undefined) await pending;
    }
    this.#feed.handled();
    step.count++;
    step.through.set(subject, sequence);
    return failed === undefined ? "on" : "alone";
  }

  /** When an alarm rings: each later than the one before, so that each has a time of its own. */
  #ringsAt(alarmAtMs: number): number {
    const last = this.#step.through.get(alarmSubject) ?? this.#feed.cursors.through(alarmSubject);
    return Math.max(alarmAtMs, last + 1);
  }

  /** As `#hand`, for the alarm. */
  async #ring(): Promise<"on" | "alone"> {
    const step = this.#step;
    assert(step.alarmAtMs !== null, "an alarm is set");
    const { name, attemptsMax } = this.#definition;
    const failed = this.#failures.of(alarmKey);
    if (failed !== undefined && step.count > 0) return "alone";
    const atMs = this.#ringsAt(step.alarmAtMs);
    this.#failures.handling({ key: alarmKey, fields: { alarm: atMs } });
    if (failed !== undefined && failed.count >= attemptsMax) {
      this.#tools.log.warn("actor_gave_up", { actor: name, alarm: atMs, attempts: failed.count });
      step.dropAlarm();
    } else {
      const pending = step.alarm(atMs, this.#feed.cursors.hadEffects(alarmSubject, atMs));
      if (pending !== undefined) await pending;
    }
    step.count++;
    step.through.set(alarmSubject, atMs);
    return failed === undefined ? "on" : "alone";
  }
}
