/**
 * Bodies of what an actor publishes: all of a step in one segment, large ones as objects of their own.
 * @module
 */
import type { BodyStore } from "../../src/bodies/contract.ts";
import { assert } from "../../src/core/errors.ts";
import { largeBodyBytesMin } from "../../src/core/limits.ts";
import type { BodyRef } from "../../src/core/message.ts";
import type { CommitEntry } from "../../src/metadata/contract.ts";
import type { Effect } from "./publish.ts";

const hashOf = (body: Uint8Array): Uint8Array => Bun.SHA256.hash(body, new Uint8Array(32)) as Uint8Array;

/**
 * Writes the bodies and answers what is to be committed.
 * @param apart each body into an object that nobody else writes into: what was written before is being deleted
 * @throws StreamError `storage_full`, `unavailable`
 */
export const writeEffects = async (
  bodies: BodyStore,
  effects: readonly Effect[],
  apart = false,
): Promise<readonly CommitEntry[]> => {
  const isSmall = ({ body }: Effect): boolean => !apart && body.length > 0 && body.length < largeBodyBytesMin;
  const small = effects.filter(isSmall).map(({ body }) => body);
  const placements = small.length === 0 ? [] : await bodies.writeSegment(small);
  const entries: CommitEntry[] = [];
  let next = 0;
  for (const effect of effects) {
    const { subject, headers, body, messageId } = effect;
    let ref: BodyRef;
    if (isSmall(effect)) {
      const placement = placements[next++];
      assert(placement !== undefined, "a segment write places every body");
      ref = { ...placement, length: body.length, sha256: hashOf(body) };
    } else if (body.length === 0) ref = { object: "", offset: 0, length: 0, sha256: hashOf(body) };
    else ref = await bodies.writeObject(body);
    entries.push({ subject, headers, body: ref, messageId });
  }
  return entries;
};
