/**
 * How much goes into one step, so that none takes longer than others may be held up: found out by how long the steps
 * before took.
 * @module
 */

/** How much goes into a step at least and at most. */
export interface StepBounds {
  readonly min: number;
  readonly max: number;
}

/** Bounds and time of a step. */
export interface StepSizeOptions extends StepBounds {
  /** How long a step may take now, in milliseconds. */
  readonly stepMs: () => number;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
}

/** A step grows no faster than this: one that was quick by chance says little. */
const growthMax = 2;

/** See the module. */
export class StepSize {
  readonly #options: StepSizeOptions;
  /** How long one of a step took lately, in milliseconds. */
  #eachMs: number | undefined;
  #last: number;

  constructor(options: StepSizeOptions) {
    this.#options = options;
    this.#last = options.min;
  }

  /** How much the next step takes. */
  get size(): number {
    const { min, max, stepMs } = this.#options;
    if (this.#eachMs === undefined) return min;
    const wanted = Math.floor(stepMs() / this.#eachMs);
    return Math.max(min, Math.min(max, wanted, this.#last * growthMax));
  }

  /** Takes a step of so many, and learns from it when it goes well. */
  async measure<T>(count: number, step: () => Promise<T>): Promise<T> {
    const startMs = this.#options.elapsedMs();
    const done = await step();
    // A small one tells more of the way there than of what is done for each.
    if (count >= this.#options.min) {
      this.#eachMs = Math.max(0.001, (this.#options.elapsedMs() - startMs) / count);
      this.#last = count;
    }
    return done;
  }
}
