/**
 * What the cases of body stores share: bytes to store, ways to store them, and what is expected of the answers.
 * @module
 */
import { expect } from "bun:test";
import { StreamError } from "../../core/errors.ts";
import type { BodyRef } from "../../core/message.ts";
import { type BodyFault, type BodyStore, isBodyFault, type Placement, type WriteKind } from "../contract.ts";

/** A fresh, empty store. */
export interface BodiesUnderTest {
  readonly store: BodyStore;
  /** Another store on the same bytes, as a new process would open it; the earlier one may be open or closed. */
  reopen(): Promise<BodyStore>;
  /** Sends a request to a signed address whose name no name server knows; `fetch` when left out. */
  send?(url: string, init: BunFetchRequestInit): Promise<Response>;
  /** Closes every store and removes the bytes. */
  dispose(): Promise<void>;
}

export const MiB = 1024 * 1024;
const largestChunkBytes = MiB;

/** Bytes that differ from offset to offset and from seed to seed, so that a shifted read shows. */
export const patternBytes = (lengthBytes: number, seed: number): Uint8Array => {
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  let state = (seed + 1) * 2654435761;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, lengthBytes);
};

/** SHA-256, 32 bytes. */
export const sha256Of = (bytes: Uint8Array): Uint8Array => new Uint8Array(Bun.SHA256.hash(bytes).buffer);

/** The ref of a body that was written. */
export const refOf = (body: Uint8Array, placement: Placement | undefined): BodyRef => {
  if (placement === undefined) throw new Error("The store answered with fewer placements than bodies.");
  return { ...placement, length: body.length, sha256: sha256Of(body) };
};

/** Writes bodies as one segment write. */
export const writeBodies = async (
  store: BodyStore,
  bodies: readonly Uint8Array[],
  kind?: WriteKind,
): Promise<BodyRef[]> => {
  const placements = await store.writeSegment(bodies, kind);
  expect(placements).toHaveLength(bodies.length);
  return bodies.map((body, index) => refOf(body, placements[index]));
};

/** Writes one body as an object of its own. */
export const writeLarge = (
  store: BodyStore,
  body: AsyncIterable<Uint8Array> | Uint8Array,
  signal?: AbortSignal,
): Promise<BodyRef> => store.writeObject(body, signal);

/** Bytes that a body takes in its object. */
export const storedBytesOf = ({ length, storedLength }: BodyRef): number => storedLength ?? length;

/** A source of these chunks. */
export async function* chunksOf(chunks: Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

/** Whole bytes of a stream; every chunk is checked against the contract's bound. */
export const collect = async (chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) {
    expect(chunk.length).toBeLessThanOrEqual(largestChunkBytes);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
};

/** Equal bytes; tells the first difference instead of printing megabytes. */
export const expectBytes = (got: Uint8Array | BodyFault | StreamError | undefined, wanted: Uint8Array): void => {
  if (!(got instanceof Uint8Array)) throw new Error("There are no bytes.", { cause: got });
  if (Buffer.compare(got, wanted) === 0) return;
  const at = wanted.findIndex((byte, index) => got[index] !== byte);
  throw new Error(`The bytes differ: ${got.length} of ${wanted.length} bytes, the first difference at ${at}.`);
};

/** The error that a promise rejects with. */
export const rejectionOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error("It did not reject.");
    },
    (thrown: unknown) => thrown,
  );

/** The code of what was thrown. */
export const codeOf = (thrown: unknown): string =>
  thrown instanceof StreamError ? thrown.code : `not ours: ${String(thrown)}`;

/** Reads all of them and compares. */
export const expectAll = async (
  store: BodyStore,
  refs: readonly BodyRef[],
  bodies: readonly Uint8Array[],
): Promise<void> => {
  const results = await store.read(refs);
  expect(results).toHaveLength(bodies.length);
  for (const [index, body] of bodies.entries()) expectBytes(results[index], body);
};

/** What is wrong with a result, if anything. */
export const faultOf = (result: Uint8Array | BodyFault | undefined): string | undefined =>
  result !== undefined && isBodyFault(result) ? result.fault : undefined;
