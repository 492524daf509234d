/**
 * What a fuzz run counts, and how it fails.
 * @module
 */

/** Counts by name. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** `name count`, the most frequent first. */
  lines(): readonly string[] {
    return [...this.#counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => `${name} ${count}`);
  }
}

/** A violated promise: what it was, and what was sent last. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
}

/** What one run counted. */
export class Figures {
  /** Frames and requests that reached the server. */
  sent = 0;
  /** Answers by op, or by `error CODE`. */
  readonly answers = new Tally();
  /** Ends of connections, by close code or by what is known of them. */
  readonly closes = new Tally();
  /** HTTP answers by status, with the code of a problem. */
  readonly statuses = new Tally();
  /** Rounds of the canary. */
  canaryRounds = 0;
  /** The longest round of the canary, in milliseconds. */
  canaryMsMax = 0;
  #failure: FuzzFailure | undefined;

  /** The first violation. */
  get failure(): FuzzFailure | undefined {
    return this.#failure;
  }

  /** Remembers the first violation; the lanes end when they see it. */
  fail(what: string): void {
    this.#failure ??= new FuzzFailure(what);
  }
}
