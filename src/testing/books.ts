/**
 * Upkeep over the stores of servers that have stopped, to the very end: nothing is young, nothing lingers, and deleted
 * objects are forgotten at once, because no publish can be under way.
 * @module
 */
import type { Config } from "../config-shape.ts";
import { openStores, type Stores } from "../stores.ts";
import { CompactionMemory } from "../upkeep/compaction.ts";
import { runPass } from "../upkeep/pass.ts";
import { RemovedObjects } from "../upkeep/removed.ts";

/** What is left when everything was deleted that may be. */
export interface ClosedBooks {
  /** Objects that are noted for their deletion. */
  readonly dead: number;
  /** Objects into which nothing points. */
  readonly lonely: readonly string[];
}

/** Longer than the leases of a server that died, and than the addresses that tests use. */
const closeMsMax = 30_000;
const againMs = 50;
/** Objects asked about at a time. */
const askedMax = 1000;

/** Does it over and over until nothing is left, or half a minute is over. */
export const closeBooks = async ({ metadata, bodies }: Stores): Promise<ClosedBooks> => {
  const untilMs = performance.now() + closeMsMax;
  for (;;) {
    await runPass(
      { metadata, bodies },
      {
        ...{ graceMs: 0, orphans: true, clock: Date.now, rest: () => Promise.resolve() },
        removed: new RemovedObjects(0, () => performance.now()),
        compaction: { aliveShareMax: 0, tinyBytes: 0, pointerLifetimeMs: 0, memory: new CompactionMemory() },
      },
    );
    const dead = await metadata.countDead();
    const lonely = await lonelyOf({ metadata, bodies });
    if (dead + lonely.length === 0 || performance.now() > untilMs) return { dead, lonely };
    await Bun.sleep(againMs);
  }
};

/** Opens the stores that a configuration names, for as long as the work takes. */
export const withStoresOf = async <T>(config: Config, work: (stores: Stores) => Promise<T>): Promise<T> => {
  const stores = await openStores(config);
  try {
    return await work(stores);
  } finally {
    await Promise.allSettled([stores.metadata.close(), stores.bodies.close()]);
  }
};

const lonelyOf = async ({ metadata, bodies }: Stores): Promise<readonly string[]> => {
  const lonely: string[] = [];
  for await (const page of bodies.list()) {
    for (let at = 0; at < page.length; at += askedMax) {
      const objects = page.slice(at, at + askedMax).map(({ object }) => object);
      const referenced = await metadata.referenced(objects);
      lonely.push(...objects.filter((_, index) => referenced[index] === false));
    }
  }
  return lonely;
};
