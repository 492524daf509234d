/**
 * Upkeep of a running server: a pass every interval, never two at once, gentle while it runs, rarer while a store fails.
 * Several nodes may do this over the same stores: each object that has to go is handed to one of them at a time.
 * @module
 */
import { type CompactionChoice, CompactionMemory, type DamagedBody } from "./compaction.ts";
import { hasWork, type SweepFigures } from "./figures.ts";
import { runPass, type SweepStores } from "./pass.ts";
import { RemovedObjects } from "./removed.ts";

/** Between two passes that fail, in milliseconds at most, unless the interval is longer. */
const backOffMsMax = 5 * 60_000;
/**
 * For each millisecond of work in a pass so many of rest: upkeep gets a third of the time at most. What others notice is
 * how long one step is, more than how soon the next one comes.
 */
const restShare = 2;
/** A stop does not wait longer than this for a step that is under way; the next start goes on from there. */
const stopMsMax = 1000;

/** What a sweeper is made of. */
export interface SweeperOptions {
  readonly stores: SweepStores;
  /** From the end of one pass to the next, in milliseconds. */
  readonly intervalMs: number;
  /** See `PassOptions`. */
  readonly graceMs: number;
  /** How long a deleted object is remembered, see `lingerMsOf`. */
  readonly lingerMs: number;
  /** Between two looks through the whole body store, in milliseconds. */
  readonly orphansMs: number;
  /** Which objects are rewritten. */
  readonly compaction: CompactionChoice;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
  /** 0 <= random < 1; keeps nodes that started together from working together. */
  readonly random: () => number;
  /** Resolves after so many milliseconds, or when the signal aborts; never rejects. */
  readonly pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Told of every pass that did something. */
  readonly onPass: (figures: SweepFigures, tookMs: number) => void;
  /** Told of every stored body that is not what was written, once. */
  readonly onDamaged: (body: DamagedBody) => void;
  /** Told of every pass that failed; it is tried again. */
  readonly onFailure: (error: unknown) => void;
}

/** See the module. */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #stopping = new AbortController();
  readonly #removed: RemovedObjects;
  readonly #memory = new CompactionMemory();
  #running: Promise<void> | undefined;
  #orphansDueMs: number;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#removed = new RemovedObjects(options.lingerMs, options.elapsedMs);
    this.#orphansDueMs = options.elapsedMs() + options.orphansMs * (0.5 + options.random() / 2);
  }

  /** Begins; does nothing when it has begun. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Begins no other step, and waits for the one under way unless it takes long. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    if (this.#running !== undefined) await Promise.race([this.#running, this.#options.pause(stopMsMax)]);
  }

  async #run(): Promise<void> {
    const { intervalMs, random, pause } = this.#options;
    const { signal } = this.#stopping;
    let failures = 0;
    await pause(intervalMs * random(), signal);
    while (!signal.aborted) {
      failures = (await this.#pass()) ? 0 : failures + 1;
      const delayMs = Math.min(intervalMs * 2 ** Math.min(failures, 20), Math.max(intervalMs, backOffMsMax));
      await pause(delayMs * (0.9 + random() / 5), signal);
    }
  }

  /** Whether all went well. */
  async #pass(): Promise<boolean> {
    const { stores, graceMs, clock, elapsedMs, orphansMs, onPass, onDamaged, onFailure } = this.#options;
    const { signal } = this.#stopping;
    const startMs = elapsedMs();
    const orphans = startMs >= this.#orphansDueMs;
    let figures: SweepFigures | undefined;
    const onProgress = (done: SweepFigures): void => {
      figures = done;
    };
    try {
      const rest = this.#rester();
      const compaction = { ...this.#options.compaction, memory: this.#memory };
      const removed = this.#removed;
      await runPass(stores, { graceMs, removed, orphans, compaction, clock, signal, rest, onProgress, onDamaged });
      if (orphans) this.#orphansDueMs = elapsedMs() + orphansMs;
      return figures === undefined || figures.left === 0;
    } catch (error) {
      if (!signal.aborted) onFailure(error);
      return false;
    } finally {
      if (figures !== undefined && hasWork(figures)) onPass(figures, elapsedMs() - startMs);
    }
  }

  /** Rests in proportion to the work since the rest before. */
  #rester(): () => Promise<void> {
    const { elapsedMs, pause } = this.#options;
    let sinceMs = elapsedMs();
    return async () => {
      await pause((elapsedMs() - sinceMs) * restShare, this.#stopping.signal);
      sinceMs = elapsedMs();
    };
  }
}

/** A pause by the clock; it does not keep the process alive. */
export const timedPause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    timer.unref();
    if (signal?.aborted === true) end();
    else signal?.addEventListener("abort", end, { once: true });
  });
