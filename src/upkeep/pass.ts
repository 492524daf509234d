/**
 * One pass of upkeep, in steps that may end at any moment without harm: rows go before objects, and an object is
 * forgotten only when it is gone and nobody can point into it any more. Whatever a pass that died has left, the next
 * one finds where it was.
 * @module
 */
import type { BodyStore } from "../bodies/contract.ts";
import type { DeadObject, MetadataStore } from "../metadata/contract.ts";
import {
  type CompactionChoice,
  type CompactionMemory,
  type CompactionStores,
  compact,
  type DamagedBody,
} from "./compaction.ts";
import { noFigures, type SweepFigures } from "./figures.ts";
import { findOrphans } from "./orphans.ts";
import type { RemovedObjects } from "./removed.ts";
import type { StepSize } from "./step-size.ts";

/** Subjects looked at in one transaction: short enough that publishes hardly notice. */
const subjectsMax = 256;
/** Objects deleted, or forgotten, at a time where nobody says otherwise. */
const objectsMax = 500;
/** Deletions, one after the other, of what is handed out together. */
const stepsTaken = 8;
/** Sizes asked for at once, where the metadata store does not tell them. */
const sizesMax = 8;
/** Bounds of the time that a node has for the objects it was handed; twice handed out does no harm. */
const leaseMs = { min: 1000, max: 60_000 } as const;

/** What upkeep asks of the stores. */
export interface SweepStores {
  readonly metadata: Pick<MetadataStore, "expire" | "takeDead" | "holdDead" | "forgetDead" | "condemn" | "referenced"> &
    CompactionStores["metadata"];
  readonly bodies: Pick<BodyStore, "list" | "remove" | "size"> & CompactionStores["bodies"];
}

/** How a pass goes. */
export interface PassOptions {
  /**
   * How long nothing has pointed into an object before it is deleted, in milliseconds. When it is longer than publishes
   * take, none has to be written again; shorter is safe, too.
   */
  readonly graceMs: number;
  /** What this process has deleted before and not forgotten. */
  readonly removed: RemovedObjects;
  /** Also look through the whole body store for objects that nobody knows of. */
  readonly orphans: boolean;
  /** Which objects are rewritten; left out: none. */
  readonly compaction?: (CompactionChoice & { readonly memory: CompactionMemory }) | undefined;
  /** How long rewriting may take, in milliseconds: what expires meanwhile waits. Left out: until all is done. */
  readonly compactionMsMax?: number | undefined;
  readonly onDamaged?: ((body: DamagedBody) => void) | undefined;
  /** See `CompactionOptions`. */
  readonly copying?: StepSize | undefined;
  /** How many objects are deleted at a time; left out: some hundreds. */
  readonly deletion?: StepSize | undefined;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Called between the steps; what is waited for here is what makes a pass gentle. */
  readonly rest: () => Promise<void>;
  /** Called before whatever keeps others waiting for a moment, to let them go first. */
  readonly turn?: (() => Promise<void>) | undefined;
  /** Ends the pass between two steps. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((figures: SweepFigures) => void) | undefined;
}

/** @throws StreamError whatever a store refuses with; what was done before is done */
export const runPass = async (stores: SweepStores, options: PassOptions): Promise<SweepFigures> => {
  const pass = new Pass(stores, options);
  await pass.expire();
  // Before the objects are deleted, so that old orphans need not wait for another pass when the grace is short.
  if (options.orphans) await pass.condemnOrphans();
  await pass.deleteDead();
  await pass.compact();
  await pass.deleteDead();
  await pass.forgetRemoved();
  return pass.figures;
};

class Pass {
  figures: SweepFigures = noFigures;
  readonly #stores: SweepStores;
  readonly #options: PassOptions;

  constructor(stores: SweepStores, options: PassOptions) {
    this.#stores = stores;
    this.#options = options;
  }

  async expire(): Promise<void> {
    let after: string | undefined;
    while (!this.#isOver()) {
      const { expired, next } = await this.#stores.metadata.expire(after, subjectsMax);
      await this.#did({ expired: this.figures.expired + expired });
      if (next === undefined) return;
      after = next;
    }
  }

