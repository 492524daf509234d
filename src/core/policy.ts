/**
 * Retention policies: what is kept of the subjects that a filter names. For every subject the most specific filter
 * decides alone; policies are not mixed.
 * @module
 */
import type { SubjectFilter } from "./subject.ts";

/** What is kept of one subject; `null` sets no limit. */
export interface RetentionPolicy {
  /** A message is gone this many milliseconds after its timestamp, whether or not a sweep has run. At least 1. */
  readonly maxAgeMs: number | null;
  /** Messages stored at once; at least 1. */
  readonly maxMessages: number | null;
  /** Bytes of the stored bodies; at least 1. */
  readonly maxBytes: number | null;
  /** At a limit: the oldest go, or the publish is refused with `subject_full`. */
  readonly discard: "old" | "new";
}

/** A policy and the subjects it is for. */
export interface FilterPolicy {
  readonly filter: SubjectFilter;
  readonly policy: RetentionPolicy;
}

/** Where no filter matches, everything is kept. */
export const keepEverything: RetentionPolicy = { maxAgeMs: null, maxMessages: null, maxBytes: null, discard: "old" };

/** Two policies are the same when every field is. */
export const samePolicy = (a: RetentionPolicy, b: RetentionPolicy): boolean =>
  a.maxAgeMs === b.maxAgeMs && a.maxMessages === b.maxMessages && a.maxBytes === b.maxBytes && a.discard === b.discard;

const rank = (token: string): number => (token === ">" ? 2 : token === "*" ? 1 : 0);

/**
 * Orders filters that match one subject, the most specific first: token by token from the left a plain token comes
 * before `*`, and `*` before `>`. Two different filters that match one subject are never equal.
 */
export const compareSpecificity = (a: SubjectFilter, b: SubjectFilter): number => {
  const [left, right] = [a.split("."), b.split(".")];
  for (let place = 0; place < Math.min(left.length, right.length); place++) {
    const difference = rank(left[place] ?? "") - rank(right[place] ?? "");
    if (difference !== 0) return difference;
  }
  return right.length - left.length;
};
