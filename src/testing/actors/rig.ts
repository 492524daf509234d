/**
 * A broker with actors over SQLite and files in this process, with a clock that stands still until it is moved.
 * @module
 */
import type { ActorDefinition, ActorLog } from "../../../actors/define.ts";
import type { ActorStatus } from "../../broker/contract.ts";
import type { ConsumerName } from "../../core/subject.ts";
import { parseConsumerName } from "../../core/subject.ts";
import type { MetadataStore } from "../../metadata/contract.ts";
import { type BrokerRig, startBrokerRig } from "../broker-rig.ts";

/** What an actor wrote into the log. */
export interface LoggedEvent {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A broker that runs actors. */
export interface ActorRig extends BrokerRig {
  readonly logged: readonly LoggedEvent[];
  /** Moves the clock until a status of the actor is as wanted. */
  until(name: string, isWanted: (status: ActorStatus) => boolean): Promise<ActorStatus>;
  /** Moves the clock until the actor has worked off everything. */
  caughtUp(name: string): Promise<ActorStatus>;
}

/** Starts one; dispose of it. */
export const startActorRig = async (
  definitions: readonly ActorDefinition[],
  wrapMetadata?: (metadata: MetadataStore) => MetadataStore,
): Promise<ActorRig> => {
  const logged: LoggedEvent[] = [];
  const add = (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    logged.push({ event, fields });
  };
  const log: ActorLog = { info: add, warn: add };
  const rig = await startBrokerRig({
    actors: { definitions, node: "here", log },
    ...(wrapMetadata === undefined ? {} : { wrapMetadata }),
  });
  const until = async (raw: string, isWanted: (status: ActorStatus) => boolean): Promise<ActorStatus> => {
    const name: ConsumerName = parseConsumerName(raw);
    for (;;) {
      const status = await rig.broker.actor(name);
      if (isWanted(status)) return status;
      // What is under way goes on; what waits for the clock has its way.
      await new Promise((resolve) => setTimeout(resolve, 1));
      rig.clock.advance(10);
    }
  };
  return {
    ...rig,
    logged,
    until,
    caughtUp: (name) => until(name, ({ lag, status }) => lag === 0 && status === "running"),
    [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose](),
  };
};
