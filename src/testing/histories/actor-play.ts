/**
 * The application actor's part of a history: it works while everything else goes on, its nodes die, stand still and wake,
 * it is rebuilt; by chance from a seed of its own, so that the rest of the history is the same without it.
 * @module
 */
import { SeededRandom } from "../faults/random.ts";
import type { ActorView } from "./actor-view.ts";
import type { ModelSubject } from "./model.ts";
import { failedSubject, thirdsSubject, toldBody } from "./seen.ts";
import { compareRebuilt, type KnownBody, SeenModel } from "./seen-model.ts";
import type { World, WorldActors } from "./world.ts";

/** The history that it is a part of. */
export interface ActorPlayTools {
  readonly world: World;
  readonly actors: WorldActors;
  readonly seed: number;
  /** Whether its nodes die. */
  readonly crashes: boolean;
  readonly subjects: readonly ModelSubject[];
  readonly knownBody: KnownBody;
  readonly say: (line: string) => void;
  /** Compares what is stored with the model, subject by subject. */
  readonly compareAll: () => Promise<void>;
}

/** Tells its chances from those of the rest. */
const seedOffset = 0x5eed;
const boundariesMax = 12;

/** See the module. */
export class ActorPlay {
  readonly #tools: ActorPlayTools;
  readonly #random: SeededRandom;
  readonly #model: SeenModel;
  /** By subject, the last sequence when it was waited for the last time. */
  #settled: ReadonlyMap<string, number> = new Map();

  constructor(tools: ActorPlayTools) {
    this.#tools = tools;
    this.#random = new SeededRandom(tools.seed + seedOffset);
    this.#model = new SeenModel(tools.knownBody);
  }

  /** Sometimes, between two steps of the rest. */
  async step(): Promise<void> {
    const dice = this.#random.integer(0, 99);
    if (dice >= 40) return;
    const { actors, crashes, say } = this.#tools;
    if (dice < 15) {
      say("the actor works");
      await actors.work();
      await this.compare();
    } else if (dice < 27) {
      if (crashes) await this.#disturb();
    } else if (dice < 34) {
      say("all nodes of the actor go on");
      await actors.wake();
      await actors.work();
    } else if (dice < 37) {
      say("the actor is rebuilt");
      await actors.rebuild();
      if (this.#random.integer(0, 1) === 0) await actors.work();
    } else if (this.#tools.world.isTimed) await this.#rebuildAndCompare();
  }

  /** Something happens to one of the nodes, or will. */
  async #disturb(): Promise<void> {
    const { actors, say } = this.#tools;
    const node = this.#random.integer(0, 1);
    const boundaries = this.#random.integer(1, boundariesMax);
    const fates = [
      ["dies", actors.dieSoon],
      ["stands still", actors.freezeSoon],
      ["is cut off", actors.cutSoon],
    ] as const;
    const [what, happen] = fates[this.#random.integer(0, 2)] ?? fates[0];
    say(`node ${node} of the actor ${what} after ${boundaries}`);
    await happen(node, boundaries);
    await actors.work();
  }

  /** Together with everything else; undefined: not now. */
  workSometimes(): Promise<void> | undefined {
    return this.#random.integer(0, 99) < 60 ? this.#tools.actors.work() : undefined;
  }

  /** What is stored of it is what must be, wherever that can be seen while it works. */
  async compare(): Promise<ActorView | undefined> {
    const view = await this.#tools.actors.look();
    if (view === undefined) return undefined;
    await this.#tools.compareAll();
    this.#model.compare(view, this.#tools.subjects);
    return view;
  }

  /** Until it has worked off everything. */
  async settle(): Promise<void> {
    const { actors, subjects } = this.#tools;
    const settled = new Map(subjects.map(({ name, last }) => [name, last]));
    await actors.wake();
    await actors.settle();
    this.#settled = settled;
  }

  /** As an inspection found it, after it had settled; and what it published has its bytes. */
  async compareInspected(view: ActorView | undefined): Promise<void> {
    if (view === undefined) throw new Error("nobody ever ran the actor");
    for (const [name, last] of this.#settled) {
      const { through = 0 } = view.positions.find(({ subject }) => subject === name) ?? {};
      if (through < last) throw new Error(`the actor is at ${name} ${through} only, not at ${last}`);
    }
    this.#model.compare(view, this.#tools.subjects);
    const { messages } = await this.#tools.world.read(thirdsSubject);
    for (const { headers, body } of messages) {
      const { subject = "" } = headers;
      const sequence = Number(headers["sequence"]);
      if (Buffer.from(body).toString("utf8") !== toldBody(subject, sequence)) {
        throw new Error(`the actor told of ${subject} ${sequence} in other words`);
      }
    }
    await this.#tools.world.read(failedSubject);
  }

  /** Where nothing has gone it comes to the same. Only where it can be seen without an inspection. */
  async #rebuildAndCompare(): Promise<void> {
    const { actors, say, subjects } = this.#tools;
    await this.settle();
    const before = await this.compare();
    say("the actor is rebuilt, and compared with itself");
    await actors.rebuild();
    await this.settle();
    const after = await this.compare();
    if (before !== undefined && after !== undefined) compareRebuilt(before, after, subjects);
  }
}
