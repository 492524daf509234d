/**
 * Runs one actor on this node for as long as the node lives: claims it, owns it, and waits for it while another node
 * does.
 * @module
 */
import type { ActorDefinition } from "../define.ts";
import { Bell } from "./bell.ts";
import { pauseAfter } from "./faults.ts";
import { Ownership } from "./ownership.ts";
import type { ActorTools } from "./tools.ts";

/** A lease that is over is claimed this much later, in milliseconds: the store's clock is read at another moment. */
const claimMarginMs = 50;

/** Numbers of one actor as this node knows them, for the metrics. */
export interface ActorGauge {
  readonly name: string;
  /** Messages that it has not worked off; 0 where another node runs it. */
  readonly lag: number;
  readonly restarts: number;
  /** This node owns it. */
  readonly running: boolean;
}

/** Runs one actor. */
export class ActorRunner {
  readonly definition: ActorDefinition;
  readonly #tools: ActorTools;
  readonly #bell: Bell;
  #ownership: Ownership | undefined;
  #restarts = 0;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(definition: ActorDefinition, tools: ActorTools) {
    this.definition = definition;
    this.#tools = tools;
    this.#bell = new Bell(tools.timers);
  }

  get isBackingOff(): boolean {
    return this.#ownership?.isBackingOff ?? false;
  }

  gauge(): ActorGauge {
    const owned = this.#ownership;
    return {
      name: this.definition.name,
      lag: owned?.lag ?? 0,
      restarts: owned?.restarts ?? this.#restarts,
      running: owned !== undefined,
    };
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Ends after the step that is under way, and gives the lease back. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#ownership?.stop();
    this.#bell.ring();
    await this.#running;
  }

  /** It was rebuilt: claims it anew. */
  rebuilt(): void {
    this.#ownership?.lose();
    this.#bell.ring();
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#isOver(); ) {
      try {
        const waitMs = await this.#claim();
        failures = 0;
        if (waitMs > 0) await this.#bell.wait(waitMs);
      } catch (error) {
        this.#tools.log.warn("actor_waits", { actor: this.definition.name, error });
        if (!this.#isOver()) await this.#bell.wait(pauseAfter(++failures));
      }
    }
  }

  /** Owns it as long as it can. @returns how long it is another's then, in milliseconds */
  async #claim(): Promise<number> {
    const { store, owner, leaseMs, elapsedMs } = this.#tools;
    const claimedMs = elapsedMs();
    const claimed = await store.claim(this.definition.name, owner, leaseMs);
    if (claimed.status === "held") return claimed.leaseLeftMs + claimMarginMs;
    const owned = new Ownership(this.definition, claimed.record, claimedMs, this.#tools);
    this.#ownership = owned;
    // Stopped while it was claimed.
    if (this.#isOver()) owned.stop();
    try {
      await owned.run();
    } finally {
      this.#restarts = owned.restarts;
      this.#ownership = undefined;
    }
    return 0;
  }

  // A look that the type checker does not take for settled: it changes while the loop waits.
  #isOver(): boolean {
    return this.#isStopped;
  }
}
