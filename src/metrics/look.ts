/**
 * A look at something that costs more than an addition, for a page that may be asked for by many and often: taken when
 * somebody asks, shared, remembered for a while, and never waited for long.
 * @module
 */

/** A look is good for so long, in milliseconds. */
const freshMsMin = 5000;
/** And for so many times of what it took, so that looking takes no more than a twentieth of the time. */
const freshShare = 20;
/** Longest wait for a look; who has waited gets the one before. */
const waitMsMax = 1000;
/** What is older says nothing any more. */
const staleMs = 120_000;

/** See the module. */
export class Look<out T> {
  #found: { readonly value: T; readonly atMs: number; readonly freshUntilMs: number } | undefined;
  #running: Promise<void> | undefined;

  /**
   * @param look takes one; it may fail
   * @param elapsedMs monotonic milliseconds
   */
  constructor(
    private readonly look: () => Promise<T>,
    private readonly elapsedMs: () => number = () => performance.now(),
  ) {}

  /** What was seen last; undefined when nothing was seen, or long ago. */
  get seen(): T | undefined {
    return this.#found === undefined || this.elapsedMs() - this.#found.atMs > staleMs ? undefined : this.#found.value;
  }

  /** Looks when the last look is no longer good; resolves then, or when that takes long. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#found !== undefined && this.elapsedMs() < this.#found.freshUntilMs) return;
    this.#running ??= this.#take().finally(() => {
      this.#running = undefined;
    });
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => resolve(undefined), waitMsMax);
    await Promise.race([this.#running, promise]);
    clearTimeout(timer);
  }

  async #take(): Promise<void> {
    const startedMs = this.elapsedMs();
    try {
      const value = await this.look();
      const atMs = this.elapsedMs();
      this.#found = { value, atMs, freshUntilMs: atMs + Math.max(freshMsMin, (atMs - startedMs) * freshShare) };
    } catch {
      // What does not answer shows elsewhere: in its calls, and in its readiness.
    }
  }
}
