/**
 * The hub: who on this node wants to know that a subject moved. Commits of this node come with their messages, moves
 * that other nodes made come without. It only wakes; followers read and deliver by themselves.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import type { CommittedRun } from "../../actors/committer.ts";
import type { Sequence } from "../core/message.ts";
import { type ConsumerName, filterSubject, type Subject, type SubjectFilter } from "../core/subject.ts";
import type { ChangePage } from "../metadata/contract.ts";
import { type TailBounds, TailCache } from "./tail.ts";
import { FilterTrie } from "./trie.ts";

/** Wants to hear of new messages. Calls must not throw. */
export interface Watcher {
  /**
   * `first` to `last` are new; there may be more before `first` that were not told of. `inOrder`: told in the order of
   * all nodes' commits, so that nothing new lies before `first` for somebody who did not know the subject yet.
   */
  moved(subject: Subject, first: Sequence, last: Sequence, inOrder: boolean): void;
}

/** Wants to hear of what happens to one consumer beside new messages. Calls must not throw. */
export interface ConsumerWatcher {
  /** Something may be due or free again (a nack, an acknowledgement). */
  changed(): void;
  deleted(): void;
}

/** Looks for messages in memory that have outlived their time: not more often, and not more rarely than this. */
const staleMs = { min: 1000, max: 60_000 } as const;

/** What a hub is made of. */
export interface HubOptions {
  readonly tails: TailBounds;
  /**
   * Several nodes write to the store: commits of this node may come before earlier ones of others, and only the feed
   * tells in order.
   */
  readonly shared: boolean;
  readonly timers: Timers;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** Wakes watchers, keeps the tails. */
export class Hub {
  readonly tails: TailCache;
  readonly #exact = new Map<Subject, Set<Watcher>>();
  readonly #wildcards = new FilterTrie<Watcher>();
  /** Subjects with messages in doubt: how many doubts, and what was committed meanwhile. */
  readonly #held = new Map<Subject, { doubts: number; readonly runs: CommittedRun[] }>();
  readonly #consumers = new Map<string, Set<ConsumerWatcher>>();
  /** Who waits for acknowledgements of any consumer of a subject. */
  readonly #acks = new Map<Subject, Set<() => void>>();
  readonly #options: HubOptions;
  #isStaleArmed = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.tails = new TailCache(options.tails, options.clock);
  }

