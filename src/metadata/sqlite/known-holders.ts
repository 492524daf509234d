/**
 * Where the messages are that point into objects which were handed out for rewriting, so that moving some of their
 * bodies need not look at all that is left of an object each time.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { SpanRow } from "./objects.ts";

/** Messages that are known, over all objects, at 24 bytes; of more, those of the objects noted first are forgotten. */
const messagesMax = 500_000;

/** A message and where its body begins. */
export interface Holder {
  readonly subject_id: number;
  readonly sequence: Sequence;
  readonly body_offset: number;
}

/** The messages of one object, in the order of their offsets. */
interface Known {
  readonly offsets: Float64Array;
  readonly subjectIds: Float64Array;
  readonly sequences: Float64Array;
}

/** Messages by the objects and offsets they point at: all of an object, or nothing of it. */
export class KnownHolders {
  readonly #objects = new Map<number, Known>();
  /** Objects that are being looked at, and to which nothing has come since. */
  readonly #expected = new Set<number>();
  #messages = 0;

  /** @param gapMax sequences over which a span goes on */
  constructor(private readonly gapMax: number) {}

  /** The messages of an object are going to be looked at, with others' changes between. */
  expect(objectId: number): void {
    this.drop(objectId);
    this.#expected.add(objectId);
  }

  /** Notes all messages of an object, in the order of their offsets, unless others came to it since it was expected. */
  set(objectId: number, holders: readonly Holder[]): void {
    if (!this.#expected.delete(objectId) || holders.length > messagesMax) return;
    for (const oldest of this.#objects.keys()) {
      if (this.#messages + holders.length <= messagesMax) break;
      this.drop(oldest);
    }
    this.#messages += holders.length;
    const column = (): Float64Array => new Float64Array(holders.length);
    const known: Known = { offsets: column(), subjectIds: column(), sequences: column() };
    // One loop: there may be very many, and others wait.
    for (let index = 0; index < holders.length; index++) {
      const holder = holders[index];
      if (holder === undefined) continue;
      known.offsets[index] = holder.body_offset;
      known.subjectIds[index] = holder.subject_id;
      known.sequences[index] = holder.sequence;
    }
    this.#objects.set(objectId, known);
  }

  /** Where the messages are that point at these offsets, if they are stored still; undefined for an unknown object. */
  spansOf(objectId: number, offsets: Iterable<number>): readonly SpanRow[] | undefined {
    const known = this.#objects.get(objectId);
    if (known === undefined) return undefined;
    const bySubject = new Map<number, Sequence[]>();
    for (const offset of new Set(offsets)) {
      for (let index = firstAt(known.offsets, offset); known.offsets[index] === offset; index++) {
        const [subjectId = 0, sequence = 0] = [known.subjectIds[index], known.sequences[index]];
        const sequences = bySubject.get(subjectId);
        if (sequences === undefined) bySubject.set(subjectId, [sequence]);
        else sequences.push(sequence);
      }
    }
    return [...bySubject].flatMap(([subjectId, sequences]) => this.#spansOver(subjectId, sequences));
  }

  /** Forgets an object: messages came to it, or it is gone. */
  drop(objectId: number): void {
    this.#expected.delete(objectId);
    this.#messages -= this.#objects.get(objectId)?.offsets.length ?? 0;
    this.#objects.delete(objectId);
  }

  #spansOver(subject_id: number, sequences: readonly Sequence[]): readonly SpanRow[] {
    const spans: { subject_id: number; first_sequence: Sequence; last_sequence: Sequence }[] = [];
    for (const sequence of sequences.toSorted((a, b) => a - b)) {
      const span = spans.at(-1);
      if (span !== undefined && sequence - span.last_sequence <= this.gapMax) span.last_sequence = sequence;
      else spans.push({ subject_id, first_sequence: sequence, last_sequence: sequence });
    }
    return spans;
  }
}

/** The first index with at least this value, in ascending order. */
const firstAt = (values: Float64Array, value: number): number => {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? Infinity) < value) low = middle + 1;
    else high = middle;
  }
  return low;
};
