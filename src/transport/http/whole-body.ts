/**
 * Bodies on their way out, in one piece: Bun 1.4 sends every stream chunked and drops its Content-Length, which clients
 * are promised. The budget bounds how much of this is in memory.
 * @module
 */
import { assert } from "../../core/errors.ts";
import { largeBodyBytesMin } from "../../core/limits.ts";

/** A body whose length is known. */
export const wholeBody = async (body: Uint8Array | AsyncIterable<Uint8Array>, length: number): Promise<Uint8Array> => {
  if (body instanceof Uint8Array) return body;
  const whole = new Uint8Array(length);
  let offset = 0;
  for await (const chunk of body) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  assert(offset === length, "a body has the length of its envelope");
  return whole;
};

/**
 * A body whose length shows only at its end.
 * @param makeRoom waits for room as soon as it turns out to be large
 */
export const gatheredBody = async (
  body: AsyncIterable<Uint8Array>,
  makeRoom: () => Promise<void>,
): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let isRoomy = false;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (isRoomy || bytes < largeBodyBytesMin) continue;
    await makeRoom();
    isRoomy = true;
  }
  return Buffer.concat(chunks, bytes);
};

/** How many bytes a body has whose length shows only at its end. */
export const countedBytes = async (body: AsyncIterable<Uint8Array>): Promise<number> => {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.length;
  return bytes;
};
