/**
 * How fast subjects grow, from looks at their last sequences. Pure.
 * @module
 */

interface Look {
  readonly atMs: number;
  readonly sequence: number;
}

/** Looks that are kept: a minute at one a second. */
const looksMax = 61;
/** The span that the present rate is taken over, in milliseconds. */
const windowMs = 4000;

/** The looks at one subject. */
export class Rate {
  #looks: Look[] = [];

  /** @param atMs from any fixed moment, never going backwards */
  look(sequence: number, atMs: number): void {
    // Another store: what was counted means nothing.
    if (sequence < (this.#looks.at(-1)?.sequence ?? 0)) this.#looks = [];
    this.#looks.push({ atMs, sequence });
    if (this.#looks.length > looksMax) this.#looks.shift();
  }

  /** Messages a second over the last seconds; undefined before there were two looks. */
  perSecond(): number | undefined {
    const last = this.#looks.at(-1);
    if (last === undefined || this.#looks.length < 2) return undefined;
    const first = this.#looks.find(({ atMs }) => atMs >= last.atMs - windowMs) ?? last;
    const start = first === last ? (this.#looks.at(-2) ?? first) : first;
    const seconds = (last.atMs - start.atMs) / 1000;
    return seconds <= 0 ? 0 : (last.sequence - start.sequence) / seconds;
  }

  /** Messages a second between neighbouring looks, the oldest first. */
  history(): readonly number[] {
    return this.#looks.slice(1).map((look, index) => {
      const before = this.#looks[index] ?? look;
      const seconds = (look.atMs - before.atMs) / 1000;
      return seconds <= 0 ? 0 : (look.sequence - before.sequence) / seconds;
    });
  }
}
