/**
 * Gathers chunks into one part.
 * @module
 */

/** The smallest body that is written as an object of its own has about this. */
const firstBytes = 256 * 1024;

/** Grows as it is filled, so that a body of 300 KB does not take the memory of a whole part. */
export class PartBuffer {
  readonly #bytesMax: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isFull(): boolean {
    return this.#length === this.#bytesMax;
  }

  /** What was gathered; not a copy. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Copies as much of the chunk as there is room for; answers how much that was. */
  add(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#bytesMax - this.#length);
    const length = this.#length + taken;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(chunk.subarray(0, taken), this.#length);
    this.#length = length;
    return taken;
  }

  #grow(lengthMin: number): void {
    const larger = Math.min(this.#bytesMax, Math.max(firstBytes, lengthMin, this.#buffer.length * 2));
    // Not zeroed: only what was copied in is ever looked at.
    const buffer = new Uint8Array(Buffer.allocUnsafeSlow(larger).buffer);
    buffer.set(this.bytes);
    this.#buffer = buffer;
  }
}
