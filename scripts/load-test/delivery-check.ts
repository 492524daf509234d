/**
 * Looks at everything one subscriber gets: is each message there once, in order, without gap, and byte for byte as it
 * was published?
 * @module
 */
import type { BodyPool } from "./bodies.ts";
import type { LaneResult } from "./lane.ts";
import { firstNumber, receiptMix } from "./plan.ts";

/** What must not happen. All are 0 in a good run. */
export interface Violations {
  /** Acknowledged but not delivered. */
  lost: number;
  /** Delivered more than once (by publisher and number). */
  repeated: number;
  /** Delivered after a later message of the same lane and subject, or with a sequence that is not above the last. */
  reordered: number;
  /** Not the bytes, or not the subject, that were published. */
  corrupted: number;
  /** Sequences of a subject that were left out. */
  sequence_gaps: number;
  /** Lanes whose acknowledged sequences are not those their messages were delivered with. */
  wrong_receipts: number;
  /** Timestamps that went back within a subject. */
  timestamps_backwards: number;
}

/** Nothing wrong. */
export const noViolations = (): Violations => ({
  lost: 0,
  repeated: 0,
  reordered: 0,
  corrupted: 0,
  sequence_gaps: 0,
  wrong_receipts: 0,
  timestamps_backwards: 0,
});

/** In the order they are shown. */
export const violationNames = Object.keys(noViolations()) as readonly (keyof Violations)[];

/** Adds up. */
export const addViolations = (sum: Violations, more: Violations): void => {
  for (const name of violationNames) sum[name] += more[name];
};

/** Whether there is any. */
export const anyViolation = (violations: Violations): boolean => violationNames.some((name) => violations[name] > 0);

/** Numbers that were left out and may still come; past this many, late ones count as repeated. */
const missingMax = 1_000_000;
const uint32 = 2 ** 32;

/** The check of one subscriber. */
export class DeliveryCheck {
  readonly violations = noViolations();
  /** Messages of this run, each counted once. */
  unique = 0;
  /** Messages of others on our subjects; only their sequences are looked at. */
  foreign = 0;
  /** When the last message looked at was sent, in microseconds; NaN when it was not ours. */
  sentUs = NaN;
  /** Per subject: the sequence that comes next, 0 when any may. */
  readonly #nextSequences: Float64Array;
  readonly #timestamps: Float64Array;
  /** Per lane and subject: the number that comes next. */
  readonly #nextNumbers: Uint32Array;
  /** Per lane. */
  readonly #receipts: Int32Array;
  readonly #missing = new Set<number>();
  readonly #subjects: readonly Buffer[];
  readonly #indexes: ReadonlyMap<string, number>;

  /** @param nextSequences per subject, the sequence that comes first; 0 when that is not known */
  constructor(
    subjects: readonly string[],
    private readonly lanes: number,
    private readonly pool: BodyPool,
    nextSequences: readonly number[],
  ) {
    this.#subjects = subjects.map((subject) => Buffer.from(subject));
    this.#indexes = new Map(subjects.map((subject, i) => [subject, i]));
    this.#nextSequences = Float64Array.from(nextSequences);
    this.#timestamps = new Float64Array(subjects.length);
    this.#receipts = new Int32Array(lanes);
    this.#nextNumbers = new Uint32Array(lanes * subjects.length);
    for (let lane = 0; lane < lanes; lane++) {
      for (let subject = 0; subject < subjects.length; subject++) {
        this.#nextNumbers[lane * subjects.length + subject] = firstNumber(lane, subject, subjects.length);
      }
    }
  }

  /** Looks at one message whose subject and body lie in `bytes`. */
  message(
    bytes: Buffer,
    subjectStart: number,
    subjectEnd: number,
    sequence: number,
    timestampMs: number,
    bodyStart: number,
    bodyEnd: number,
  ): void {
    this.sentUs = NaN;
    const kind = this.pool.read(bytes, bodyStart, bodyEnd);
    const { lane, number } = this.pool.header;
    const ours = kind !== "foreign" && lane >= 0 && lane < this.lanes;
    const subject = ours
      ? (number + lane) % this.#subjects.length
      : (this.#indexes.get(bytes.toString("utf8", subjectStart, subjectEnd)) ?? -1);
    const rightSubject = subject >= 0 && this.#isSubject(subject, bytes, subjectStart, subjectEnd);
    if (kind === "foreign") this.foreign++;
    else if (kind === "corrupt" || !ours || !rightSubject) this.violations.corrupted++;
    const known = ours && this.#number(lane, subject, number, sequence);
    if (rightSubject) this.#sequence(subject, sequence, timestampMs, known);
  }

  #isSubject(index: number, bytes: Buffer, start: number, end: number): boolean {
    const subject = this.#subjects[index];
    return subject !== undefined && bytes.compare(subject, 0, subject.length, start, end) === 0;
  }

