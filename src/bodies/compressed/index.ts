/**
 * A body store that packs bodies with Zstandard on their way into another one, and unpacks them on their way out. It is
 * there whether or not new bodies are packed, because earlier ones may be; what lies there as it is passes untouched.
 * @module
 */
import type { BodyStore } from "../contract.ts";
import { DecompressingReader } from "./reader.ts";
import { CompressingWriter } from "./writer.ts";

/** Saved bytes below this part of a body are not worth unpacking it at every read. */
const savingMinDefault = 0.1;

/** How bodies are written. */
export interface CompressionOptions {
  /** Packs new bodies where it pays. */
  readonly compress: boolean;
  /** Part of a body's bytes that has to be saved, else it is stored as it is; 0.1. */
  readonly savingMin?: number;
}

/** The store with compression; closing it closes the one below. */
export const compressed = (store: BodyStore, options: CompressionOptions): BodyStore => {
  const { compress, savingMin = savingMinDefault } = options;
  const reader = new DecompressingReader(store);
  const writer = compress ? new CompressingWriter(store, savingMin) : store;
  return {
    writeSegment: (bodies, kind) => writer.writeSegment(bodies, kind),
    writeObject: (body, signal) => writer.writeObject(body, signal),
    read: (refs) => reader.read(refs),
    stream: (ref, range) => reader.stream(ref, range),
    size: (object) => store.size(object),
    list: () => store.list(),
    remove: (objects) => store.remove(objects),
    ...(store.seal !== undefined && { seal: async (objects) => store.seal?.(objects) }),
    pointer: (ref, validMs) => store.pointer(ref, validMs),
    openUpload: (claim, validMs, parts) => store.openUpload(claim, validMs, parts),
    completeUpload: (claim, key) => store.completeUpload(claim, key),
    takeUpload: (claim, key) => store.takeUpload(claim, key),
    addresses: store.addresses,
    ready: () => store.ready(),
    close: () => store.close(),
  };
};
