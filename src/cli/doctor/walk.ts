/**
 * One subject's messages in order: dense from its first to its last sequence, time never going back, sums as listed.
 * @module
 */
import type { Envelope, Head, Sequence, SubjectSummary } from "../../core/message.ts";
import type { ProblemCode, Report } from "./problems.ts";

/** Sees every message of a subject once. */
export class SubjectWalk {
  readonly #summary: SubjectSummary;
  readonly #report: Report;
  #expected: Sequence;
  #timestampMs = 0;
  #messages = 0;
  #bytes = 0;
  #isDense = true;

  constructor(summary: SubjectSummary, report: Report) {
    this.#summary = summary;
    this.#report = report;
    this.#expected = summary.firstSequence;
  }

  /** The head is kept for writers, the listing for readers: they must be the same. */
  compareHead({ firstSequence, lastSequence }: Head): void {
    const listed = this.#summary;
    if (firstSequence === listed.firstSequence && lastSequence === listed.lastSequence) return;
    this.#add(
      "sum_wrong",
      `the head says ${firstSequence} to ${lastSequence}, the listing ${listed.firstSequence} to ${listed.lastSequence}`,
    );
  }

  see(envelope: Envelope): void {
    const { sequence, timestampMs, body } = envelope;
    const { subject, lastSequence } = this.#summary;
    if (sequence < this.#expected || envelope.subject !== subject) {
      this.#isDense = false;
      this.#add("message_misplaced", `${envelope.subject} ${sequence} comes where ${this.#expected} should`, sequence);
      return;
    }
    if (sequence > lastSequence) {
      this.#missing(Math.min(sequence - 1, lastSequence));
      this.#isDense = false;
      this.#add("message_beyond_head", `is stored, but the head ends at ${lastSequence}`, sequence);
    } else this.#missing(sequence - 1);
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
    const { lastSequence, messages, bytes } = this.#summary;
    this.#missing(lastSequence);
    // With holes the sums cannot be right, which says nothing new.
    if (!this.#isDense) return;
    if (messages !== this.#messages) {
      this.#add("sum_wrong", `${messages} messages are listed, ${this.#messages} are stored`);
    }
    if (bytes !== this.#bytes) this.#add("sum_wrong", `${bytes} bytes are listed, ${this.#bytes} are stored`);
  }

  /** Everything from the expected one through `last` is not there: one problem for all of it. */
  #missing(last: Sequence): void {
    const first = this.#expected;
    if (first > last) return;
    this.#isDense = false;
    this.#expected = last + 1;
    const which = first === last ? "has no row" : `to ${last} have no rows`;
    this.#add("message_missing", `${which}, but the head says that they are there`, first);
  }

  #add(code: ProblemCode, detail: string, sequence?: Sequence): void {
    this.#report.add({
      code,
      subject: this.#summary.subject,
      ...(sequence !== undefined && { sequence }),
      detail,
    });
  }
}
