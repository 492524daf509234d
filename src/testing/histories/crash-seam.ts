/**
 * Deaths of a server inside one process: between its rules and its stores lies a seam that, after so many calls, lets
 * nothing through any more and answers nothing. What the stores were told is done; what was to come never comes. That
 * is what `kill -9` leaves, as far as the stores can see between two calls.
 * @module
 */
import { StreamError } from "../../core/errors.ts";

/** One life of a server. */
export class Life {
  readonly #died = Promise.withResolvers<undefined>();
  readonly #underWay = new Set<Promise<unknown>>();
  #left = Number.POSITIVE_INFINITY;
  #leftToFreeze = Number.POSITIVE_INFINITY;
  #leftToCut = Number.POSITIVE_INFINITY;
  /** While it stands still. */
  #frozen: PromiseWithResolvers<undefined> | undefined;
  #isDead = false;

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves when it is dead. */
  get died(): Promise<undefined> {
    return this.#died.promise;
  }

  /** It ends at the boundary of a call: 1 is the beginning of the next one, 2 its end or the beginning of another. */
  endAfter(boundaries: number): void {
    this.#left = boundaries;
  }

  /** It stands still at the boundary of a call, as `endAfter` counts, like a process that was stopped. */
  freezeAfter(boundaries: number): void {
    this.#leftToFreeze = boundaries;
  }

  /** It goes on where it was. */
  thaw(): void {
    this.#leftToFreeze = Number.POSITIVE_INFINITY;
    this.#frozen?.resolve(undefined);
    this.#frozen = undefined;
  }

  /** At the boundary of a call, as `endAfter` counts, it loses its connection: the call, or its answer. */
  cutAfter(boundaries: number): void {
    this.#leftToCut = boundaries;
  }

  end(): void {
    this.#isDead = true;
    this.#died.resolve(undefined);
  }

  /** Resolves when the stores have finished what they were told. */
  async quiet(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  /** The store behind the seam. Methods that answer at once, and properties, pass. */
  seam<T extends object>(store: T, calls: readonly (keyof T)[], streams: readonly (keyof T)[] = []): T {
    const isCall = new Set<PropertyKey>(calls);
    const isStream = new Set<PropertyKey>(streams);
    return new Proxy(store, {
      get: (_, name) => {
        const value: unknown = Reflect.get(store, name, store);
        if (typeof value !== "function") return value;
        const method = value.bind(store) as (...words: readonly unknown[]) => unknown;
        if (isCall.has(name)) return (...words: readonly unknown[]) => this.#call(async () => method(...words));
        if (isStream.has(name)) {
          return (...words: readonly unknown[]) => this.#stream(method(...words) as AsyncIterable<unknown>);
        }
        return method;
      },
    });
  }

  async #call(work: () => Promise<unknown>): Promise<unknown> {
    await this.#boundary();
    this.#connection("unavailable");
    const working = work();
    this.#underWay.add(working);
    let answer: unknown;
    try {
      answer = await working;
    } finally {
      this.#underWay.delete(working);
      await this.#boundary();
    }
    this.#connection("outcome_unknown");
    return answer;
  }

  /** @throws StreamError when it is the one that is cut */
  #connection(code: "unavailable" | "outcome_unknown"): void {
    if (--this.#leftToCut > 0) return;
    this.#leftToCut = Number.POSITIVE_INFINITY;
    throw new StreamError(code, "The connection was cut.");
  }

  async *#stream(source: AsyncIterable<unknown>): AsyncGenerator {
    for await (const each of source) {
      if (this.#isDead) await never();
      yield each;
    }
  }

  async #boundary(): Promise<void> {
    if (--this.#leftToFreeze <= 0) this.#frozen ??= Promise.withResolvers();
    await this.#frozen?.promise;
    if (!this.#isDead && --this.#left <= 0) this.end();
    if (this.#isDead) await never();
  }
}

const never = (): Promise<never> => new Promise(() => undefined);
