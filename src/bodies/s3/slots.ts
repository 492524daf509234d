/**
 * A limit on how much goes on at once.
 * @module
 */

interface Waiting {
  readonly weight: number;
  readonly enter: () => void;
}

/** Lets so much in at a time; the others wait in the order they came. */
export class Slots {
  readonly #size: number;
  #free: number;
  readonly #waiting: Waiting[] = [];

  /** @param size the weight of all that may go on at once */
  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  /** Runs the task when there is room for its weight; one that is heavier than all goes alone. */
  async run<T>(task: () => Promise<T>, taskWeight = 1): Promise<T> {
    const weight = Math.min(taskWeight, this.#size);
    // Nobody overtakes: a heavy one would wait for ever.
    if (this.#waiting.length === 0 && this.#free >= weight) this.#free -= weight;
    else await new Promise<void>((resolve) => this.#waiting.push({ weight, enter: resolve }));
    try {
      return await task();
    } finally {
      this.#free += weight;
      this.#letIn();
    }
  }

  #letIn(): void {
    for (let next = this.#waiting[0]; next !== undefined && next.weight <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      // Taken on behalf of the one who enters: nobody may slip in between.
      this.#free -= next.weight;
      next.enter();
    }
  }
}
