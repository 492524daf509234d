/**
 * What the cases of actors share.
 * @module
 */
import type { ActorCommit, ActorCommitOutcome, ActorName, ActorRecord, MetadataStore } from "../contract.ts";
import { nameOf } from "./kit.ts";

/** An actor that most cases use. */
export const counter: ActorName = nameOf("counter");
/** Another one. */
export const watcher: ActorName = nameOf("watcher");

/** How long a lease holds in the cases. */
export const leaseMs = 6000;

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** As text; null stays null. */
export const textOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : new TextDecoder().decode(bytes);

/** Claims an actor, which must be free. */
export const claim = async (store: MetadataStore, name = counter, owner = "node-1"): Promise<ActorRecord> => {
  const claimed = await store.actors.claim(name, owner, leaseMs);
  if (claimed.status !== "claimed") throw new Error(`The actor is held by ${claimed.owner}.`);
  return claimed.record;
};

/** What a step changes; nothing unless told otherwise. */
export type StepOptions = Partial<Omit<ActorCommit, "name" | "fence" | "revision">>;

/** One step after a record. */
export const stepOf = ({ name, fence, revision }: ActorRecord, options: StepOptions = {}): ActorCommit => ({
  name,
  fence,
  revision,
  positions: [],
  rows: [],
  publishes: [],
  leaseMs,
  ...options,
});

/** Commits one step after a record. */
export const step = (
  store: MetadataStore,
  record: ActorRecord,
  options: StepOptions = {},
): Promise<ActorCommitOutcome> => store.actors.commit(stepOf(record, options));

/** The record of an actor, which must be there. */
export const recordOf = async (store: MetadataStore, name = counter): Promise<ActorRecord> => {
  const record = await store.actors.get(name);
  if (record === null) throw new Error("The actor is not there.");
  return record;
};

/** Commits a step after the record of now, which must go well; answers the record after it. */
export const stepOn = async (store: MetadataStore, options: StepOptions = {}, name = counter): Promise<ActorRecord> => {
  const { status } = await step(store, await recordOf(store, name), options);
  if (status !== "committed") throw new Error(`The step is ${status}.`);
  return recordOf(store, name);
};

/** Rows of an actor as `[key, text]`. */
export const rowsIn = async (
  store: MetadataStore,
  range: { readonly from?: string; readonly to?: string; readonly limit?: number } = {},
  name = counter,
): Promise<readonly (readonly [string, string | null])[]> => {
  const rows = await store.actors.range(name, { from: "", limit: 10_000, ...range });
  return rows.map(({ key, value }) => [key, textOf(value)]);
};

/** Positions of an actor as `[subject, through, effectsThrough]`. */
export const positionsIn = async (
  store: MetadataStore,
  name = counter,
  after?: string,
  limit = 100,
): Promise<readonly (readonly [string, number, number])[]> => {
  const positions = await store.actors.positions(name, after, limit);
  return positions.map(({ subject, through, effectsThrough }) => [subject, through, effectsThrough]);
};
