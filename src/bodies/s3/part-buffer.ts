/**
 * Gathers chunks into one part.
 * @module
 */
import type { Buffers } from "./buffers.ts";

/** Starts small, so that a body of 300 KB does not take the memory of a whole part. */
export class PartBuffer {
  readonly #buffers: Buffers;
  readonly #bytesMax: number;
  #buffer: Uint8Array | undefined;
  #length = 0;

  constructor(buffers: Buffers, bytesMax: number) {
    this.#buffers = buffers;
    this.#bytesMax = bytesMax;
  }

  get isFull(): boolean {
    return this.#length === this.#bytesMax;
  }

  /** What was gathered; not a copy. */
  get bytes(): Uint8Array {
    return this.#buffer?.subarray(0, this.#length) ?? new Uint8Array(0);
  }

  /** Copies as much of the chunk as there is room for; answers how much that was. */
  add(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#bytesMax - this.#length);
    this.#withRoomFor(this.#length + taken).set(chunk.subarray(0, taken), this.#length);
    this.#length += taken;
    return taken;
  }

  /** Lets the memory be used again; what was gathered is gone. */
  giveBack(): void {
    if (this.#buffer !== undefined) this.#buffers.giveBack(this.#buffer);
    this.#buffer = undefined;
  }

  #withRoomFor(bytes: number): Uint8Array {
    const before = this.#buffer;
    if (before !== undefined && bytes <= before.length) return before;
    const buffer = this.#buffers.take(bytes);
    buffer.set(this.bytes);
    this.giveBack();
    this.#buffer = buffer;
    return buffer;
  }
}
