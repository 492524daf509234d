/**
 * What of each subject came already. Messages of a subject come in order, so one number says it all.
 * @module
 */
import { MtsError } from "./errors.ts";

/** The next sequence of each subject. */
export class Positions {
  readonly #next = new Map<string, number>();
  readonly #otherwise: number;

  /** @param otherwise the first sequence of a subject that is not known */
  constructor(otherwise: number) {
    this.#otherwise = otherwise;
  }

  /** Undefined when the subject is not known. */
  known(subject: string): number | undefined {
    return this.#next.get(subject);
  }

  next(subject: string): number {
    return this.known(subject) ?? this.#otherwise;
  }

  /** Whether a message is a new one; then it counts as come. */
  admit(subject: string, sequence: number): boolean {
    const isNew = sequence >= this.next(subject);
    if (isNew) this.raise(subject, sequence + 1);
    return isNew;
  }

  /** Never backwards. @throws MtsError `too_many_subjects` */
  raise(subject: string, next: number): void {
    // Of one subscription: about 100 bytes each.
    const subjectsMax = 1_000_000;
    this.#next.set(subject, Math.max(next, this.next(subject)));
    if (this.#next.size > subjectsMax) {
      throw new MtsError("too_many_subjects", `More than ${subjectsMax} subjects.`);
    }
  }
}
