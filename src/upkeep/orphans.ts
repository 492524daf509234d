/**
 * Objects of the body store that no message points into: what failed publishes leave. Objects that wait for their
 * deletion already come too, because the stores do not tell one from the other before they are condemned.
 * @module
 */
import type { BodyStore, StoredObject } from "../bodies/contract.ts";
import type { MetadataStore } from "../metadata/contract.ts";

/** Objects asked about at a time. */
const askedMax = 1000;

/** What is looked at. */
export interface OrphanStores {
  readonly metadata: Pick<MetadataStore, "referenced">;
  readonly bodies: Pick<BodyStore, "list">;
}

/**
 * Pages of objects that belong to no message; an empty page says only that something was looked at.
 * @param modifiedUntilMs objects written after this, Unix milliseconds, may still be waiting for their messages
 */
export async function* findOrphans(
  { metadata, bodies }: OrphanStores,
  modifiedUntilMs: number,
): AsyncGenerator<readonly StoredObject[], void> {
  let asked: StoredObject[] = [];
  const ask = async (): Promise<readonly StoredObject[]> => {
    const referenced = await metadata.referenced(asked.map(({ object }) => object));
    const orphans = asked.filter((_, index) => referenced[index] === false);
    asked = [];
    return orphans;
  };
  for await (const page of bodies.list()) {
    for (const object of page) {
      if (object.modifiedAtMs <= modifiedUntilMs) asked.push(object);
      if (asked.length === askedMax) yield await ask();
    }
  }
  if (asked.length > 0) yield await ask();
}
