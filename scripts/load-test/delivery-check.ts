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

const violationNames = Object.keys(noViolations()) as readonly (keyof Violations)[];

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
    let subject: number;
    if (kind === "ours" && this.pool.header.lane < this.lanes) {
      const { lane, number } = this.pool.header;
      subject = (number + lane) % this.#subjects.length;
      const expected = this.#subjects[subject];
      if (expected === undefined || bytes.compare(expected, 0, expected.length, subjectStart, subjectEnd) !== 0) {
        this.violations.corrupted++;
        return;
      }
      this.#number(lane, subject, number, sequence);
    } else {
      if (kind === "foreign") this.foreign++;
      else this.violations.corrupted++;
      const index = this.#indexes.get(bytes.toString("utf8", subjectStart, subjectEnd));
      if (index === undefined) return;
      subject = index;
    }
    this.#sequence(subject, sequence, timestampMs);
  }

  #sequence(subject: number, sequence: number, timestampMs: number): void {
    const next = this.#nextSequences[subject] ?? 0;
    if (sequence < next) this.violations.reordered++;
    else {
      if (next > 0) this.violations.sequence_gaps += sequence - next;
      this.#nextSequences[subject] = sequence + 1;
    }
    if (timestampMs < (this.#timestamps[subject] ?? 0)) this.violations.timestamps_backwards++;
    else this.#timestamps[subject] = timestampMs;
  }

  #number(lane: number, subject: number, number: number, sequence: number): void {
    const subjects = this.#subjects.length;
    const stream = lane * subjects + subject;
    const next = this.#nextNumbers[stream] ?? 0;
    if (number >= next) {
      for (let left = next; left < number; left += subjects) {
        if (this.#missing.size < missingMax) this.#missing.add(lane * uint32 + left);
        else this.violations.lost++;
      }
      this.#nextNumbers[stream] = number + subjects;
    } else if (this.#missing.delete(lane * uint32 + number)) this.violations.reordered++;
    else {
      this.violations.repeated++;
      return;
    }
    this.unique++;
    this.sentUs = this.pool.header.sentUs;
    this.#receipts[lane] = ((this.#receipts[lane] ?? 0) + receiptMix(number, sequence)) | 0;
  }

  /** How many of the acknowledged messages have not come yet. */
  outstanding(lanes: readonly LaneResult[]): number {
    let outstanding = 0;
    for (const lane of lanes) outstanding += this.#outstandingOf(lane, new Set(lane.notAcked));
    return outstanding;
  }

  #outstandingOf(lane: LaneResult, notAcked: ReadonlySet<number>): number {
    const subjects = this.#subjects.length;
    let outstanding = 0;
    for (let subject = 0; subject < subjects; subject++) {
      const next = this.#nextNumbers[lane.lane * subjects + subject] ?? 0;
      if (next < lane.sent) outstanding += Math.ceil((lane.sent - next) / subjects);
    }
    for (const number of notAcked) {
      const subject = (number + lane.lane) % subjects;
      if (number >= (this.#nextNumbers[lane.lane * subjects + subject] ?? 0)) outstanding--;
    }
    for (const key of this.#missing) {
      if (Math.floor(key / uint32) === lane.lane && !notAcked.has(key % uint32)) outstanding++;
    }
    return outstanding;
  }

  /** The last word: counts what is lost, and receipts that do not fit. */
  finish(lanes: readonly LaneResult[]): Violations {
    for (const lane of lanes) {
      const lost = this.#outstandingOf(lane, new Set(lane.notAcked));
      this.violations.lost += lost;
      // What was refused may have been stored nevertheless, so such a lane's sum says nothing.
      const comparable = lost === 0 && lane.notAcked.length === 0;
      if (comparable && this.#receipts[lane.lane] !== lane.receipts) this.violations.wrong_receipts++;
    }
    return this.violations;
  }
}
