/**
 * Retention policies: what is kept of the subjects that a filter names. For every subject the most specific filter
 * decides alone; policies are not mixed.
 * @module
 */
import type { ConsumerName, Subject, SubjectFilter } from "./subject.ts";

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
  /** `acked`: within the limits, a message goes as soon as all its recipients have acknowledged it. */
  readonly retain: "limits" | "acked";
  /** Consumers by name (1–100, in byte order), or how many acknowledgements of any (at least 1); null with `limits`. */
  readonly recipients: readonly ConsumerName[] | number | null;
  /**
   * A named recipient that gave no sign (fetch, ack, nack) for so many milliseconds is not waited for on messages that
   * are as old; `null` waits for ever. What nobody has acknowledged is never released by it. At least 1.
   */
  readonly recipientTimeoutMs: number | null;
}

/** A policy and the subjects it is for. */
export interface FilterPolicy {
  readonly filter: SubjectFilter;
  readonly policy: RetentionPolicy;
}

/** Where no filter matches, everything is kept. */
export const keepEverything: RetentionPolicy = {
  maxAgeMs: null,
  maxMessages: null,
  maxBytes: null,
  discard: "old",
  retain: "limits",
  recipients: null,
  recipientTimeoutMs: null,
};

/** Two policies are the same when every field is. */
export const samePolicy = (a: RetentionPolicy, b: RetentionPolicy): boolean =>
  a.maxAgeMs === b.maxAgeMs &&
  a.maxMessages === b.maxMessages &&
  a.maxBytes === b.maxBytes &&
  a.discard === b.discard &&
  a.retain === b.retain &&
  // Names are kept in byte order.
  JSON.stringify(a.recipients) === JSON.stringify(b.recipients) &&
  a.recipientTimeoutMs === b.recipientTimeoutMs;

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

/** A place in the tree: what goes on from here, by the next token. */
interface Branch<T> {
  readonly tokens: Map<string, Branch<T>>;
  /** Any one token (`*`). */
  any: Branch<T> | undefined;
  /** One or more tokens (`>`) end here. */
  rest: T | undefined;
  /** A filter ends here. */
  end: T | undefined;
}

const newBranch = <T>(): Branch<T> => ({ tokens: new Map(), any: undefined, rest: undefined, end: undefined });

/** Filters and what each stands for, to be asked for the most specific one that matches a subject. */
export class FilterTree<T extends object> {
  readonly #root: Branch<T> = newBranch();

  /** Adds a filter, or replaces what it stands for. */
  set(filter: SubjectFilter, value: T): void {
    let branch = this.#root;
    for (const token of filter.split(".")) {
      if (token === ">") {
        branch.rest = value;
        return;
      }
      branch = token === "*" ? (branch.any ??= newBranch()) : grown(branch, token);
    }
    branch.end = value;
  }

  /** What the first of the matching filters in the order of `compareSpecificity` stands for. */
  find(subject: Subject): T | undefined {
    return search(this.#root, subject.split("."), 0);
  }
}

const grown = <T>(branch: Branch<T>, token: string): Branch<T> => {
  let next = branch.tokens.get(token);
  if (next === undefined) branch.tokens.set(token, (next = newBranch()));
  return next;
};

/** Looks in the order of the ranks, so that the first that is found is the most specific. */
const search = <T>(branch: Branch<T> | undefined, tokens: readonly string[], place: number): T | undefined => {
  if (branch === undefined) return undefined;
  const token = tokens[place];
  if (token === undefined) return branch.end;
  return search(branch.tokens.get(token), tokens, place + 1) ?? search(branch.any, tokens, place + 1) ?? branch.rest;
};
