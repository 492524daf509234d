/**
 * What one lane has sent and what became of it, and when it may send next.
 * @module
 */
import type { BodyPool } from "./bodies.ts";
import type { Latency } from "./latency.ts";
import { receiptMix } from "./plan.ts";

/** What publishers count together; one per process. */
export class PublishTally {
  /** Acknowledged since the measuring began, sent after it began. */
  acked = 0;
  ackedBytes = 0;
  /** Acknowledged in all, the warm-up included. */
  ackedEver = 0;
  /** When the last measured acknowledgement came, in microseconds. */
  lastAckUs = 0;
  /** Messages sent from this moment on are measured. */
  measureFromUs = Infinity;
  readonly errors = new Map<string, number>();
  failed = 0;
  /** Lanes whose connection ended before its time. */
  broken = 0;
  /** The first failure in words. */
  detail: string | undefined;

  constructor(readonly latency: Latency) {}

  error(code: string, messages: number, detail?: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + messages);
    this.failed += messages;
    this.detail ??= detail;
  }
}

/** The end of a lane, for the check of what was delivered. */
export interface LaneResult {
  readonly lane: number;
  /** Messages sent: their numbers are 0 … sent - 1. */
  readonly sent: number;
  /** Numbers that were refused, or whose outcome is not known. */
  readonly notAcked: readonly number[];
  /** Sum of `receiptMix` over what was acknowledged. */
  readonly receipts: number;
}

/** The book of one lane. */
export class Lane {
  /** Number of the next message. */
  next = 0;
  /** Numbers from here on are not sent. */
  limit = Infinity;
  stopped = false;
  #receipts = 0;
  readonly #notAcked: number[] = [];
  #intervalUs = 0;
  #originUs = 0;

  constructor(
    readonly id: number,
    private readonly pool: BodyPool,
    readonly tally: PublishTally,
  ) {}

  /** From now on message `next + i` is meant to leave at `originUs + i × intervalUs`, whatever the server does. */
  pace(originUs: number, intervalUs: number): void {
    this.#originUs = originUs - this.next * intervalUs;
    this.#intervalUs = intervalUs;
  }

  /** When a message is meant to leave: a time by the pace, or now. */
  intendedUs(number: number, nowUs: number): number {
    return this.#intervalUs === 0 ? nowUs : this.#originUs + number * this.#intervalUs;
  }

  /** How many messages may be put into one request now: `batch`, fewer at the end, 0 when they are not due. */
  due(batch: number, nowUs: number): number {
    if (this.finished) return 0;
    const left = this.limit - this.next;
    const count = left < batch ? left : batch;
    return this.#intervalUs === 0 || this.#lastOfUs(count) <= nowUs ? count : 0;
  }

  /** When the next request may leave by the pace; Infinity when nothing more will be sent. */
  nextDueUs(batch: number): number {
    return this.finished ? Infinity : this.#lastOfUs(Math.min(batch, this.limit - this.next));
  }

  /** When the last of the next `count` messages is meant to leave. */
  #lastOfUs(count: number): number {
    return this.#originUs + (this.next + count - 1) * this.#intervalUs;
  }

  /** Whether nothing more will be sent. */
  get finished(): boolean {
    return this.stopped || this.next >= this.limit;
  }

  acked(number: number, sequence: number, intendedUs: number, nowUs: number): void {
    const { tally } = this;
    this.#receipts = (this.#receipts + receiptMix(number, sequence)) | 0;
    tally.ackedEver++;
    if (intendedUs < tally.measureFromUs) return;
    tally.acked++;
    tally.ackedBytes += this.pool.size(this.id, number);
    tally.lastAckUs = nowUs;
    tally.latency.record(nowUs - intendedUs);
  }

  /** Refused (`code` of the server), or not answered. */
  notAcked(first: number, count: number, code: string, detail?: string): void {
    for (let i = 0; i < count; i++) this.#notAcked.push(first + i);
    this.tally.error(code, count, detail);
  }

  result(): LaneResult {
    return { lane: this.id, sent: this.next, notAcked: this.#notAcked, receipts: this.#receipts };
  }
}

/** A lane with its connection. */
export interface Publisher {
  readonly lane: Lane;
  /** Sends what may be sent. */
  pump(): void;
  /** Requests that wait for their answer. */
  readonly underWay: number;
  /** Gives up on what was not answered, and closes. */
  close(): void;
}
