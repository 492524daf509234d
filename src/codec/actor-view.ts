/**
 * An application actor as it leaves the server.
 * @module
 */
import type { ActorStatus } from "../broker/contract.ts";
import type { View } from "./view.ts";

/** With the field names of the contract. */
export const actorView = (actor: ActorStatus): View => ({
  name: actor.name,
  filter: actor.filter,
  status: actor.status,
  owner: actor.owner,
  positions: actor.positions.map(({ subject, sequence }) => ({ subject, sequence })),
  lag: actor.lag,
  state: actor.state,
  alarm_at: actor.alarmAtMs,
  restarts: actor.restarts,
  last_error: actor.lastError,
  generation: actor.generation,
  rebuilding: actor.rebuilding,
  dead_letter: actor.deadLetter,
});
