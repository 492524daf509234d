/**
 * Joins calls that arrive while one is under way into the next one: many acknowledgements, one transaction.
 * @module
 */
import { assert } from "../core/errors.ts";

interface Waiting<Request, Outcome> {
  readonly request: Request;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/** One call at a time, each with all requests that wait, in order. */
export class Batcher<Request, Outcome> {
  #waiting: Waiting<Request, Outcome>[] = [];
  #running = false;

  constructor(
    private readonly run: (requests: readonly Request[]) => Promise<readonly Outcome[]>,
    private readonly countMax: number,
  ) {}

  /** Rejects with what the call that carried it rejected with. */
  async add(request: Request): Promise<Outcome> {
    return new Promise<Outcome>((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      setImmediate(() => void this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.countMax);
      try {
        const outcomes = await this.run(batch.map(({ request }) => request));
        assert(outcomes.length === batch.length, "a batch answers every request");
        for (const [index, { resolve }] of batch.entries()) resolve(outcomes[index] as Outcome);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = false;
  }
}
