/**
 * How long things took, as plain numbers: cheap enough for what happens a hundred thousand times a second. Bounds are
 * powers of two (or of four), so that the place of a duration needs no search.
 * @module
 */

/** The first bound is a sixteenth of a millisecond: then every bound is exact in seconds, too. */
const unitsPerMs = 16;
/** The last bound is 2^18 units: 16.384 s. */
const exponentMax = 18;

/** Counts durations by their length. */
export class Durations {
  /** Upper bounds of the buckets in milliseconds, inclusive; what is longer is in none. */
  readonly boundsMs: readonly number[];
  /** How many fell into each bucket, and at the end into none. */
  readonly counts: Float64Array;
  /** All of them together. */
  sumMs = 0;
  readonly #step: 1 | 2;

  /** @param step 1: each bound is twice the one before; 2: four times */
  constructor(step: 1 | 2) {
    this.#step = step;
    const bounds = exponentMax / step + 1;
    this.boundsMs = Array.from({ length: bounds }, (_, index) => 2 ** (index * step) / unitsPerMs);
    this.counts = new Float64Array(bounds + 1);
  }

  /** Counts one. */
  add(ms: number): void {
    const units = Math.ceil(ms * unitsPerMs);
    // The smallest e with units <= 2^e.
    const exponent = units <= 1 ? 0 : units > 2 ** exponentMax ? exponentMax + 1 : 32 - Math.clz32(units - 1);
    const index = this.#step === 1 ? exponent : (exponent + 1) >> 1;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sumMs += ms;
  }

  /** How many there were. */
  get count(): number {
    return this.counts.reduce((sum, each) => sum + each, 0);
  }
}
