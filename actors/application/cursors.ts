/**
 * How far an actor is in every subject of its filter, and which subjects have more for it. In memory only; what counts
 * is stored with each step.
 * @module
 */
import type { Sequence } from "../../src/core/message.ts";
import { filterMatches, type Subject, serverSubjectPrefix } from "../../src/core/subject.ts";
import type { ActorPosition } from "../../src/metadata/contract.ts";
import type { ActorDefinition } from "../define.ts";

/** Where the last alarm is kept among the positions: its time, so that a rebuild knows which alarms had their effects. */
export const alarmSubject = "$alarm" as Subject;

/** Whether an actor is fed a subject: its own dead letters it is not, the server's subjects only when it names them. */
export const isFed = (
  { filter, deadLetter }: Pick<ActorDefinition, "filter" | "deadLetter">,
  subject: Subject,
): boolean => {
  if (subject === deadLetter || !filterMatches(filter, subject)) return false;
  return !subject.startsWith(serverSubjectPrefix) || filter.startsWith(serverSubjectPrefix);
};

/** The cursors of one ownership. */
export class Cursors {
  readonly #through = new Map<Subject, Sequence>();
  /** Only where something was published before a rebuild that has not been reached. */
  readonly #effectsThrough = new Map<Subject, Sequence>();
  /** Last sequences of subjects with more, in turn. */
  readonly #pending = new Map<Subject, Sequence>();
  #lag = 0;

  /** Messages that wait, as far as is known; those deleted from the middle included. */
  get lag(): number {
    return this.#lag;
  }

  /** Sets where a subject stands. */
  place({ subject, through, effectsThrough }: ActorPosition): void {
    this.#effectsThrough.set(subject, effectsThrough);
    this.advance(subject, through);
  }

  /** Everything through a sequence is worked off. */
  advance(subject: Subject, through: Sequence): void {
    const last = this.#pending.get(subject);
    if (last !== undefined) this.#lag -= last - this.through(subject);
    this.#through.set(subject, through);
    if (through >= (this.#effectsThrough.get(subject) ?? 0)) this.#effectsThrough.delete(subject);
    if (last === undefined) return;
    if (last > through) this.#lag += last - through;
    else this.#pending.delete(subject);
  }

  /** There is something up to this sequence. */
  told(subject: Subject, last: Sequence): void {
    const through = this.through(subject);
    const known = Math.max(this.#pending.get(subject) ?? 0, through);
    if (last <= known) return;
    this.#lag += last - known;
    this.#pending.set(subject, last);
  }

  through(subject: Subject): Sequence {
    return this.#through.get(subject) ?? 0;
  }

  /** The last that is known of. */
  last(subject: Subject): Sequence {
    return Math.max(this.#pending.get(subject) ?? 0, this.through(subject));
  }

  /** Whether it was worked off before a rebuild, so that what is published for it has been published. */
  hadEffects(subject: Subject, sequence: Sequence): boolean {
    return sequence <= (this.#effectsThrough.get(subject) ?? 0);
  }

  /** A subject with more; asked again it is another one, when there is. */
  next(): Subject | undefined {
    const [first] = this.#pending;
    if (first === undefined) return undefined;
    const [subject, last] = first;
    // Behind the others.
    this.#pending.delete(subject);
    this.#pending.set(subject, last);
    return subject;
  }
}
