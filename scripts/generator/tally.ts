/**
 * What was sent, what became of it, and what the server must have counted by it.
 * @module
 */
import { minuteOf } from "../../src/codec/event-metrics.ts";
import { type EventType, eventTypes } from "../../src/core/event.ts";
import { Latency } from "../load-test/latency.ts";
import type { GeneratedEvent, PlannedSend } from "./events.ts";
import type { SendFailure, SendOutcome } from "./sender.ts";

/** Of one type. */
export interface TypeTally {
  sent: number;
  /** Among them. */
  repeats: number;
  /** Events that are there, each counted once. */
  stored: number;
  cents: bigint;
  late: number;
  failed: number;
}

/** Counts and sums of a minute and type. */
export interface MinuteSums {
  readonly count: number;
  readonly cents: bigint;
  readonly lateCount: number;
  readonly lateCents: bigint;
}

/** A minute without anything. */
export const emptySums: MinuteSums = { count: 0, cents: 0n, lateCount: 0, lateCents: 0n };

/** Names a minute and type. */
export const minuteName = (minuteMs: number, type: EventType): string => `${minuteMs} ${type}`;

/** The book of a run. */
export class Tally {
  readonly latency = new Latency();
  readonly types: Readonly<Record<EventType, TypeTally>> = {
    purchase: newTypeTally(),
    return: newTypeTally(),
    refund: newTypeTally(),
  };
  /** Of the events that are there, by `minuteName`. */
  readonly minutes = new Map<string, MinuteSums>();
  /** How often, by code. */
  readonly refusals = new Map<string, number>();
  /** The first failure in words. */
  firstFailure: string | undefined;
  /** Sends whose fate nobody knows. */
  unknown = 0;
  /** As the server answered. */
  stored = 0;
  duplicates = 0;
  /** Answered, refusals included. */
  answered = 0;
  #accepted = 0;
  /** Numbers of the events that are there; only where events are repeated. */
  readonly #numbers = new Set<number>();

  /** @param isLateCountedApart whether the server calls late what is late here */
  constructor(
    private readonly isLateCountedApart: boolean,
    private readonly isRepeating: boolean,
  ) {}

  /** A request leaves. */
  sending(sends: readonly PlannedSend[]): void {
    for (const { event, isRepeat } of sends) {
      const type = this.types[event.eventType];
      type.sent++;
      if (isRepeat) type.repeats++;
    }
  }

  /** It was answered. @param latenciesUs of its events, from when they were meant to leave */
  settled(sends: readonly PlannedSend[], outcome: SendOutcome, latenciesUs: readonly number[]): void {
    for (const us of latenciesUs) this.latency.record(us);
    this.answered += sends.length;
    this.stored += outcome.stored;
    this.duplicates += outcome.duplicates;
    const failed = new Set<number>();
    for (const failure of outcome.failures) {
      failed.add(failure.index);
      this.#failed(sends[failure.index], failure);
    }
    if (outcome.unnamed > 0) {
      // Which of the others they are was not said.
      this.#count("not_named", outcome.unnamed);
      this.unknown += outcome.unnamed;
    }
    for (const [index, { event }] of sends.entries()) if (!failed.has(index)) this.#isThere(event);
  }

  /** Sends in all. */
  get sent(): number {
    return eventTypes.reduce((sum, type) => sum + this.types[type].sent, 0);
  }

  /** Events that are there, each once. */
  get distinct(): number {
    return eventTypes.reduce((sum, type) => sum + this.types[type].stored, 0);
  }

  /** Sends that were not stored, or perhaps not. */
  get failed(): number {
    return [...this.refusals.values()].reduce((sum, count) => sum + count, 0);
  }

  /** What the answers contradict themselves in. */
  violations(): readonly string[] {
    if (this.unknown > 0) return [`the outcome of ${this.unknown} sends is not known`];
    const { distinct, stored, duplicates } = this;
    const repeats = this.#accepted - distinct;
    if (stored === distinct && duplicates === repeats) return [];
    return [
      `${distinct} events and ${repeats} repetitions were taken, ` +
        `and answered as ${stored} stored and ${duplicates} duplicates`,
    ];
  }

  #failed(send: PlannedSend | undefined, { code, detail, isUnknown }: SendFailure): void {
    if (send !== undefined) this.types[send.event.eventType].failed++;
    this.#count(code, 1);
    if (isUnknown) this.unknown++;
    this.firstFailure ??= `${code}: ${detail}`;
  }

  #count(code: string, times: number): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + times);
  }

  #isThere({ number, eventType, amountCents, occurredAtMs, isLate }: GeneratedEvent): void {
    this.#accepted++;
    if (this.isRepeating) {
      if (this.#numbers.has(number)) return;
      this.#numbers.add(number);
    }
    const cents = BigInt(amountCents);
    const type = this.types[eventType];
    type.stored++;
    type.cents += cents;
    if (isLate) type.late++;
    const name = minuteName(minuteOf(occurredAtMs), eventType);
    const sums = this.minutes.get(name) ?? emptySums;
    this.minutes.set(
      name,
      isLate && this.isLateCountedApart
        ? { ...sums, lateCount: sums.lateCount + 1, lateCents: sums.lateCents + cents }
        : { ...sums, count: sums.count + 1, cents: sums.cents + cents },
    );
  }
}

const newTypeTally = (): TypeTally => ({ sent: 0, repeats: 0, stored: 0, cents: 0n, late: 0, failed: 0 });
