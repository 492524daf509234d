/**
 * A publisher at a moderate rate, and how long its publishes took in one while and another. It sends when it is time
 * to, whether or not earlier ones are answered, so that a server that stands still is seen in every publish meanwhile.
 * @module
 */
import { connect, type Mts } from "../../../src/client/index.ts";
import type { Reading } from "../scenario.ts";
import { bodyOf } from "./fill.ts";

/** Between two looks at what is due, in milliseconds. */
const tickMs = 2;
const subjects = 8;

/** Latencies of one while, in milliseconds. */
export interface Pace {
  readonly published: number;
  readonly p50: number;
  readonly p99: number;
  /** The longest time for which a publish was not answered. */
  readonly stall: number;
}

interface Sample {
  /** When it was sent. */
  readonly atMs: number;
  readonly tookMs: number;
}

/** See the module. */
export class PacedPublisher {
  readonly #mts: Mts;
  readonly #samples: Sample[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #startMs = performance.now();
  #sent = 0;
  #failure: Error | undefined;

  private constructor(mts: Mts, perSecond: number, bodyBytes: number) {
    this.#mts = mts;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#startMs) * perSecond) / 1000;
      while (this.#sent < due) this.#publish(bodyBytes);
    }, tickMs);
  }

  /** Publishes bodies of so many bytes from now on. */
  static async start(url: string, perSecond: number, bodyBytes: number): Promise<PacedPublisher> {
    const mts = connect(url);
    await mts.connected();
    return new PacedPublisher(mts, perSecond, bodyBytes);
  }

  /** Of the publishes that were sent in between, `performance.now()`; all of them have to be answered. */
  between(fromMs: number, untilMs: number): Pace {
    const took = this.#samples
      .filter(({ atMs }) => atMs >= fromMs && atMs < untilMs)
      .map(({ tookMs }) => tookMs)
      .sort((a, b) => a - b);
    const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? NaN;
    return { published: took.length, p50: at(0.5), p99: at(0.99), stall: took.at(-1) ?? NaN };
  }

  /** How many were stored so far. */
  get published(): number {
    return this.#samples.length;
  }

  /** Ends, and waits for the answers. @throws Error what a publish failed with */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#mts.close({ timeoutMs: 30_000 });
    if (this.#failure !== undefined) throw this.#failure;
  }

  #publish(bodyBytes: number): void {
    const number = this.#sent++;
    const atMs = performance.now();
    this.#mts.publish(`others.${number % subjects}`, bodyOf(number, bodyBytes)).then(
      () => this.#samples.push({ atMs, tookMs: performance.now() - atMs }),
      (error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      },
    );
  }
}

/** How many times as long publishes take, with all that helps to judge it. */
export const paceReading = (before: Pace, during: Pace): Reading => ({
  value: during.p99 / before.p99,
  details: {
    publishes_before: before.published,
    p50_ms_before: before.p50,
    p99_ms_before: before.p99,
    stall_ms_before: before.stall,
    publishes_during: during.published,
    p50_ms_during: during.p50,
    p99_ms_during: during.p99,
    stall_ms_during: during.stall,
  },
});
