/**
 * Buffers for what is sent, used again and again: fresh memory of this size costs more than filling it, because the
 * system hands it out page by page (1 MiB of body: 0.9 ms in place of 0.3).
 * @module
 */

/** Most large bodies and segments fit into this. */
const smallBytes = 1024 * 1024;
/** Kept while unused: 16 MiB of small ones, and with parts of 8 MiB 48 MiB of large ones. */
const smallKeptMax = 16;
const largeKeptMax = 6;

/** Hands out buffers of two sizes; their content is whatever was in them before. */
export class Buffers {
  readonly #largeBytes: number;
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];

  constructor(largeBytes: number) {
    this.#largeBytes = largeBytes;
  }

  /** A buffer with room for so many bytes. */
  take(bytesMin: number): Uint8Array {
    if (bytesMin <= smallBytes) return this.#small.pop() ?? uninitialized(smallBytes);
    if (bytesMin <= this.#largeBytes) return this.#large.pop() ?? uninitialized(this.#largeBytes);
    return uninitialized(bytesMin);
  }

  /** Takes one back that nobody reads any more; `fetch` has made a copy of it when it returns. */
  giveBack(buffer: Uint8Array): void {
    if (buffer.length === smallBytes && this.#small.length < smallKeptMax) this.#small.push(buffer);
    if (buffer.length === this.#largeBytes && this.#large.length < largeKeptMax) this.#large.push(buffer);
  }
}

/** Not zeroed; and not a `Buffer`, whose `slice` behaves otherwise. */
const uninitialized = (bytes: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer, 0, bytes);
