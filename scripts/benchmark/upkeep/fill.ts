/**
 * Messages put into stores through their contracts, in the shape that a server gives them: so many bodies in one write,
 * then one commit.
 * @module
 */

import type { DeliverAt } from "../../../src/core/message.ts";
import type { Subject } from "../../../src/core/subject.ts";
import type { Stores } from "../../../src/stores.ts";

/** What is put there. */
export interface FillPlan {
  readonly messages: number;
  /** Of one write and one commit. */
  readonly batch: number;
  /** Batches under way at once. */
  readonly lanes: number;
  readonly subjects: readonly Subject[];
  readonly bodyBytes: number;
  /** Milliseconds to live of the message of this number, asked when it is committed; undefined for ever. */
  readonly ttlMs?: ((index: number) => number | undefined) | undefined;
  readonly deliverAt?: DeliverAt | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

const template = crypto.getRandomValues(new Uint8Array(65_536));

/** The body of the message of this number: no two are the same, and each tells which one it is. */
export const bodyOf = (index: number, bytes: number): Uint8Array => {
  const start = (index * 61) % (template.length - bytes);
  const body = template.slice(start, start + bytes);
  new DataView(body.buffer).setUint32(0, index);
  return body;
};

/** The number in a body. @throws Error when it is not the body of that number */
export const indexOf = (body: Uint8Array): number => {
  const index = new DataView(body.buffer, body.byteOffset).getUint32(0);
  if (Buffer.compare(body, bodyOf(index, body.length)) === 0) return index;
  throw new Error(`the body of message ${index} is not what was written`);
};

/** Fills; answers the names of the objects. */
export const fill = async ({ metadata, bodies }: Stores, plan: FillPlan): Promise<ReadonlySet<string>> => {
  const { messages, batch, lanes, subjects, bodyBytes, ttlMs, deliverAt, onProgress } = plan;
  const objects = new Set<string>();
  let [next, done] = [0, 0];
  const lane = async (): Promise<void> => {
    while (next < messages) {
      const first = next;
      next = Math.min(messages, next + batch);
      const parts = Array.from({ length: next - first }, (_, place) => bodyOf(first + place, bodyBytes));
      const placements = await bodies.writeSegment(parts);
      const outcomes = await metadata.commit(
        placements.map((placement, place) => {
          const [index, body] = [first + place, parts[place] ?? new Uint8Array(0)];
          objects.add(placement.object);
          return {
            subject: subjects[index % subjects.length] ?? raise("there is no subject"),
            headers: {},
            body: { ...placement, length: body.length, sha256: sha256Of(body) },
            ttlMs: ttlMs?.(index),
            deliverAt,
          };
        }),
      );
      const wanted = deliverAt === undefined ? "committed" : "scheduled";
      if (outcomes.some(({ status }) => status !== wanted)) throw new Error("the store refused what was put into it");
      done += parts.length;
      onProgress?.(done);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return objects;
};

const sha256Of = (bytes: Uint8Array): Uint8Array => {
  const digest = new Uint8Array(32);
  Bun.SHA256.hash(bytes, digest);
  return digest;
};

const raise = (message: string): never => {
  throw new Error(message);
};
