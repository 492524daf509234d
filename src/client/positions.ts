/**
 * What of each subject came already. Sequences are dense within a subject, so one number says it all.
 * @module
 */
import { MtsError } from "./errors.ts";

/** Subjects of one subscription: about 100 bytes each. */
const subjectsMax = 1_000_000;

/** The next sequence of each subject. */
export class Positions {
  readonly #next = new Map<string, number>();

  /** @param otherwise the first sequence of a subject that is not known */
  constructor(private readonly otherwise: number) {}

  known(subject: string): boolean {
    return this.#next.has(subject);
  }

  next(subject: string): number {
    return this.#next.get(subject) ?? this.otherwise;
  }

  /** Whether a message is a new one; then it counts as come. */
  admit(subject: string, sequence: number): boolean {
    if (sequence < this.next(subject)) return false;
    this.set(subject, sequence + 1);
    return true;
  }

  /** @throws MtsError `too_many_subjects` */
  set(subject: string, next: number): void {
    this.#next.set(subject, next);
    if (this.#next.size > subjectsMax) {
      throw new MtsError("too_many_subjects", `A subscription keeps the positions of ${subjectsMax} subjects at most.`);
    }
  }

  /** Never backwards. @throws MtsError `too_many_subjects` */
  raise(subject: string, next: number): void {
    if (next > this.next(subject) || !this.known(subject)) this.set(subject, Math.max(next, this.next(subject)));
  }
}
