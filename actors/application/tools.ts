/**
 * What an actor is run with: the stores, the broker, the lease, and time; all of it comes in from outside.
 * @module
 */
import type { BodyStore } from "../../src/bodies/contract.ts";
import type { Broker } from "../../src/broker/contract.ts";
import type { ActorStore } from "../../src/metadata/contract.ts";
import type { Timers } from "../actor.ts";
import type { ActorLog } from "../define.ts";

/** What an actor is run with. */
export interface ActorTools {
  readonly store: ActorStore;
  readonly bodies: BodyStore;
  readonly broker: Pick<Broker, "read" | "subscribe" | "subjects" | "bodyBytesMax">;
  /** Who claims. */
  readonly owner: string;
  readonly leaseMs: number;
  readonly timers: Timers;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
  readonly log: ActorLog;
}