  /** Starts watching; the returned function stops it. */
  watch(filter: SubjectFilter, watcher: Watcher): () => void {
    const subject = filterSubject(filter);
    if (subject === undefined) {
      this.#wildcards.add(filter, watcher);
      return () => this.#wildcards.delete(filter, watcher);
    }
    return addTo(this.#exact, subject, watcher);
  }

  /** Starts watching one consumer; the returned function stops it. */
  watchConsumer(subject: Subject, name: ConsumerName, watcher: ConsumerWatcher): () => void {
    return addTo(this.#consumers, consumerKey(subject, name), watcher);
  }

  /** Starts watching what any consumer of a subject acknowledges; the returned function stops it. */
  watchAcks(subject: Subject, told: () => void): () => void {
    return addTo(this.#acks, subject, told);
  }

  /** How many watch acknowledgements of the subject. */
  ackWatchers(subject: Subject): number {
    return this.#acks.get(subject)?.size ?? 0;
  }

  /** A consumer of the subject has acknowledged something. */
  acknowledged(subject: Subject): void {
    for (const told of [...(this.#acks.get(subject) ?? [])]) told();
  }

  /** Messages that this node committed, or the store by itself. */
  committed(runs: readonly CommittedRun[]): void {
    for (const run of runs) {
      const held = this.#held.get(run.subject);
      if (held === undefined) this.#tell(run);
      else held.runs.push(run);
    }
  }

  /** Messages that are stored but not in memory here: another node's, or a commit whose outcome was unknown. */
  moved(subject: Subject, first: Sequence, last: Sequence, inOrder: boolean): void {
    for (const watcher of this.#watchersOf(subject)) watcher.moved(subject, first, last, inOrder);
  }

  /** What the feed of a shared store told. */
  changed(page: ChangePage): void {
    for (const { subject, through } of page.purged) this.purged(subject, through);
    for (const { subject, first, last } of page.moved) this.moved(subject, first, last, true);
    for (const { subject, name, deleted } of page.consumers) {
      if (deleted) this.consumerDeleted(subject, name);
      else this.consumerChanged(subject, name);
    }
  }

  /** Consumers that are watched now. */
  watchedConsumers(): readonly { readonly subject: Subject; readonly name: ConsumerName }[] {
    return [...this.#consumers.keys()].map((key) => {
      const [subject, name] = key.split("\n");
      return { subject: subject as Subject, name: name as ConsumerName };
    });
  }

  /** Subjects and filters that are watched now. */
  watched(): { readonly subjects: readonly Subject[]; readonly filters: readonly SubjectFilter[] } {
    return { subjects: [...this.#exact.keys()], filters: this.#wildcards.filters() };
  }

  /** Tells nothing of a subject until `release`, once for every `hold`. */
  hold(subject: Subject): void {
    const held = this.#held.get(subject);
    if (held === undefined) this.#held.set(subject, { doubts: 1, runs: [] });
    else held.doubts++;
  }

  /** Ends a hold: tells of what was found stored, then, after the last one, of what was committed meanwhile. */
  release(subject: Subject, found: { readonly first: Sequence; readonly last: Sequence } | undefined): void {
    if (found !== undefined) this.moved(subject, found.first, found.last, !this.#options.shared);
    const held = this.#held.get(subject);
    if (held === undefined || --held.doubts > 0) return;
    this.#held.delete(subject);
    for (const run of held.runs) this.#tell(run);
  }

  /** Messages were deleted. */
  purged(subject: Subject, through: Sequence): void {
    this.tails.purge(subject, through);
  }

  consumerChanged(subject: Subject, name: ConsumerName): void {
    for (const watcher of [...(this.#consumers.get(consumerKey(subject, name)) ?? [])]) watcher.changed();
    this.acknowledged(subject);
  }

  consumerDeleted(subject: Subject, name: ConsumerName): void {
    for (const watcher of [...(this.#consumers.get(consumerKey(subject, name)) ?? [])]) watcher.deleted();
    this.acknowledged(subject);
  }

  #tell({ subject, firstSequence, lastSequence, messages }: CommittedRun): void {
    const watchers = this.#watchersOf(subject);
    if (watchers.length === 0) return;
    this.tails.append(subject, firstSequence, messages);
    if (!this.#isStaleArmed && this.tails.hasMortal(subject)) this.#armStale(staleMs.min);
    for (const watcher of watchers) watcher.moved(subject, firstSequence, lastSequence, !this.#options.shared);
  }

  #armStale(ms: number): void {
    this.#isStaleArmed = true;
    this.#options.timers.after(ms, () => {
      this.#isStaleArmed = false;
      const nextMs = this.tails.dropStale();
      if (nextMs < Number.POSITIVE_INFINITY) this.#armStale(Math.max(staleMs.min, Math.min(nextMs, staleMs.max)));
    });
  }

  #watchersOf(subject: Subject): readonly Watcher[] {
    const exact = this.#exact.get(subject);
    // A copy: a watcher may stop watching when it is told.
    const watchers = exact === undefined ? [] : [...exact];
    this.#wildcards.match(subject, (watcher) => watchers.push(watcher));
    return watchers;
  }
}

// A subject cannot hold a line feed, so the key is unambiguous.
const consumerKey = (subject: Subject, name: ConsumerName): string => `${subject}\n${name}`;

const addTo = <K, V>(sets: Map<K, Set<V>>, key: K, value: V): (() => void) => {
  let set = sets.get(key);
  if (set === undefined) {
    set = new Set();
    sets.set(key, set);
  }
  set.add(value);
  return () => {
    const current = sets.get(key);
    if (current?.delete(value) === true && current.size === 0) sets.delete(key);
  };
};
