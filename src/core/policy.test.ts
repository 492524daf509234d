/**
 * Which of several filters decides.
 * @module
 */
import { expect, test } from "bun:test";
import { compareSpecificity, FilterTree } from "./policy.ts";
import { filterMatches, parseFilter, parseSubject } from "./subject.ts";

const filters = [
  ">",
  "*",
  "*.>",
  "*.*",
  "*.b",
  "*.b.>",
  "*.*.c",
  "a",
  "a.>",
  "a.*",
  "a.b",
  "a.b.>",
  "a.*.>",
  "a.*.c",
  "a.b.*",
  "b.c.d.e",
].map(parseFilter);
const tokens = ["a", "b", "c"];
const subjects = [
  ...tokens,
  ...tokens.flatMap((first) => tokens.map((second) => `${first}.${second}`)),
  ...tokens.flatMap((first) => tokens.flatMap((second) => tokens.map((third) => `${first}.${second}.${third}`))),
  "b.c.d.e",
  "a.b.c.d",
].map(parseSubject);

test("a token before *, * before >, from the left", () => {
  const ordered = ["a.b.c", "a.b.*", "a.b.>", "a.*.c", "a.*.*", "a.*.>", "a.>", "*.b.c", "*.>", ">"].map(parseFilter);
  expect(ordered.toReversed().toSorted(compareSpecificity)).toEqual(ordered);
});

test("the tree finds what sorting finds, for every subset of filters", () => {
  for (let subset = 0; subset < 2 ** filters.length; subset += 97) {
    const chosen = filters.filter((_, place) => Math.floor(subset / 2 ** place) % 2 === 1);
    const tree = new FilterTree<{ readonly filter: string }>();
    for (const filter of chosen) tree.set(filter, { filter });
    const sorted = chosen.toSorted(compareSpecificity);
    for (const subject of subjects) {
      expect(tree.find(subject)?.filter).toBe(sorted.find((filter) => filterMatches(filter, subject)));
    }
  }
});

test("setting a filter again replaces what it stands for", () => {
  const tree = new FilterTree<{ readonly n: number }>();
  for (const n of [1, 2]) for (const filter of ["a.>", "a.*", "a.b"]) tree.set(parseFilter(filter), { n });
  expect(["a.b", "a.c", "a.b.c"].map((name) => tree.find(parseSubject(name))?.n)).toEqual([2, 2, 2]);
  expect(tree.find(parseSubject("a"))).toBeUndefined();
});