  /** @param known the number showed already that it is late or came before: that is counted once */
  #sequence(subject: number, sequence: number, timestampMs: number, known: boolean): void {
    const next = this.#nextSequences[subject] ?? 0;
    if (sequence < next) {
      if (!known) this.violations.reordered++;
      return;
    }
    if (next > 0) this.violations.sequence_gaps += sequence - next;
    this.#nextSequences[subject] = sequence + 1;
    if (timestampMs < (this.#timestamps[subject] ?? 0)) this.violations.timestamps_backwards++;
    else this.#timestamps[subject] = timestampMs;
  }

  /** Returns whether the message is late or came before. */
  #number(lane: number, subject: number, number: number, sequence: number): boolean {
    const subjects = this.#subjects.length;
    const stream = lane * subjects + subject;
    const next = this.#nextNumbers[stream] ?? 0;
    const late = number < next;
    if (!late) {
      for (let left = next; left < number; left += subjects) this.#leftOut(lane, left);
      this.#nextNumbers[stream] = number + subjects;
    } else if (this.#missing.delete(lane * uint32 + number)) this.violations.reordered++;
    else {
      this.violations.repeated++;
      return true;
    }
    this.unique++;
    this.sentUs = this.pool.header.sentUs;
    this.#receipts[lane] = ((this.#receipts[lane] ?? 0) + receiptMix(number, sequence)) | 0;
    return late;
  }

  #leftOut(lane: number, number: number): void {
    if (this.#missing.size < missingMax) this.#missing.add(lane * uint32 + number);
    else this.violations.lost++;
  }

  /** How many of the acknowledged messages have not come yet. */
  outstanding(ends: LaneEnds): number {
    return this.#outstandingByLane(ends).reduce((sum, count) => sum + count, 0);
  }

  /** Per lane: the messages at its end and those left out, without what was not acknowledged. */
  #outstandingByLane(ends: LaneEnds): Int32Array {
    const subjects = this.#subjects.length;
    const outstanding = new Int32Array(this.lanes);
    for (const { lane, sent, notAcked } of ends.values()) {
      let count = 0;
      for (let subject = 0; subject < subjects; subject++) {
        const next = this.#nextNumbers[lane * subjects + subject] ?? 0;
        if (next < sent) count += Math.ceil((sent - next) / subjects);
      }
      for (const number of notAcked) {
        if (number >= (this.#nextNumbers[lane * subjects + ((number + lane) % subjects)] ?? 0)) count--;
      }
      outstanding[lane] = count;
    }
    for (const key of this.#missing) {
      const lane = Math.floor(key / uint32);
      if (ends.get(lane)?.notAcked.has(key % uint32) === false) outstanding[lane] = (outstanding[lane] ?? 0) + 1;
    }
    return outstanding;
  }

  /** The last word: counts what is lost, and receipts that do not fit. */
  finish(ends: LaneEnds): Violations {
    const outstanding = this.#outstandingByLane(ends);
    for (const { lane, notAcked, receipts } of ends.values()) {
      const lost = outstanding[lane] ?? 0;
      this.violations.lost += lost;
      // What was refused may have been stored nevertheless, so such a lane's sum says nothing.
      const comparable = lost === 0 && notAcked.size === 0;
      if (comparable && this.#receipts[lane] !== receipts) this.violations.wrong_receipts++;
    }
    return this.violations;
  }
}

/** The end of one lane, ready to be looked up in. */
export interface LaneEnd {
  readonly lane: number;
  readonly sent: number;
  readonly notAcked: ReadonlySet<number>;
  readonly receipts: number;
}

/** By lane. */
export type LaneEnds = ReadonlyMap<number, LaneEnd>;

/** Made once, used by the checks of all subscribers. */
export const laneEnds = (results: readonly LaneResult[]): LaneEnds =>
  new Map(results.map((result) => [result.lane, { ...result, notAcked: new Set(result.notAcked) }]));
