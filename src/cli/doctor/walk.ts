/**
 * One subject's messages in order: time never going back, and as many from its first to its last sequence as are listed,
 * with the bytes that are listed. Messages may be gone from the middle; how many says the listing.
 * @module
 */
import type { Envelope, Head, Sequence, SubjectSummary } from "../../core/message.ts";
import type { Problem, ProblemCode } from "./problems.ts";

/** Ranges without messages that are kept; their number is not bounded by anything else. */
const holesMax = 1000;

interface Hole {
  readonly first: Sequence;
  readonly last: Sequence;
}

/** Sees every message of a subject once. */
export class SubjectWalk {
  /** What is wrong. */
  readonly problems: Problem[] = [];
  /** Whether the sums are: something may have expired after they were listed. */
  isOff = false;
  readonly #summary: SubjectSummary;
  #expected: Sequence;
  #timestampMs = 0;
  #messages = 0;
  #bytes = 0;
  readonly #holes: Hole[] = [];
  /** Sequences in all holes. */
  #without = 0;
  #isMisplaced = false;

  constructor(summary: SubjectSummary) {
    this.#summary = summary;
    this.#expected = summary.firstSequence;
  }

  /** The head is kept for writers, the listing for readers: they must be the same. */
  compareHead({ firstSequence, lastSequence }: Head): void {
    const listed = this.#summary;
    if (firstSequence === listed.firstSequence && lastSequence === listed.lastSequence) return;
    this.isOff = true;
    this.#add(
      "sum_wrong",
      `the head says ${firstSequence} to ${lastSequence}, the listing ${listed.firstSequence} to ${listed.lastSequence}`,
    );
  }

  see(envelope: Envelope): void {
    const { sequence, timestampMs, body } = envelope;
    const { subject, lastSequence } = this.#summary;
    if (sequence < this.#expected || envelope.subject !== subject) {
      this.#isMisplaced = true;
      this.#add("message_misplaced", `${envelope.subject} ${sequence} comes where ${this.#expected} should`, sequence);
      return;
    }
    if (sequence > lastSequence) {
      this.#hole(Math.min(sequence - 1, lastSequence));
      this.#isMisplaced = true;
      this.#add("message_beyond_head", `is stored, but the head ends at ${lastSequence}`, sequence);
    } else this.#hole(sequence - 1);
    if (timestampMs < this.#timestampMs) {
      this.#add("timestamp_decreases", `its time ${timestampMs} is before the one of its predecessor`, sequence);
    }
    this.#timestampMs = Math.max(this.#timestampMs, timestampMs);
    this.#expected = sequence + 1;
    this.#messages++;
    this.#bytes += body.length;
  }

  /** After the last message. */
  end(): void {
    const { firstSequence, lastSequence, messages, bytes } = this.#summary;
    this.#hole(lastSequence);
    const missing = this.#without - (lastSequence - firstSequence + 1 - messages);
    if (missing > 0) this.#tellMissing(missing);
    // With rows that are missing or where they should not be the sums cannot be right, which says nothing new.
    if (missing > 0 || this.#isMisplaced) return;
    if (missing < 0) this.#sum(`${messages} messages are listed, ${this.#messages} are stored`);
    if (bytes !== this.#bytes) this.#sum(`${bytes} bytes are listed, ${this.#bytes} are stored`);
  }

  #tellMissing(missing: number): void {
    this.isOff = true;
    if (missing < this.#without) {
      const detail = `has no row like ${this.#without - 1} others from here on, but only ${this.#without - missing} of them were deleted`;
      this.#add("message_missing", detail, this.#holes[0]?.first);
      return;
    }
    for (const { first, last } of this.#holes) {
      const which = first === last ? "has no row" : `to ${last} have no rows`;
      this.#add("message_missing", `${which}, but the head says that they are there`, first);
    }
  }

  /** Everything from the expected one through `last` is not there. */
  #hole(last: Sequence): void {
    const first = this.#expected;
    if (first > last) return;
    this.#expected = last + 1;
    this.#without += last - first + 1;
    if (this.#holes.length < holesMax) this.#holes.push({ first, last });
  }

  #sum(detail: string): void {
    this.isOff = true;
    this.#add("sum_wrong", detail);
  }

  #add(code: ProblemCode, detail: string, sequence?: Sequence): void {
    this.problems.push({
      code,
      subject: this.#summary.subject,
      ...(sequence !== undefined && { sequence }),
      detail,
    });
  }
}
