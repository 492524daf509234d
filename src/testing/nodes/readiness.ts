/**
 * `/readyz` as an operator sees it.
 * @module
 */
import type { ClusterNode } from "./cluster.ts";

/** Names of dependencies and whether they are ready, with the status of the answer. */
export interface Readiness {
  readonly status: number;
  readonly ready: Readonly<Record<string, boolean>>;
}
