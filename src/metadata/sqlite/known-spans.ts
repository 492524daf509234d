/**
 * Which spans are noted of the objects that are being written to, so that a commit writes none for what lies within.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Span } from "./spans.ts";

/** Objects, and subjects of one, that are known at most; one that is not costs a span more. */
const objectsMax = 16;
const subjectsMax = 16_384;

/** Spans by object and subject, the newest of each. */
export class KnownSpans {
  readonly #objects = new Map<number, Map<number, Span>>();

  /** @param gapMax sequences over which a span goes on, and by which it is longer than it must be at least */
  constructor(private readonly gapMax: number) {}

  /**
   * The span to be noted for messages of an object from the first to the last of a subject; undefined when they lie in
   * one that is. A span that goes on is noted to twice its length, so that this is rare.
   */
  cover(objectId: number, subjectId: number, first: Sequence, last: Sequence): Span | undefined {
    const subjects = this.#subjectsOf(objectId);
    const known = subjects.get(subjectId);
    const goesOn = known !== undefined && first >= known.first && first <= known.last + this.gapMax;
    if (goesOn && last <= known.last) return undefined;
    const span = goesOn
      ? { first: known.first, last: last + Math.max(this.gapMax, last - known.first) }
      : { first, last };
    if (subjects.size >= subjectsMax) subjects.clear();
    subjects.set(subjectId, span);
    return span;
  }

  /** Forgets an object: its spans are gone. */
  drop(objectId: number): void {
    this.#objects.delete(objectId);
  }

  clear(): void {
    this.#objects.clear();
  }

  #subjectsOf(objectId: number): Map<number, Span> {
    let subjects = this.#objects.get(objectId);
    if (subjects !== undefined) return subjects;
    for (const oldest of this.#objects.keys()) {
      if (this.#objects.size < objectsMax) break;
      this.#objects.delete(oldest);
    }
    this.#objects.set(objectId, (subjects = new Map<number, Span>()));
    return subjects;
  }
}
