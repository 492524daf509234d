import { describe, expect, test } from "bun:test";
import { filterMatches, parseFilter, parseSubject } from "../core/subject.ts";
import { FilterTrie } from "./trie.ts";

/** Small seeded generator, so that a failure can be run again. */
const generator = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

describe("FilterTrie", () => {
  test("finds exactly what filterMatches finds, also after deletions", () => {
    const random = generator(7);
    const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? "";
    const tokens = (alphabet: readonly string[]): string[] =>
      Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(alphabet));
    const trie = new FilterTrie<string>();
    const filters = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const raw = [...tokens(["a", "b", "c", "*"]), ...(random() < 0.3 ? [">"] : [])].join(".");
      filters.add(raw);
      trie.add(parseFilter(raw), raw);
    }
    for (const raw of [...filters]) {
      if (random() < 0.5) continue;
      filters.delete(raw);
      trie.delete(parseFilter(raw), raw);
    }
    expect(trie.size).toBe(filters.size);
    for (let i = 0; i < 500; i++) {
      const subject = parseSubject(tokens(["a", "b", "c", "d"]).join("."));
      const found: string[] = [];
      trie.match(subject, (value) => found.push(value));
      const wanted = [...filters].filter((raw) => filterMatches(parseFilter(raw), subject));
      expect(found.sort()).toEqual(wanted.sort());
    }
  });

  test("an emptied trie matches nothing", () => {
    const trie = new FilterTrie<number>();
    trie.add(parseFilter("a.>"), 1);
    trie.add(parseFilter("a.>"), 1);
    trie.delete(parseFilter("a.*"), 1);
    expect(trie.size).toBe(1);
    trie.delete(parseFilter("a.>"), 1);
    const found: number[] = [];
    trie.match(parseSubject("a.b"), (value) => found.push(value));
    expect([trie.size, found]).toEqual([0, []]);
  });
});
