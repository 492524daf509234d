/**
 * Upkeep of a running server: a pass every interval, never two at once, gentle while it runs, rarer while a store fails.
 * Several nodes may do this over the same stores: each object that has to go is handed to one of them at a time.
 * @module
 */
import { type CompactionChoice, CompactionMemory, type DamagedBody } from "./compaction.ts";
import { hasWork, type SweepFigures } from "./figures.ts";
import { runPass, type SweepStores } from "./pass.ts";
import { RemovedObjects } from "./removed.ts";
import { type StepBounds, StepSize } from "./step-size.ts";

/** Between two passes that fail, in milliseconds at most, unless the interval is longer. */
const backOffMsMax = 5 * 60_000;
/**
 * For each millisecond of work in a pass so many of rest: the more the more is published here. What others notice is how
 * long one step is, more than how soon the next one comes. Other nodes may publish unseen, so that there is some rest at
 * any time; and more where the stores work on the thread that publishes, too.
 */
const restShares = { idle: 0.2, busy: 0.7, busyHere: 1 } as const;
/** Publish transactions a second from which on a node counts as busy, and how long they are counted, in milliseconds. */
const busyRate = 400;
const countedMs = 250;
/** How long deleting may take at a time, in milliseconds: while nobody publishes, and else. And objects of it. */
const deletionMs = { idle: 250, publishing: 15 } as const;
const deletedAtOnce = { min: 4, max: 500 } as const;
/**
 * How long copying may take at a time where copies are appended to a file. And bodies of it: what is done for the first
 * time takes many times as long.
 */
const copyingMs = { idle: 250, publishing: 30 } as const;
const copiedAtOnce = { min: 16, max: 250 } as const;
/** Rewriting that takes longer, in milliseconds, goes on in the next pass, which comes at once: what expires goes first. */
const compactionMsMax = 5000;
/** Publishes that are under way go before a step, which waits no longer than this for them, in milliseconds. */
const turnMsMax = 10;
/** Between two looks whether they are through. */
const lookMs = 1;
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
  /** A number that grows by one with each transaction of publishes here. */
  readonly published: () => number;
  /**
   * Whether publishes are under way here, for stores that work on this thread: a step would hold them up. Left out:
   * steps do not wait for them.
   */
  readonly isPublishing?: (() => boolean) | undefined;
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
  readonly #deletion: StepSize;
  readonly #copying: StepSize;
  /** What `published` was and when, and what that made of the load. */
  #counted: { readonly sinceMs: number; readonly published: number; readonly load: number };
  /** Spent on letting publishes go first since the last rest, in milliseconds: no work. */
  #waitedMs = 0;
  /** Whether the last pass has probably left something to rewrite. */
  #isCutShort = false;
  #running: Promise<void> | undefined;
  #orphansDueMs: number;

  constructor(options: SweeperOptions) {
    this.#options = options;
    const { elapsedMs } = options;
    this.#removed = new RemovedObjects(options.lingerMs, elapsedMs);
    const stepSize = (ms: { readonly idle: number; readonly publishing: number }, bounds: StepBounds): StepSize =>
      new StepSize({ ...bounds, stepMs: () => (this.#load() > 0 ? ms.publishing : ms.idle), elapsedMs });
    this.#deletion = stepSize(deletionMs, deletedAtOnce);
    this.#copying = stepSize(copyingMs, copiedAtOnce);
    this.#counted = { sinceMs: elapsedMs(), published: options.published(), load: 0 };
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
      if (this.#isCutShort && failures === 0) continue;
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
      const turn = (): Promise<void> => this.#turn();
      const compaction = { ...this.#options.compaction, memory: this.#memory };
      const removed = this.#removed;
      await runPass(stores, {
        ...{ graceMs, removed, orphans, compaction, compactionMsMax, clock, signal, rest, turn, onProgress },
        ...{ deletion: this.#deletion, copying: this.#copying },
        onDamaged,
      });
      if (orphans) this.#orphansDueMs = elapsedMs() + orphansMs;
      this.#isCutShort = (figures?.moved ?? 0) > 0 && elapsedMs() - startMs >= compactionMsMax;
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
    const { elapsedMs, isPublishing, pause } = this.#options;
    let sinceMs = elapsedMs();
    return async () => {
      const busy = isPublishing === undefined ? restShares.busy : restShares.busyHere;
      const restShare = restShares.idle + (busy - restShares.idle) * this.#load();
      await pause(Math.max(0, elapsedMs() - sinceMs - this.#waitedMs) * restShare, this.#stopping.signal);
      await this.#turn();
      this.#waitedMs = 0;
      sinceMs = elapsedMs();
    };
  }

  /** Lets publishes that are under way go first. */
  async #turn(): Promise<void> {
    const { elapsedMs, pause, isPublishing } = this.#options;
    if (isPublishing === undefined) return;
    const startMs = elapsedMs();
    while (isPublishing() && elapsedMs() - startMs < turnMsMax) await pause(lookMs, this.#stopping.signal);
    this.#waitedMs += elapsedMs() - startMs;
  }

  /** How busy publishers keep this node: 0 not at all, 1 very. */
  #load(): number {
    const [published, nowMs] = [this.#options.published(), this.#options.elapsedMs()];
    const forMs = nowMs - this.#counted.sinceMs;
    if (forMs >= countedMs) {
      const perSecond = ((published - this.#counted.published) / forMs) * 1000;
      this.#counted = { sinceMs: nowMs, published, load: Math.min(1, perSecond / busyRate) };
    }
    return this.#counted.load;
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
