/**
 * `/readyz` as an operator sees it.
 * @module
 */
import { WireMap } from "../wire.ts";
import type { ClusterNode } from "./cluster.ts";

/** The answer. */
export interface Readiness {
  readonly status: number;
  /** Whether each dependency is ready, by its name. */
  readonly ready: Readonly<Record<string, boolean>>;
}

/** Asks once. */
export const readiness = async (node: ClusterNode): Promise<Readiness> => {
  const response = await fetch(`${node.url}/readyz`);
  const dependencies = new WireMap(await response.json(), "readyz").fields["dependencies"];
  const entries = Object.entries(new WireMap(dependencies, "dependencies").fields);
  const ready = entries.map(([name, raw]) => [name, new WireMap(raw, name).boolean("ready")] as const);
  return { status: response.status, ready: Object.fromEntries(ready) };
};

/** Asks until the answer is this one; the probe itself waits for the dependency, so this is no tight loop for long. */
export const untilReadiness = async (node: ClusterNode, expected: Readiness): Promise<void> => {
  while (!Bun.deepEquals(await readiness(node), expected)) await Bun.sleep(20);
};
