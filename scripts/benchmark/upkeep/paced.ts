/**
 * A publisher at a moderate rate, and how long its publishes took in one while and another. It has a process of its
 * own: what the benchmark itself does meanwhile, and what is left in its memory of filling stores, delays no publish.
 * @module
 */
import { join } from "node:path";
import { guard, release } from "../../../src/testing/guardian.ts";
import type { Reading } from "../scenario.ts";
import type { PacedReport } from "./paced-process.ts";

const entry = join(import.meta.dir, "paced-process.ts");

/** Latencies of one while, in milliseconds. */
export interface Pace {
  readonly published: number;
  readonly p50: number;
  readonly p99: number;
  /** The longest time for which a publish was not answered. */
  readonly stall: number;
}

/** See the module. */
export class PacedPublisher implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly #ready = Promise.withResolvers<undefined>();
  readonly #reported = Promise.withResolvers<Extract<PacedReport, { kind: "samples" }>>();
  #samples: readonly (readonly [atMs: number, tookMs: number])[] = [];

  private constructor(url: string, perSecond: number, bodyBytes: number) {
    const hear = (report: PacedReport): void => {
      if (report.kind === "ready") this.#ready.resolve(undefined);
      else this.#reported.resolve(report);
    };
    this.#child = Bun.spawn([process.execPath, "--no-env-file", entry, url, String(perSecond), String(bodyBytes)], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: hear,
    });
    const { pid, exited } = this.#child;
    guard(pid);
    void exited.then((code) => {
      release(pid);
      const ended = new Error(`the publisher's process ended with ${this.#child.signalCode ?? code}`);
      this.#ready.reject(ended);
      this.#reported.reject(ended);
    });
    // Who waits for them is told; nobody has to.
    this.#ready.promise.catch(() => undefined);
    this.#reported.promise.catch(() => undefined);
  }

  /** Publishes bodies of so many bytes from now on. */
  static async start(url: string, perSecond: number, bodyBytes: number): Promise<PacedPublisher> {
    const publisher = new PacedPublisher(url, perSecond, bodyBytes);
    await publisher.#ready.promise;
    return publisher;
  }

  /** Of the publishes that were sent in between, by `performance.now()` of this process; after `stop`. */
  between(fromMs: number, untilMs: number): Pace {
    const [from, until] = [fromMs + performance.timeOrigin, untilMs + performance.timeOrigin];
    const took = this.#samples
      .filter(([atMs]) => atMs >= from && atMs < until)
      .map(([, tookMs]) => tookMs)
      .sort((a, b) => a - b);
    const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? NaN;
    return { published: took.length, p50: at(0.5), p99: at(0.99), stall: took.at(-1) ?? NaN };
  }

  /** How many were stored; after `stop`. */
  get published(): number {
    return this.#samples.length;
  }

  /** Ends, and waits for the answers. @throws Error what a publish failed with */
  async stop(): Promise<void> {
    this.#child.send("stop");
    const { samples, failure } = await this.#reported.promise;
    await this[Symbol.asyncDispose]();
    if (failure !== undefined) throw new Error(`a publish failed: ${failure}`);
    this.#samples = samples;
  }

  /** Ends it at once, whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
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