  async condemnOrphans(): Promise<void> {
    if (this.#isOver()) return;
    const modifiedUntilMs = this.#options.clock() - this.#options.graceMs;
    for await (const page of findOrphans(this.#stores, modifiedUntilMs)) {
      const orphans = page.length === 0 ? 0 : await this.#stores.metadata.condemn(page.map(({ object }) => object));
      // Which of them were dead already is not told, so the bytes are counted in proportion.
      const bytes = page.reduce((sum, object) => sum + object.bytes, 0);
      const orphanBytes = orphans === 0 ? 0 : Math.round((bytes * orphans) / page.length);
      await this.#did({
        orphans: this.figures.orphans + orphans,
        orphanBytes: this.figures.orphanBytes + orphanBytes,
      });
      if (this.#isOver()) return;
    }
  }

  async compact(): Promise<void> {
    const {
      compaction,
      compactionMsMax = Number.POSITIVE_INFINITY,
      graceMs,
      clock,
      copying,
      onDamaged,
      turn,
      signal,
    } = this.#options;
    if (compaction === undefined || this.#isOver()) return;
    const startMs = clock();
    await compact(this.#stores, compaction.memory, {
      ...compaction,
      // A publish that has written into an object may not have committed yet. What comes of age from now on is for the
      // next pass: else a publisher of tiny messages would keep this one from ever ending.
      minAgeMs: () => graceMs + Math.max(0, clock() - startMs),
      signal,
      turn,
      copying,
      isOver: () => clock() - startMs >= compactionMsMax,
      onDamaged,
      onStep: async ({ rewritten, moved, movedBytes, damaged }) => {
        await this.#did({
          rewritten: this.figures.rewritten + rewritten,
          moved: this.figures.moved + moved,
          movedBytes: this.figures.movedBytes + movedBytes,
          damaged: this.figures.damaged + damaged,
        });
        // What came of age meanwhile does not wait for the end of this.
        await this.deleteDead();
      },
    });
  }

  async deleteDead(): Promise<void> {
    const { graceMs, removed } = this.#options;
    const lease = Math.min(leaseMs.max, Math.max(leaseMs.min, graceMs));
    while (!this.#isOver()) {
      const limit = Math.min(objectsMax, (this.#options.deletion?.size ?? objectsMax) * stepsTaken);
      const taken = await this.#stores.metadata.takeDead({ limit, minAgeMs: graceMs, leaseMs: lease });
      if (taken.length === 0) return;
      // What is not forgotten comes again.
      const standing = taken.filter(({ object }) => !removed.has(object));
      for (let first = 0; first < standing.length && !this.#isOver(); ) {
        const some = standing.slice(first, first + (this.#options.deletion?.size ?? objectsMax));
        await this.#removeSome(some);
        first += some.length;
      }
      const held = taken.flatMap(({ object }) => (removed.has(object) ? [object] : []));
      if (removed.holdMs !== undefined && held.length > 0) await this.#stores.metadata.holdDead(held, removed.holdMs);
      await this.#did({});
      if (taken.length < limit) return;
    }
  }

  /** Deletes objects; those that are gone are among the removed then. */
  async #removeSome(objects: readonly DeadObject[]): Promise<void> {
    const sizes = await this.#sizesOf(objects);
    const left = new Set(await this.#remove(objects.map(({ object }) => object)));
    const gone = objects.flatMap(({ object }) => (left.has(object) ? [] : [object]));
    this.#options.removed.add(gone);
    await this.#did({
      // What another round had deleted before it died, or before it forgot, is not counted again.
      objects: this.figures.objects + gone.filter((object) => sizes.get(object) !== null).length,
      bytes: this.figures.bytes + gone.reduce((sum, object) => sum + (sizes.get(object) ?? 0), 0),
      left: this.figures.left + left.size,
    });
  }

  async forgetRemoved(): Promise<void> {
    while (!this.#isOver()) {
      const due = this.#options.removed.due(objectsMax);
      if (due.length === 0) return;
      await this.#stores.metadata.forgetDead(due);
      this.#options.removed.drop(due);
      await this.#did({});
    }
  }

  async #remove(objects: readonly string[]): Promise<readonly string[]> {
    const remove = (): Promise<readonly string[]> => this.#stores.bodies.remove(objects);
    const { deletion } = this.#options;
    return deletion === undefined ? remove() : deletion.measure(objects.length, remove);
  }

  /**
   * Bytes of the objects, null where there is none; asked of the body store where they are not known. A figure only, so
   * that one that cannot be found out is no reason to stop.
   */
  async #sizesOf(objects: readonly DeadObject[]): Promise<ReadonlyMap<string, number | null>> {
    const sizes = new Map<string, number | null>();
    for (const { object, bytes } of objects) if (bytes !== undefined) sizes.set(object, bytes);
    const waiting = objects.filter(({ bytes }) => bytes === undefined).values();
    let isAnswered = true;
    const work = async (): Promise<void> => {
      for (const { object } of waiting) {
        if (!isAnswered) return;
        try {
          sizes.set(object, await this.#stores.bodies.size(object));
        } catch {
          isAnswered = false;
        }
      }
    };
    await Promise.all(Array.from({ length: sizesMax }, work));
    return sizes;
  }

  #isOver(): boolean {
    return this.#options.signal?.aborted === true;
  }

  async #did(done: Partial<SweepFigures>): Promise<void> {
    this.figures = { ...this.figures, ...done };
    this.#options.onProgress?.(this.figures);
    if (!this.#isOver()) await this.#options.rest();
  }
}
