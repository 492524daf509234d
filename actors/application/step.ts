/**
 * One step of an actor: some messages, and all that they change, gathered until it is committed whole or dropped whole.
 * @module
 */
import type { Delivery } from "../../src/broker/contract.ts";
import type { Sequence } from "../../src/core/message.ts";
import type { Subject } from "../../src/core/subject.ts";
import type { ActorStore } from "../../src/metadata/contract.ts";
import type { ActorContext, ActorDefinition, ActorLog, ActorMessage, ActorPublish } from "../define.ts";
import { deadLetterOf } from "./dead-letter.ts";
import { checkedEffect, type Effect } from "./publish.ts";
import { changedRowsMax, type KnownRows, StepTable } from "./table.ts";

/** Messages that one step may publish, and where it ends when it has that many. */
const effectsMax = 10_000;
const effectsEnough = 1000;
const effectBytesEnough = 1024 * 1024;
const rowBytesEnough = 2 * 1024 * 1024;
/** Longest wait of one timer. */
const timerMsMax = 2 ** 31 - 1;

/** What a step works with. */
export interface StepTools {
  readonly definition: ActorDefinition;
  readonly store: ActorStore;
  readonly log: ActorLog;
  readonly bodyBytesMax: number;
}

/** What was before it. */
export interface StepStart {
  /** Changed in place by the step. */
  readonly state: object;
  readonly known: KnownRows;
  readonly alarmAtMs: number | null;
}

/** A step that is being gathered. */
export class Step {
  readonly state: object;
  readonly table: StepTable;
  readonly effects: Effect[] = [];
  readonly through = new Map<Subject, Sequence>();
  /** Set once the step sets or takes away the alarm, or rings it. */
  isAlarmChanged = false;
  alarmAtMs: number | null;
  /** Messages and alarms in it. */
  count = 0;
  readonly #context: ActorContext<object, unknown>;
  #effectBytes = 0;
  #nowMs = 0;
  #hadEffects = false;
  #isHandling = false;
  #handlingSinceMs = 0;
  #late: Promise<never> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly tools: StepTools,
    start: StepStart,
  ) {
    const { definition, store, log } = tools;
    this.state = start.state;
    this.alarmAtMs = start.alarmAtMs;
    const check = (): void => {
      if (!this.#isHandling) throw new Error("The handler has ended; await what belongs to it.");
    };
    this.table = new StepTable({ store, name: definition.name, codec: definition.rows, known: start.known, check });
    const now = (): number => this.#nowMs;
    this.#context = {
      state: start.state,
      table: this.table,
      publish: (message) => {
        check();
        this.#publish(message);
      },
      setAlarm: (at) => {
        check();
        this.#setAlarm(at);
      },
      get now() {
        return now();
      },
      log,
    };
  }

  /** Whether it has changed or published so much that it should end. */
  get isFull(): boolean {
    return (
      this.effects.length >= effectsEnough ||
      this.#effectBytes >= effectBytesEnough ||
      this.table.changedRows >= changedRowsMax / 2 ||
      this.table.changedBytes >= rowBytesEnough
    );
  }

  /** Hands a message over. @param hadEffects it was published for before a rebuild @throws what the handler throws */
  message(delivery: Delivery, hadEffects: boolean): void | Promise<void> {
    const { definition } = this.tools;
    const message = toMessage(delivery);
    return this.#handle(delivery.timestampMs, hadEffects, () => definition.onMessage(message, this.#context));
  }

  /** Takes the alarm away without ringing it. */
  dropAlarm(): void {
    this.alarmAtMs = null;
    this.isAlarmChanged = true;
  }

  /** Rings the alarm, which is over then. @throws what the handler throws */
  alarm(atMs: number, hadEffects: boolean): void | Promise<void> {
    const { definition } = this.tools;
    this.dropAlarm();
    return this.#handle(atMs, hadEffects, () => definition.onAlarm?.(this.#context));
  }

  /** Puts a message among the dead letters. */
  giveUp(delivery: Delivery, attempts: number, error: string): void {
    this.effects.push(deadLetterOf(this.tools.definition, delivery, attempts, error));
  }

  /** Lets go of it; what handlers of it still do comes to nothing. */
  end(): void {
    this.#isHandling = false;
    clearTimeout(this.#timer);
  }

  #handle(nowMs: number, hadEffects: boolean, run: () => void | Promise<void>): void | Promise<void> {
    this.#nowMs = nowMs;
    this.#hadEffects = hadEffects;
    this.#isHandling = true;
    let pending: unknown;
    try {
      pending = run();
    } catch (error) {
      this.#isHandling = false;
      throw error;
    }
    if (pending instanceof Promise) return this.#within(pending);
    this.#isHandling = false;
  }

  /** Lets a handler take its time, up to a bound. */
  async #within(pending: Promise<unknown>): Promise<void> {
    this.#handlingSinceMs = performance.now();
    this.#late ??= this.#lateness();
    try {
      await Promise.race([pending, this.#late]);
    } finally {
      this.#isHandling = false;
    }
  }

  /** Rejects when some handler takes too long; one timer for all of the step. */
  #lateness(): Promise<never> {
    const { handleMsMax, name } = this.tools.definition;
    const late = new Promise<never>((_, reject) => {
      const look = (): void => {
        const leftMs = this.#isHandling ? this.#handlingSinceMs + handleMsMax - performance.now() : handleMsMax;
        if (leftMs <= 0) {
          reject(new Error(`The handler of ${name} took longer than ${handleMsMax} ms.`));
          return;
        }
        this.#timer = setTimeout(look, Math.min(leftMs, timerMsMax));
        this.#timer.unref();
      };
      look();
    });
    // Nobody may be waiting when it happens.
    late.catch(() => undefined);
    return late;
  }

  #publish(message: ActorPublish): void {
    const effect = checkedEffect(message, this.tools.bodyBytesMax);
    if (this.#hadEffects) return;
    if (this.effects.length >= effectsMax) throw new RangeError(`One message publishes at most ${effectsMax} others.`);
    this.effects.push(effect);
    this.#effectBytes += effect.body.length;
  }

  #setAlarm(at: number | Date | null): void {
    const { definition } = this.tools;
    if (definition.onAlarm === undefined)
      throw new TypeError(`${definition.name} has no onAlarm that an alarm could call.`);
    const atMs = at === null ? null : Math.ceil(Number(at));
    if (atMs !== null && !(atMs >= 0 && atMs <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError("An alarm is set to a time in Unix milliseconds.");
    }
    this.alarmAtMs = atMs;
    this.isAlarmChanged = true;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A message as an actor sees it. */
const toMessage = ({ subject, sequence, timestampMs, headers, body }: Delivery): ActorMessage => ({
  subject,
  sequence,
  timestampMs,
  headers,
  body,
  text: () => utf8.decode(body),
  json: (): unknown => JSON.parse(utf8.decode(body)),
});
