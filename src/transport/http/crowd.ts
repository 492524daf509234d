/**
 * Requests under way by address. Bun shows no connections, and an HTTP/1 connection has one request at a time, so
 * requests stand for them.
 * @module
 */
import { AddressCounts } from "../../core/admission.ts";

/** Requests that are not answered yet, live tails included. */
export class Crowd {
  readonly #max: number;
  readonly #addressOf: (request: Request) => string | undefined;
  /** With the address as far as it was needed. */
  readonly #requests = new Map<Request, string | undefined>();
  /** While there are so many that one address could have too many; asking for every address costs time. */
  #counts: AddressCounts | undefined;

  /** @param max requests of one address; 0 is no limit */
  constructor(max: number, addressOf: (request: Request) => string | undefined) {
    this.#max = max;
    this.#addressOf = addressOf;
  }

  /** Counts a request; false, and nothing is counted, when its address has as many as it may. */
  enter(request: Request): boolean {
    if (this.#max > 0 && this.#counts === undefined && this.#requests.size >= this.#max) this.#countAll();
    if (this.#counts === undefined) {
      this.#requests.set(request, undefined);
      return true;
    }
    const address = this.#addressOf(request) ?? "";
    if (!this.#counts.add(address)) return false;
    this.#requests.set(request, address);
    return true;
  }

  /** A request was answered. */
  leave(request: Request): void {
    const address = this.#requests.get(request);
    if (!this.#requests.delete(request) || this.#counts === undefined) return;
    if (address !== undefined) this.#counts.remove(address);
    if (this.#requests.size < this.#max / 2) this.#counts = undefined;
  }

  #countAll(): void {
    this.#counts = new AddressCounts(this.#max);
    for (const request of this.#requests.keys()) {
      // A client that has gone has no address; its request leaves as soon as the work for it ends.
      const address = this.#addressOf(request) ?? "";
      this.#requests.set(request, this.#counts.add(address) ? address : undefined);
    }
  }
}
