/**
 * Containment, overlap and intersection of filters against brute force: every subject over a small alphabet.
 * @module
 */
import { describe, expect, test } from "bun:test";
import {
  filterContains,
  filterIntersection,
  filterMatches,
  filtersOverlap,
  parseFilter,
  parseSubject,
  type Subject,
  type SubjectFilter,
} from "./subject.ts";

/** All sequences of 1 to `length` words. */
const sequences = (words: readonly string[], length: number): string[] => {
  const rows = [words.map((word) => [word])];
  for (let n = 1; n < length; n++) {
    rows.push((rows.at(-1) ?? []).flatMap((row) => words.map((word) => [...row, word])));
  }
  return rows.flat().map((row) => row.join("."));
};

// One word and one token more than the filters have: enough to tell every two of them apart.
const subjects: readonly Subject[] = sequences(["a", "b", "c"], 4).map(parseSubject);
const filters: readonly SubjectFilter[] = sequences(["a", "b", "*", ">"], 3)
  .filter((text) => !/>\./.test(text))
  .map(parseFilter);

const matched = new Map(
  filters.map((filter) => [filter, new Set(subjects.filter((subject) => filterMatches(filter, subject)))]),
);
const subjectsOf = (filter: SubjectFilter): ReadonlySet<Subject> =>
  matched.get(filter) ?? new Set(subjects.filter((subject) => filterMatches(filter, subject)));

describe("two filters, compared by every subject there is", () => {
  test("one contains the other", () => {
    for (const outer of filters) {
      for (const inner of filters) {
        const expected = subjectsOf(inner).isSubsetOf(subjectsOf(outer));
        if (filterContains(outer, inner) !== expected) throw new Error(`${outer} contains ${inner}: ${expected}`);
      }
    }
  });

  test("they overlap", () => {
    for (const a of filters) {
      for (const b of filters) {
        const expected = !subjectsOf(a).isDisjointFrom(subjectsOf(b));
        if (filtersOverlap(a, b) !== expected) throw new Error(`${a} overlaps ${b}: ${expected}`);
      }
    }
  });

  test("their intersection is a filter of exactly what both match", () => {
    for (const a of filters) {
      for (const b of filters) {
        const both = filterIntersection(a, b);
        const expected = subjectsOf(a).intersection(subjectsOf(b));
        const found = both === undefined ? new Set<Subject>() : subjectsOf(parseFilter(both));
        if (!expected.isSubsetOf(found) || !found.isSubsetOf(expected)) throw new Error(`${a} and ${b}: ${both}`);
      }
    }
  });

  test("there were enough of them", () => {
    expect(filters.length).toBeGreaterThan(50);
    expect(subjects.length).toBe(120);
  });
});

test.each([
  [">", "a", true],
  [">", "*.>", true],
  ["*.>", ">", false],
  ["a.>", "a", false],
  ["a.>", "a.*", true],
  ["a.*", "a.>", false],
  ["a.*.>", "a.>", false],
  ["a.b", "a.*", false],
  ["*.b", "a.b", true],
])("%s contains %s: %p", (outer, inner, expected) => {
  expect(filterContains(parseFilter(outer), parseFilter(inner))).toBe(expected);
});
