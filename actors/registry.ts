/**
 * The living actors of one kind by key: made on the first message, put away when idle, so that a million subjects do
 * not mean a million live objects.
 * @module
 */
import { Actor, type ActorOptions, type Behaviour, type Timers } from "./actor.ts";

/** How a registry looks after its actors. */
export interface RegistryOptions {
  /** An actor that was idle this long is put away. */
  readonly idleMs: number;
  readonly timers: Timers;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
}

interface Entry<M> {
  readonly actor: Actor<M>;
  usedAtMs: number;
}

/** Actors by key. */
export class ActorRegistry<K, M> {
  readonly #entries = new Map<K, Entry<M>>();
  #sweep: { cancel(): void } | undefined;
  #stopped = false;

  constructor(
    private readonly make: (key: K) => Behaviour<M>,
    private readonly actorOptions: ActorOptions,
    private readonly options: RegistryOptions,
  ) {}

  /** How many actors are alive. */
  get size(): number {
    return this.#entries.size;
  }

  /** Messages that wait in all mailboxes. */
  get depth(): number {
    let depth = 0;
    for (const { actor } of this.#entries.values()) depth += actor.depth;
    return depth;
  }

  /** @throws StreamError `overloaded`, `shutting_down` */
  tell(key: K, message: M, bytes: number): void {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { actor: new Actor(() => this.make(key), this.actorOptions), usedAtMs: 0 };
      if (this.#stopped) void entry.actor.stop();
      else this.#entries.set(key, entry);
      this.#armSweep();
    }
    entry.usedAtMs = this.options.clock();
    entry.actor.tell(message, bytes);
  }

  /** Stops all actors; later messages are refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#sweep?.cancel();
    const actors = [...this.#entries.values()].map((entry) => entry.actor.stop());
    this.#entries.clear();
    await Promise.all(actors);
  }

  #armSweep(): void {
    if (this.#sweep !== undefined || this.#stopped) return;
    this.#sweep = this.options.timers.after(this.options.idleMs / 4, () => {
      this.#sweep = undefined;
      this.#putAway();
      if (this.#entries.size > 0) this.#armSweep();
    });
  }

  #putAway(): void {
    const oldest = this.options.clock() - this.options.idleMs;
    for (const [key, entry] of this.#entries) {
      if (entry.usedAtMs > oldest || !entry.actor.idle) continue;
      this.#entries.delete(key);
      void entry.actor.stop();
    }
  }
}
