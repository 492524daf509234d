/**
 * Objects of the body store that no message points into: what failed publishes and deletions leave until upkeep takes
 * it away. Worth knowing, not wrong.
 * @module
 */
import type { BodyStore, StoredObject } from "../../bodies/contract.ts";
import type { MetadataStore } from "../../metadata/contract.ts";
import { count } from "../format.ts";
import type { Report } from "./problems.ts";

/** Objects asked about at a time. */
const askedMax = 1000;

/** Counts them in the report. @throws StreamError; the signal's reason */
export const countOrphans = async (
  stores: { readonly metadata: MetadataStore; readonly bodies: BodyStore },
  report: Report,
  signal?: AbortSignal,
): Promise<void> => {
  let asked: StoredObject[] = [];
  const ask = async (): Promise<void> => {
    const referenced = await stores.metadata.referenced(asked.map(({ object }) => object));
    for (const [index, { bytes }] of asked.entries()) {
      if (referenced[index] !== false) continue;
      report.orphans++;
      report.orphanBytes += bytes;
    }
    asked = [];
  };
  for await (const page of stores.bodies.list()) {
    signal?.throwIfAborted();
    for (const object of page) {
      asked.push(object);
      if (asked.length === askedMax) await ask();
    }
  }
  if (asked.length > 0) await ask();
  const { orphans, orphanBytes } = report;
  if (orphans > 0) {
    const belong = orphans === 1 ? "belongs" : "belong";
    report.note(
      `${count(orphans, "object")} of the body store (${count(orphanBytes, "byte")}) ${belong} to no message`,
    );
  }
};
