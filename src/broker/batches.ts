/**
 * Deliveries in batches that a sink takes.
 * @module
 */
import type { Delivery } from "./contract.ts";

/** What a pointer takes beside its address and checksum, roughly. */
const pointerBytes = 512;

const bytesOf = ({ body, pointer }: Delivery): number =>
  pointer === undefined ? body.length : pointer.url.length + pointerBytes;

/** The same messages in batches of at most `bytesMax`; a single larger message is one alone. */
export function* batchesOf(messages: readonly Delivery[], bytesMax: number): Generator<readonly Delivery[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, message] of messages.entries()) {
    const own = bytesOf(message);
    if (index > start && bytes + own > bytesMax) {
      yield messages.slice(start, index);
      start = index;
      bytes = 0;
    }
    bytes += own;
  }
  if (start < messages.length) yield start === 0 ? messages : messages.slice(start);
}
