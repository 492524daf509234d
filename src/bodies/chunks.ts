/**
 * A body that is in memory, for those who take bodies chunk by chunk.
 * @module
 */

const chunkBytes = 1024 * 1024;

/** Views of 1 MiB: what is done with each holds the event loop for a moment only. */
export async function* chunksOf(body: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < body.length; start += chunkBytes) yield body.subarray(start, start + chunkBytes);
}
