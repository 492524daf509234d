/**
 * How application actors appear in the OpenAPI document.
 * @module
 */
import { sequenceMax } from "../../../core/limits.ts";
import {
  integer,
  type Operation,
  type Parameter,
  problems,
  ref,
  type Schema,
  storeErrors,
  structured,
} from "./operation.ts";

const actorInPath: Parameter = {
  name: "name",
  in: "path",
  required: true,
  description: "The name of the actor, as one percent-encoded segment.",
  schema: ref("ConsumerName"),
  example: "metrics",
};

const count = integer(0, sequenceMax);
const text: Schema = { type: "string" };
const textOrNull: Schema = { type: "string", nullable: true };

const actorFields: Readonly<Record<string, Schema>> = {
  name: text,
  filter: { ...textOrNull, description: "What it is fed; null where this node does not know the actor." },
  status: {
    type: "string",
    enum: ["running", "backing_off", "waiting"],
    description: "`running`: a node owns it. `backing_off`: it failed and waits. `waiting`: no node owns it now.",
  },
  owner: { ...textOrNull, description: "The node that owns it." },
  positions: {
    type: "array",
    maxItems: 1000,
    description: "How far it is, the first 1,000 subjects in byte order.",
    items: { type: "object", required: ["subject", "sequence"], properties: { subject: text, sequence: count } },
  },
  lag: { ...count, description: "Messages that it has not worked off." },
  state: { description: "Its state, of any shape." },
  alarm_at: { ...count, nullable: true, description: "When its alarm rings, Unix milliseconds." },
  restarts: { ...count, description: "Failures so far." },
  last_error: { ...textOrNull, description: "What the last failure said." },
  generation: { ...integer(1, sequenceMax), description: "One more with every rebuild." },
  rebuilding: { type: "boolean", description: "It works off again what it had worked off before it was rebuilt." },
  dead_letter: { ...text, description: "Where messages go that it keeps failing on." },
};

/** The named schemas. */
export const actorSchemas: Readonly<Record<string, Schema>> = {
  Actor: { type: "object", required: Object.keys(actorFields), properties: actorFields },
  ActorList: {
    type: "object",
    required: ["actors"],
    properties: { actors: { type: "array", items: ref("Actor") } },
  },
};

const oneErrors = [...storeErrors, "invalid_consumer", "not_acceptable", "actor_not_found"] as const;

export const listActorsOperation: Operation = {
  operationId: "listActors",
  tags: ["actors"],
  summary: "All application actors",
  description: "Those that any node ever ran, as far as the caller may see all that they are fed.",
  responses: {
    "200": structured("In byte order of their names.", ref("ActorList")),
    ...problems([...storeErrors, "not_acceptable"]),
  },
};

export const getActorOperation: Operation = {
  operationId: "getActor",
  tags: ["actors"],
  summary: "One application actor",
  parameters: [actorInPath],
  responses: { "200": structured("How it stands.", ref("Actor")), ...problems(oneErrors) },
};

export const rebuildActorOperation: Operation = {
  operationId: "rebuildActor",
  tags: ["actors"],
  summary: "Have an application actor begin anew",
  description:
    "Forgets its state and its table and works off all messages again, from the first; what it published before is not " +
    "published again.",
  parameters: [actorInPath],
  responses: { "202": structured("It begins.", ref("Actor")), ...problems(oneErrors) },
};
