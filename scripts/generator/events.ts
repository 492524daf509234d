/**
 * The events of a run, one after the other: what they are follows from the seed alone, when they happen from the run.
 * @module
 */
import { type EventDraft, type EventType, eventTypes } from "../../src/core/event.ts";
import { randomUint32s } from "../load-test/random.ts";
import type { Options } from "./options.ts";

/** An event that was made. */
export interface GeneratedEvent extends EventDraft {
  /** Counts the events without their repetitions, from 0 on. */
  readonly number: number;
  readonly isLate: boolean;
  /** Only where there are repetitions. */
  readonly key: string | undefined;
}

/** One send of it. */
export interface PlannedSend {
  readonly event: GeneratedEvent;
  readonly isRepeat: boolean;
}

/** So many of the last events may be repeated. */
const repeatableMax = 1000;
const twoTo32 = 2 ** 32;
/** Amounts begin at 1.00; small ones are more frequent. */
const centsMin = 100;
const centsRanges = [1000, 10_000, 100_000] as const;

/** Makes them. */
export class EventSource {
  readonly #random: () => number;
  readonly #weights: readonly (readonly [type: EventType, below: number])[];
  readonly #weightSum: number;
  readonly #recent: GeneratedEvent[] = [];
  #made = 0;

  /** @param keyPrefix begins the idempotency keys of this run */
  constructor(
    private readonly options: Pick<Options, "seed" | "users" | "mix" | "late" | "repeatShare">,
    private readonly keyPrefix: string,
  ) {
    this.#random = randomUint32s(options.seed);
    let sum = 0;
    this.#weights = eventTypes.map((type) => [type, (sum += options.mix[type])] as const);
    this.#weightSum = sum;
  }

  /** The next send. @param atMs when it is meant to leave, Unix milliseconds */
  next(atMs: number): PlannedSend {
    // Every send draws the same, whatever comes of it, so that shares do not change all that follows.
    const repeats = this.#chance(this.options.repeatShare);
    const place = this.#below(repeatableMax);
    const event = this.#event(atMs);
    const repeated = repeats ? this.#recent[place % Math.max(1, this.#recent.length)] : undefined;
    if (repeated !== undefined) return { event: repeated, isRepeat: true };
    this.#made++;
    if (this.options.repeatShare > 0) this.#recent[event.number % repeatableMax] = event;
    return { event, isRepeat: false };
  }

  #event(atMs: number): GeneratedEvent {
    const { users, late, repeatShare } = this.options;
    const drawn = this.#below(this.#weightSum);
    const eventType = this.#weights.find(([, below]) => drawn < below)?.[0] ?? "purchase";
    const userId = `user-${this.#below(users) + 1}`;
    const range = centsRanges[this.#below(centsRanges.length)] ?? centsMin;
    const amountCents = centsMin + this.#below(range);
    const isLate = this.#chance(late.share);
    const occurredAtMs = Math.floor(isLate ? atMs - late.byMs : atMs);
    return {
      ...{ userId, eventType, amountCents, occurredAtMs, isLate },
      timestamp: new Date(occurredAtMs).toISOString(),
      number: this.#made,
      key: repeatShare > 0 ? `${this.keyPrefix}${this.#made}` : undefined,
    };
  }

  #below(limit: number): number {
    return this.#random() % limit;
  }

  #chance(share: number): boolean {
    return this.#random() < share * twoTo32;
  }
}
