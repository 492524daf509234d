/**
 * Which rows of application actors were written, in memory: a bounded ring. An entry is made while the transaction runs,
 * so that the log may name more than was changed in the end, and never less: nobody reads in between.
 * @module
 */
import type { RowsMark } from "../contract.ts";
import type { StoredActor } from "./actor-tables.ts";

/** Writes that are remembered. */
const rememberedMax = 16_384;

interface Entry {
  readonly actorId: number;
  readonly generation: number;
  readonly key: string;
}

/** One life of the store. */
export class RowLog {
  /** Marks of another life are unknown in this one. */
  readonly #life = crypto.randomUUID();
  readonly #ring: Entry[] = [];
  #newest = 0;

  /** A row is being written or removed. */
  note({ id: actorId, generation }: StoredActor, key: string): void {
    this.#ring[this.#newest % rememberedMax] = { actorId, generation, key };
    this.#newest++;
  }

  /** Now. @param actor null: not known */
  mark(actor: StoredActor | null): RowsMark {
    return `${this.#prefix(actor)}${this.#newest}` as RowsMark;
  }

  /** Keys of the rows that were written since a mark; undefined when that is not known, or they are more than `limit`. */
  since(actor: StoredActor | null, mark: RowsMark, limit: number): ReadonlySet<string> | undefined {
    const prefix = this.#prefix(actor);
    if (!mark.startsWith(prefix)) return undefined;
    const version = Number.parseInt(mark.slice(prefix.length), 10);
    const isRemembered = version >= this.#newest - rememberedMax && version <= this.#newest;
    if (!isRemembered) return undefined;
    const keys = new Set<string>();
    for (let at = version; at < this.#newest; at++) {
      const entry = this.#ring[at % rememberedMax];
      if (entry?.actorId === actor?.id && entry?.generation === actor?.generation && entry !== undefined) {
        keys.add(entry.key);
        if (keys.size > limit) return undefined;
      }
    }
    return keys;
  }

  #prefix(actor: StoredActor | null): string {
    return `${this.#life}:${actor?.id ?? 0}:${actor?.generation ?? 0}:`;
  }
}
