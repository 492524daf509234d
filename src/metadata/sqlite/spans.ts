/**
 * Ranges of sequences, and where enough of them overlap.
 * @module
 */
import type { Sequence } from "../../core/message.ts";

/** Sequences from the first to the last, both included. */
export interface Span {
  readonly first: Sequence;
  readonly last: Sequence;
}

/** Everything of a range but some of its sequences. @param without ascending */
export const spansWithout = (first: Sequence, last: Sequence, without: readonly Sequence[]): Span[] => {
  const spans: Span[] = [];
  let from = first;
  for (const sequence of without) {
    if (sequence > from) spans.push({ first: from, last: sequence - 1 });
    from = sequence + 1;
  }
  if (last >= from) spans.push({ first: from, last });
  return spans;
};

/** What at least `least` of the lists cover, ascending. @param lists each of ascending spans that do not overlap */
export const coveredBy = (lists: readonly (readonly Span[])[], least: number): readonly Span[] => {
  const steps = new Map<Sequence, number>();
  for (const { first, last } of lists.flat()) {
    steps.set(first, (steps.get(first) ?? 0) + 1);
    steps.set(last + 1, (steps.get(last + 1) ?? 0) - 1);
  }
  const covered: Span[] = [];
  let [count, first] = [0, 0];
  for (const [at, step] of [...steps].sort(([a], [b]) => a - b)) {
    const wasCovered = count >= least;
    count += step;
    if (!wasCovered && count >= least) first = at;
    else if (wasCovered && count < least) covered.push({ first, last: at - 1 });
  }
  return covered;
};
