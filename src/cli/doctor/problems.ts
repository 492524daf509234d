/**
 * What the doctor finds, and what it counts.
 * @module
 */

/** What is wrong; stable, for programs. */
export type ProblemCode =
  /** The metadata store said so itself when it was opened. */
  | "store_warning"
  /** A store cannot be opened or read. */
  | "store_unreadable"
  /** The head says that it is there. */
  | "message_missing"
  /** Beyond the last sequence of the head. */
  | "message_beyond_head"
  /** Out of order, or for another subject. */
  | "message_misplaced"
  | "timestamp_decreases"
  /** Messages or bytes of the listing are not what is stored. */
  | "sum_wrong"
  /** Gone, too short, or with another checksum. */
  | "body_damaged"
  /** Could not be read; it may be whole. */
  | "body_unreadable"
  | "consumer_position"
  /** What the metadata store keeps beside the messages does not agree with them. */
  | "books_wrong";

/** One thing that is wrong. */
export interface Problem {
  readonly code: ProblemCode;
  readonly subject?: string;
  /** The first sequence that it is about. */
  readonly sequence?: number;
  readonly consumer?: string;
  /** One sentence. */
  readonly detail: string;
}

/** What was thrown and what it came from, in one line. */
export const reasonOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause instanceof Error ? ` (${thrown.cause.message})` : "";
  return `${thrown.message.replace(/\.$/, "")}${cause}`;
};

/** Counts so far. */
export interface Findings {
  subjects: number;
  messages: number;
  /** Of bodies that were read and compared. */
  bytes: number;
  consumers: number;
  /** Messages that wait for their time. */
  delayed: number;
  /** Objects of the body store that no message points into. */
  orphans: number;
  orphanBytes: number;
  /** Of those, how many are so young that their messages may be on the way. */
  youngObjects: number;
  /** Objects that the metadata store has noted for deletion, whether or not they are there still. */
  deadObjects: number;
  /** All problems, also those that are not kept. */
  problems: number;
}

/** Problems that are kept; a store that lost an object may have millions. */
const problemsKeptMax = 1000;

/** Collects. */
export class Report implements Findings {
  subjects = 0;
  messages = 0;
  bytes = 0;
  consumers = 0;
  delayed = 0;
  orphans = 0;
  orphanBytes = 0;
  youngObjects = 0;
  deadObjects = 0;
  problems = 0;
  /** Names of objects that no message points into, young ones left out; empty when all of them are noted as dead. */
  orphanNames: readonly string[] = [];
  readonly kept: Problem[] = [];
  /** Worth knowing and not wrong. */
  readonly notes: string[] = [];
  readonly #onProblem: (problem: Problem) => void;

  /** @param onProblem called for each one that is kept, as it is found */
  constructor(onProblem: (problem: Problem) => void = () => undefined) {
    this.#onProblem = onProblem;
  }

  add(problem: Problem): void {
    this.problems++;
    if (this.kept.length >= problemsKeptMax) return;
    this.kept.push(problem);
    this.#onProblem(problem);
  }

  note(text: string): void {
    if (this.notes.length < problemsKeptMax) this.notes.push(text);
  }
}
