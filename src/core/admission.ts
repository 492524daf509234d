/**
 * What all connections of the server share and none may use up: bytes of requests under way, and connections of one
 * address. Counting only; what a refusal looks like is for the transports.
 * @module
 */

/** Bytes of requests under way, over all transports that were given the same budget. */
export class ByteBudget {
  #bytes = 0;

  constructor(private readonly bytesMax: number) {}

  /** Bytes taken now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes them; false when there is no room. One request larger than everything still goes when it is alone.
   * @param own bytes that the same request has taken already
   */
  take(bytes: number, own = 0): boolean {
    if (this.#bytes > own && this.#bytes + bytes > this.bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** Connections by address. */
export class AddressCounts {
  readonly #counts = new Map<string, number>();

  /** @param max connections of one address; 0 is no limit */
  constructor(private readonly max: number) {}

  /** Counts one more; false, and nothing is counted, when the address has as many as it may. */
  add(address: string): boolean {
    const count = this.#counts.get(address) ?? 0;
    if (this.max > 0 && count >= this.max) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  remove(address: string): void {
    const count = (this.#counts.get(address) ?? 0) - 1;
    if (count > 0) this.#counts.set(address, count);
    else this.#counts.delete(address);
  }
}
