import { expect, test } from "bun:test";
import { pieceLength, sortedInPieces } from "./sorted-in-pieces.ts";

/** The result, and how often others had their turn. */
const run = <T>(
  steps: Generator<undefined, readonly T[]>,
): { readonly sorted: readonly T[]; readonly turns: number } => {
  for (let turns = 0; ; turns++) {
    const step = steps.next();
    if (step.done === true) return { sorted: step.value, turns };
  }
};

test.each([0, 1, 2, pieceLength, pieceLength + 1, 5 * pieceLength + 7])("%d items are sorted", (count) => {
  const items = Array.from({ length: count }, (_, index) => ({ key: (index * 7919) % 101, index }));
  const { sorted } = run(sortedInPieces(items, (a, b) => a.key - b.key));
  // Equal ones stay in their order, as with the sort of the language.
  expect(sorted).toEqual(items.toSorted((a, b) => a.key - b.key));
});

test("others have their turn after each piece of work", () => {
  const descending = Array.from({ length: 8 * pieceLength }, (_, index) => -index);
  // Eight runs, and three rounds of merging.
  expect(run(sortedInPieces(descending, (a, b) => a - b)).turns).toBe(8 + 3 * 8);
});
