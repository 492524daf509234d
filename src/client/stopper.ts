/**
 * The beginning and the end of a stream: its caller's signal, its own `close()`, or what it failed of.
 * @module
 */
import { aborted, closed, toMtsError } from "./errors.ts";
import { deferred, ignoreRejection } from "./wire.ts";

/** Runs one stream. */
export class Stopper {
  readonly #controller = new AbortController();
  readonly #ready = deferred<undefined>();

  constructor(private readonly signal: AbortSignal | undefined) {
    ignoreRejection(this.#ready.promise);
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** The server has it. */
  begun(): void {
    this.#ready.resolve(undefined);
  }

  stop(): void {
    this.#controller.abort(closed());
  }

  /** @param ended called once, with why, unless it was stopped */
  run(work: (stop: AbortSignal) => Promise<never>, ended: (error?: unknown) => void): void {
    const { signal } = this;
    const stop = this.#controller.signal;
    const abort = (): void => this.#controller.abort(aborted(signal?.reason));
    if (signal?.aborted === true) abort();
    signal?.addEventListener("abort", abort);
    work(stop).catch((thrown: unknown) => {
      signal?.removeEventListener("abort", abort);
      const error = toMtsError(thrown);
      this.#ready.reject(error);
      ended(error.code === "closed" ? undefined : error);
    });
  }
}
