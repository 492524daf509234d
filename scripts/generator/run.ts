/**
 * A run: events leave at their times, whatever became of those before, as long as not too many are under way.
 * @module
 */
import { EventSource, type PlannedSend } from "./events.ts";
import type { Options } from "./options.ts";
import type { Sender } from "./sender.ts";
import { Tally } from "./tally.ts";

/** What was done. */
export interface Outcome {
  readonly tally: Tally;
  /** When the first event was due, Unix milliseconds. */
  readonly startMs: number;
  /** From there to the last answer. */
  readonly tookMs: number;
  /** Planned and never sent, because the time was over. */
  readonly unsent: number;
  /** How far behind its time the latest one left. */
  readonly behindMs: number;
  readonly isInterrupted: boolean;
}

/** How it goes. */
export interface Progress {
  readonly sent: number;
  readonly stored: number;
  readonly failed: number;
}

/** Sends events until the plan is done, or the signal comes. @param onStart gets what tells how it goes */
export const generate = async (
  options: Options,
  sender: Sender,
  signal: AbortSignal,
  onStart: (progress: () => Progress) => void,
): Promise<Outcome> => {
  const { late, latenessMs, repeatShare } = options;
  const tally = new Tally(late.byMs >= latenessMs, repeatShare > 0);
  onStart(() => ({ sent: tally.sent, stored: tally.distinct, failed: tally.failed }));
  const run = new Run(options, sender, tally);
  await run.send(signal);
  await run.settled();
  return {
    tally,
    startMs: run.startMs,
    tookMs: performance.now() - run.originMs,
    unsent: signal.aborted ? 0 : run.unsent,
    behindMs: run.behindMs,
    isInterrupted: signal.aborted,
  };
};

class Run {
  readonly startMs = Date.now();
  /** The same on the clock that never goes back. */
  readonly originMs = performance.now();
  behindMs = 0;
  readonly #source: EventSource;
  /** Between two events; 0 is as fast as they are taken. */
  readonly #intervalMs: number;
  readonly #total: number;
  readonly #endMs: number;
  #sent = 0;
  #underWay = 0;
  #wake: (() => void) | undefined;

  constructor(
    private readonly options: Options,
    private readonly sender: Sender,
    private readonly tally: Tally,
  ) {
    const { ratePerSecond, durationMs, count } = options;
    this.#source = new EventSource(options, `${crypto.randomUUID()}-`);
    this.#intervalMs = ratePerSecond === undefined ? 0 : 1000 / ratePerSecond;
    this.#endMs = count !== undefined || durationMs === 0 ? Number.POSITIVE_INFINITY : durationMs;
    const planned = this.#intervalMs === 0 ? Number.POSITIVE_INFINITY : Math.ceil(this.#endMs / this.#intervalMs);
    this.#total = count ?? planned;
  }

  get unsent(): number {
    return Number.isFinite(this.#total) ? this.#total - this.#sent : 0;
  }

  async send(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
    while (this.#sent < this.#total && !signal.aborted) {
      const size = Math.min(this.options.batch, this.#total - this.#sent);
      const nowMs = performance.now() - this.originMs;
      // The last of a request says when it leaves.
      const dueMs = (this.#sent + size - 1) * this.#intervalMs;
      if (nowMs >= this.#endMs && (this.#intervalMs === 0 || this.#isBehind(nowMs))) return;
      if (this.#underWay >= this.options.window) await this.#woken();
      else if (nowMs < dueMs) await this.#woken(dueMs - nowMs);
      else this.#leave(size, nowMs);
    }
  }

  /** Resolves when everything that left was answered. */
  async settled(): Promise<void> {
    while (this.#underWay > 0) await this.#woken();
  }

  /** What was due before the end may still leave when the last turn of the timer was late. */
  #isBehind(nowMs: number): boolean {
    return nowMs - this.#sent * this.#intervalMs > graceMs;
  }

  #leave(size: number, nowMs: number): void {
    const planned = Array.from({ length: size }, (_, index) =>
      this.#intervalMs === 0 ? nowMs : (this.#sent + index) * this.#intervalMs,
    );
    const sends = planned.map((atMs) => this.#source.next(this.startMs + atMs));
    this.#sent += size;
    this.#underWay++;
    this.behindMs = Math.max(this.behindMs, nowMs - (planned.at(-1) ?? nowMs));
    this.tally.sending(sends);
    void this.#request(sends, planned);
  }

  async #request(sends: readonly PlannedSend[], planned: readonly number[]): Promise<void> {
    const outcome = await this.sender.send(sends.map(({ event }) => event));
    const answeredMs = performance.now() - this.originMs;
    this.tally.settled(
      sends,
      outcome,
      planned.map((atMs) => (answeredMs - atMs) * 1000),
    );
    this.#underWay--;
    this.#wake?.();
  }

  /** Waits for an answer, the end, or so long. */
  async #woken(ms?: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#wake = () => resolve(undefined);
    const timer = ms === undefined ? undefined : setTimeout(() => resolve(undefined), ms);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

/** So far behind its time an event is that is not sent any more when the time is over, in milliseconds. */
const graceMs = 1000;
