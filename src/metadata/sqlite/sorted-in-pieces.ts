/**
 * Sorting very many things without keeping others waiting: a merge sort that can be left after each piece of work.
 * @module
 */

/** Things that are worked on in one go: a fraction of a millisecond. */
export const pieceLength = 1000;

/** The items in order, equal ones in the order they came; yields after each piece of work. */
export function* sortedInPieces<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<undefined, readonly T[]> {
  let runs: (readonly T[])[] = [];
  for (let from = 0; from < items.length; from += pieceLength) {
    runs.push(items.slice(from, from + pieceLength).sort(compare));
    yield undefined;
  }
  while (runs.length > 1) {
    const merged: (readonly T[])[] = [];
    for (let index = 0; index < runs.length; index += 2) {
      const [first = [], second = []] = runs.slice(index, index + 2);
      merged.push(second.length === 0 ? first : yield* mergedInPieces(first, second, compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergedInPieces<T>(
  first: readonly T[],
  second: readonly T[],
  compare: (a: T, b: T) => number,
): Generator<undefined, readonly T[]> {
  const merged: T[] = [];
  let [a, b] = [0, 0];
  while (a < first.length || b < second.length) {
    const isFirst = b === second.length || (a < first.length && compare(first[a] as T, second[b] as T) <= 0);
    merged.push((isFirst ? first[a++] : second[b++]) as T);
    if (merged.length % pieceLength === 0) yield undefined;
  }
  return merged;
}
