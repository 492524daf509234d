/**
 * Two nodes that run one application actor, in one process and over one life's stores: each may die or stand still
 * between two calls of its own, while the broker lives on. Their pauses are counted by a clock of their own, so that an
 * actor can be let work while the time of the stores stands still.
 * @module
 */
import { ActorRunner } from "../../../actors/application/runner.ts";
import type { ActorTools } from "../../../actors/application/tools.ts";
import type { ActorLog } from "../../../actors/define.ts";
import type { BodyStore } from "../../bodies/contract.ts";
import type { ActorStore } from "../../metadata/contract.ts";
import { ManualClock } from "../broker-rig.ts";
import { Life } from "./crash-seam.ts";
import { seenActor } from "./seen.ts";

/** What the nodes share: the seams of the life in which they are, and the broker. */
export interface ActorNodesTools {
  readonly store: ActorStore;
  readonly bodies: BodyStore;
  readonly broker: ActorTools["broker"];
  /** The time of the stores. */
  readonly clock: ManualClock;
}

/** The calls of a store of actors; so many are a seam's. */
export const actorCalls = [
  ...(["claim", "commit", "release", "reset", "get", "list", "positions", "rows", "range"] as const),
] satisfies readonly (keyof ActorStore)[];
const bodiesCalls = ["writeSegment", "writeObject"] as const satisfies readonly (keyof BodyStore)[];
const brokerCalls = ["read", "subjects", "subscribe"] as const satisfies readonly (keyof ActorTools["broker"])[];

/** Short: others take over within the steps of a history. */
const leaseMs = 1500;
/** Longer than a step gathers. */
const stepMs = 60;
/** Turns in which an actor may do something. */
const turns = 8;

const noLog: ActorLog = { info: () => undefined, warn: () => undefined };

/** How many there are. */
export const nodesCount = 2;

interface ActorNode {
  readonly life: Life;
  readonly runner: ActorRunner;
}

/** See the module. */
export class ActorNodes {
  readonly #tools: ActorNodesTools;
  /** Pauses between steps, and leases as their owners count them. */
  readonly #pace = new ManualClock(0);
  readonly #nodes: ActorNode[] = [];

  constructor(tools: ActorNodesTools) {
    this.#tools = tools;
    for (let index = 0; index < nodesCount; index++) this.#nodes.push(this.#start(index));
  }

  /** Time passes for them. */
  advance(ms: number): void {
    this.#pace.advance(ms);
  }

  /** Lets them work. */
  async work(): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      this.#pace.advance(stepMs);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  dieSoon(index: number, boundaries: number): void {
    this.#nodes[index]?.life.endAfter(boundaries);
  }

  /** It stands still like a process that was stopped, and goes on where it was. */
  freezeSoon(index: number, boundaries: number): void {
    this.#nodes[index]?.life.freezeAfter(boundaries);
  }

  /** It loses its connection once: a call, or the answer to one. */
  cutSoon(index: number, boundaries: number): void {
    this.#nodes[index]?.life.cutAfter(boundaries);
  }

  /** Those that died start again under their names, those that stand still go on. */
  wake(): void {
    for (const [index, { life }] of this.#nodes.entries()) {
      life.thaw();
      life.cutAfter(Number.POSITIVE_INFINITY);
      if (life.isDead) this.#nodes[index] = this.#start(index);
      else life.endAfter(Number.POSITIVE_INFINITY);
    }
  }

  /** A clean stop; who died does nothing. */
  async stop(): Promise<void> {
    this.wake();
    await Promise.all(this.#nodes.map(({ runner }) => runner.stop()));
  }

  /** All of them die now. */
  end(): void {
    for (const { life } of this.#nodes) life.end();
  }

  #start(index: number): ActorNode {
    const { store, bodies, broker, clock } = this.#tools;
    const life = new Life();
    const runner = new ActorRunner(seenActor(), {
      store: life.seam(store, actorCalls),
      bodies: life.seam(bodies, bodiesCalls),
      broker: life.seam(broker, brokerCalls),
      owner: `node-${index}`,
      leaseMs,
      timers: this.#pace,
      clock: () => clock.nowMs,
      elapsedMs: () => this.#pace.nowMs,
      log: noLog,
    });
    runner.start();
    return { life, runner };
  }
}
