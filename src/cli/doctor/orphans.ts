/**
 * Objects of the body store that no message points into: noted for deletion, written a moment ago for a message that
 * may still come, or orphans that failed publishes left. Worth knowing, not wrong: upkeep takes them away.
 * @module
 */
import type { StoredObject } from "../../bodies/contract.ts";
import { count } from "../format.ts";
import type { CheckOptions, DoctorStores } from "./check.ts";
import type { Report } from "./problems.ts";

/** Objects asked about at a time. */
const askedMax = 1000;
/** Names that are kept. */
const namesMax = 1000;
/** Names that are printed. */
const printedMax = 20;

/** Counts them in the report. @throws StreamError; the signal's reason */
export const countOrphans = async (
  stores: DoctorStores,
  { report, youngSinceMs, signal }: CheckOptions,
): Promise<void> => {
  const names: string[] = [];
  let asked: StoredObject[] = [];
  const ask = async (): Promise<void> => {
    const referenced = await stores.metadata.referenced(asked.map(({ object }) => object));
    for (const [index, { object, bytes, modifiedAtMs }] of asked.entries()) {
      if (referenced[index] !== false) continue;
      report.orphans++;
      report.orphanBytes += bytes;
      if (modifiedAtMs > youngSinceMs) report.youngObjects++;
      else if (names.length < namesMax) names.push(object);
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
  report.deadObjects = await stores.metadata.countDead();
  const { orphans, youngObjects, deadObjects } = report;
  // The store does not tell which of them it has noted; when there are no more than that, none is an orphan.
  if (orphans - youngObjects > deadObjects) report.orphanNames = names;
  tell(report);
};

const tell = (report: Report): void => {
  const { orphans, orphanBytes, youngObjects, deadObjects, orphanNames } = report;
  if (orphans === 0 && deadObjects === 0) return;
  const belong = orphans === 1 ? "belongs" : "belong";
  report.note(`${count(orphans, "object")} of the body store (${count(orphanBytes, "byte")}) ${belong} to no message`);
  if (youngObjects > 0) report.note(`${count(youngObjects, "object")} of these may still get a message`);
  if (deadObjects > 0)
    report.note(`${count(deadObjects, "object")} noted for deletion by the next sweeps, or deleted a moment ago`);
  if (orphanNames.length === 0) return;
  report.note("the next look for orphans (minitoolstream sweep --orphans) finds those that are not noted, among:");
  for (const name of orphanNames.slice(0, printedMax)) report.note(`  ${name}`);
  if (orphanNames.length > printedMax) report.note(`  and ${orphanNames.length - printedMax} more`);
};
