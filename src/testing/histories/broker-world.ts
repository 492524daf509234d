/**
 * A broker and its upkeep in this process, over stores of which every life opens its own, with a clock that stands still
 * until it is moved: thousands of histories in the time that a few take with real servers.
 * @module
 */

import { compressed } from "../../bodies/compressed/index.ts";
import type { BodyStore } from "../../bodies/contract.ts";
import { createBroker, type OwnedBroker } from "../../broker/index.ts";
import { checkStores } from "../../cli/doctor/check.ts";
import { Report } from "../../cli/doctor/problems.ts";
import { StreamError } from "../../core/errors.ts";
import type { Draft, PublishOutcome } from "../../core/message.ts";
import { isScheduled } from "../../core/message.ts";
import type { UploadClaim } from "../../core/pointer.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import { parseConsumerName, parseFilter, parseSubject } from "../../core/subject.ts";
import type { MetadataStore } from "../../metadata/contract.ts";
import { CompactionMemory } from "../../upkeep/compaction.ts";
import { runPass } from "../../upkeep/pass.ts";
import { lingerMsOf, RemovedObjects } from "../../upkeep/removed.ts";
import { ManualClock } from "../broker-rig.ts";
import { withReplaced } from "../faults/seams.ts";
import { ActorNodes, actorCalls } from "./actor-nodes.ts";
import { hasSeenAll, viewActor } from "./actor-view.ts";
import { Life } from "./crash-seam.ts";
import { seenName } from "./seen.ts";
import type {
  Inspection,
  World,
  WorldActors,
  WorldConsumer,
  WorldDraft,
  WorldMessage,
  WorldOutcome,
  WorldSubject,
} from "./world.ts";

/** Where the stores of the lives are. */
export interface StorePlace extends AsyncDisposable {
  /** Opens them; the metadata store takes its time from the clock. */
  open(clock: ManualClock): Promise<{ readonly metadata: MetadataStore; readonly bodies: BodyStore }>;
  /** What the clock says at first, Unix milliseconds. */
  readonly startMs: number;
  /** Moves the clock of a metadata store that has its own. */
  advance?(ms: number): Promise<void>;
  /** Resolves when what a store does behind its answers is done. */
  settled?(metadata: MetadataStore): Promise<void>;
  /** Why addresses of bodies cannot be tried here; undefined when they can. */
  readonly withoutAddresses?: string | undefined;
}

const bodyBytesMax = 4 * 1024 * 1024;
const graceMs = 1000;
const pointerLifetimeMs = 2000;
/** Longer than anything in a pass waits: grace, lease of a dead process, pointers into rewritten objects. */
const settleMs = graceMs + pointerLifetimeMs + 1000;
const ackWaitMs = 3000;
const compaction = { aliveShareMax: 0.5, tinyBytes: 32 * 1024, pointerLifetimeMs };
const wholeBytesMax = 64 * 1024 * 1024;

const metadataCalls = [
  ...(["commit", "heads", "range", "sequenceAt", "subjects", "subject", "purge", "putConsumer", "consumer"] as const),
  ...(["consumers", "deleteConsumer", "pull", "peek", "ack", "nack", "commitDue", "receipts", "redrive"] as const),
  ...(["takeSparse", "moveBodies", "putPolicy", "deletePolicy", "policies", "expire", "takeDead"] as const),
  ...(["holdDead", "forgetDead", "countDead", "condemn", "referenced"] as const),
] satisfies readonly (keyof MetadataStore)[];
const bodiesCalls = [
  ...(["writeSegment", "writeObject", "read", "size", "remove", "pointer", "openUpload"] as const),
  ...(["completeUpload", "takeUpload"] as const),
] satisfies readonly (keyof BodyStore)[];

/** Rounds in which an actor has to work off everything, and how often it is not its own time that it waits for. */
const settleRoundsMax = 2000;
const settleRoundsApart = 10;
/** A part of a lease. */
const settleStepMs = 500;

/** How a world is made. */
export interface BrokerWorldOptions {
  /** Whether bodies are packed. */
  readonly compress: boolean;
  /** Whether an application actor runs. */
  readonly actors: boolean;
}

/** What one life has. */
interface Running {
  readonly life: Life;
  readonly clock: ManualClock;
  readonly broker: OwnedBroker;
  readonly actors: ActorNodes | undefined;
  /** Behind the seam, as upkeep and the broker see them. */
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
  /** The stores themselves. */
  readonly stores: { readonly metadata: MetadataStore; readonly bodies: BodyStore };
  readonly removed: RemovedObjects;
  readonly memory: CompactionMemory;
}

/** See the module. */
export class BrokerWorld implements World {
  readonly isTimed = true;
  deaths = 0;
  readonly actors: WorldActors | undefined;
  readonly #place: StorePlace;
  readonly #options: BrokerWorldOptions;
  #running: Running;
  #rising: Promise<void> | undefined;

  private constructor(
    place: StorePlace,
    options: BrokerWorldOptions,
    running: Running,
    /** When objects were written, by the clock that is moved. */
    private readonly writtenAtMs: Map<string, number>,
  ) {
    this.#place = place;
    this.#options = options;
    this.#running = running;
    this.actors = options.actors ? this.#worldActors() : undefined;
  }

  static async start(place: StorePlace, options: BrokerWorldOptions): Promise<BrokerWorld> {
    const writtenAtMs = new Map<string, number>();
    const running = await live(place, options, new ManualClock(place.startMs), writtenAtMs);
    return new BrokerWorld(place, options, running, writtenAtMs);
  }

  nowMs(): number {
    return this.#running.clock.nowMs;
  }

  async advance(ms: number): Promise<void> {
    await this.#place.advance?.(ms);
    this.#running.clock.advance(ms);
    this.#running.actors?.advance(ms);
    await this.#again(async ({ metadata }) => {
      while ((await metadata.commitDue(1000)).nextInMs === 0);
    });
  }

  addConsumer({ subject, name, deadLetter }: WorldConsumer): Promise<void> {
    return this.#again(async ({ broker }) => {
      await broker.putConsumer(parseSubject(subject), parseConsumerName(name), {
        ...{ start: { kind: "first" }, ack: name === "all" ? "all" : "explicit", ackWaitMs, maxAckPending: 1000 },
        maxDeliver: deadLetter === undefined ? 0 : 1,
        ...(deadLetter !== undefined && { deadLetter: parseSubject(deadLetter) }),
      });
    });
  }

  publish(drafts: readonly WorldDraft[]): Promise<readonly WorldOutcome[]> {
    return this.#again(async (running) => {
      const made = await Promise.all(drafts.map((draft) => this.#draftOf(running, draft)));
      return (await running.broker.publish(made)).map(outcomeOf);
    });
  }

  read(subject: string): Promise<WorldSubject> {
    return this.#again(async ({ broker }) => {
      const messages: WorldMessage[] = [];
      for (let sequence = 1; ; ) {
        const page = await broker.read({
          ...{ subject: parseSubject(subject), from: { kind: "sequence", sequence } },
          ...{ limit: 10_000, bodyBytesMax: wholeBytesMax, waitMs: 0 },
        });
        for (const { error } of page.damaged) throw error;
        messages.push(...page.messages);
        const { firstSequence, lastSequence, nextSequence } = page;
        if (page.messages.length === 0 || nextSequence > lastSequence) return { firstSequence, lastSequence, messages };
        sequence = nextSequence;
      }
    });
  }

  follow(subject: string, sequence: number): Promise<Uint8Array | undefined> {
    return this.#again(async ({ broker }) => {
      const gone = (thrown: unknown): undefined => {
        if (thrown instanceof StreamError && thrown.code === "message_expired") return undefined;
        throw thrown;
      };
      const message = await broker.message(parseSubject(subject), sequence).catch(gone);
      if (message === undefined) return undefined;
      if (this.#place.withoutAddresses !== undefined) return gathered(await message.body());
      const { url, contentEncoding } = await message.pointer();
      const { bytes } = await broker.signedBody(url.split("/").at(-1) ?? "");
      const stored = await gathered(bytes);
      return contentEncoding === "zstd" ? new Uint8Array(Bun.zstdDecompressSync(stored)) : stored;
    });
  }

  fetch(subject: string, consumer: string, limit: number): Promise<readonly WorldMessage[]> {
    return this.#again(async ({ broker }) => {
      const page = await broker.fetch({
        ...{ subject: parseSubject(subject), consumer: parseConsumerName(consumer), limit },
        ...{ bodyBytesMax: wholeBytesMax, waitMs: 0, autoAck: false },
      });
      for (const { error } of page.damaged) throw error;
      return page.messages;
    });
  }

  ack(subject: string, consumer: string, sequences: readonly number[] | number): Promise<void> {
    return this.#again(async ({ broker }) => {
      const settled = typeof sequences === "number" ? { through: sequences } : { sequences };
      await broker.ack(parseSubject(subject), parseConsumerName(consumer), settled);
    });
  }

  nack(subject: string, consumer: string, sequences: readonly number[]): Promise<void> {
    return this.#again(async ({ broker }) => {
      await broker.nack(parseSubject(subject), parseConsumerName(consumer), sequences, 0, "by chance");
    });
  }

  redrive(subject: string, consumer: string, limit: number): Promise<number> {
    return this.#again(async ({ broker }) => {
      const names = { subject: parseSubject(subject), consumer: parseConsumerName(consumer) };
      return (await broker.redrive({ ...names, limit, perSecond: Number.POSITIVE_INFINITY })).redriven;
    });
  }

  purge(subject: string, through: number): Promise<void> {
    return this.#again(async ({ broker }) => {
      await broker.purge(parseSubject(subject), through);
    });
  }

  putPolicy(subject: string, policy: RetentionPolicy | null): Promise<void> {
    return this.#again(async ({ broker }) => {
      if (policy !== null) await broker.putPolicy(parseFilter(subject), policy);
      else {
        await broker.deletePolicy(parseFilter(subject)).catch((thrown: unknown) => {
          if (!(thrown instanceof StreamError) || thrown.code !== "policy_not_found") throw thrown;
        });
      }
    });
  }

  async sweep(): Promise<void> {
    await this.#again((running) => this.#pass(running, true));
  }

  leaveUpload(subject: string, body: Uint8Array | undefined): Promise<void> {
    return this.#again(async (running) => {
      if (this.#place.withoutAddresses !== undefined) return;
      if (body !== undefined) await put(running, parseSubject(subject), body);
      else await running.broker.openUpload(claimOf(subject, new Uint8Array(1)), false);
    });
  }

  crashSoon(steps: number): void {
    this.#running.life.endAfter(steps);
  }

  async restart(): Promise<void> {
    await this.#again(async ({ broker, actors }) => {
      await actors?.stop();
      await broker.drain();
    });
    this.#running.life.end();
    await this.#rise(this.#running);
    this.deaths--;
  }

  async inspect(): Promise<Inspection> {
    await this.advance(settleMs);
    await this.#again((running) => this.#pass(running, false));
    const lonely = await this.#again((running) => this.#unreferenced(running));
    await this.advance(settleMs);
    await this.#again((running) => this.#pass(running, false));
    // The doctor reads a subject in several calls: nobody may publish meanwhile.
    if (this.actors !== undefined) await this.#settleActor();
    return this.#again(async (running) => {
      const left = await this.#unreferenced(running);
      const wrong = [...lonely].filter((object) => left.has(object)).map((object) => `${object} outlives its grace`);
      const report = new Report(() => undefined);
      await checkStores(running.stores, { report, youngSinceMs: this.nowMs() - graceMs });
      for (const { code, subject, sequence, detail } of report.kept) {
        wrong.push(`the doctor: ${code} ${subject ?? ""} ${sequence ?? ""} ${detail}`);
      }
      return { wrong, actor: await viewActor(running.stores.metadata) };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running.life.end();
    this.#running.actors?.end();
    await close(this.#running);
    await this.#place[Symbol.asyncDispose]();
  }

  #worldActors(): WorldActors {
    const nodes = (work: (actors: ActorNodes) => void): Promise<void> => {
      if (this.#running.actors !== undefined) work(this.#running.actors);
      return Promise.resolve();
    };
    return {
      work: () => this.#again(async ({ actors }) => actors?.work()),
      settle: () => this.#settleActor(),
      rebuild: () =>
        this.#again(async ({ broker }) => {
          await broker.rebuildActor(parseConsumerName(seenName)).catch((thrown: unknown) => {
            // Nobody has claimed it yet.
            if (!(thrown instanceof StreamError) || thrown.code !== "actor_not_found") throw thrown;
          });
        }),
      dieSoon: (node, steps) => nodes((actors) => actors.dieSoon(node, steps)),
      freezeSoon: (node, steps) => nodes((actors) => actors.freezeSoon(node, steps)),
      cutSoon: (node, steps) => nodes((actors) => actors.cutSoon(node, steps)),
      wake: () => nodes((actors) => actors.wake()),
      look: () => this.#again(({ stores }) => viewActor(stores.metadata)),
    };
  }

  async #settleActor(): Promise<void> {
    for (let round = 1; round <= settleRoundsMax; round++) {
      await this.#again(async ({ actors }) => actors?.work());
      if (await this.#again(({ stores }) => hasSeenAll(stores.metadata))) return;
      // A lease of one that died, by the clock of the stores.
      if (round % settleRoundsApart === 0) await this.advance(settleStepMs);
    }
    throw new Error("the actor does not come to an end");
  }

  async #pass({ metadata, bodies, clock, removed, memory }: Running, isCompacting: boolean): Promise<void> {
    await this.#place.settled?.(this.#running.stores.metadata);
    await runPass(
      { metadata, bodies },
      {
        ...{ graceMs, removed, orphans: true, clock: () => clock.nowMs, rest: () => Promise.resolve() },
        compaction: isCompacting ? { ...compaction, memory } : undefined,
        onDamaged: ({ object, offset }) => {
          throw new Error(`compaction found a damaged body at ${offset} of ${object}`);
        },
      },
    );
    await this.#place.settled?.(this.#running.stores.metadata);
  }

  /** Objects into which nothing points, without those that are so young that something may. */
  async #unreferenced({ metadata, bodies, clock }: Running): Promise<ReadonlySet<string>> {
    const objects: string[] = [];
    for await (const page of bodies.list()) {
      const old = page.filter(({ modifiedAtMs }) => modifiedAtMs <= clock.nowMs - graceMs);
      objects.push(...old.map(({ object }) => object));
    }
    const referenced = await metadata.referenced(objects);
    return new Set(objects.filter((_, index) => referenced[index] === false));
  }

  async #draftOf(running: Running, draft: WorldDraft): Promise<Draft> {
    const { number, body, ttlMs, delayMs, byPointer = false } = draft;
    const subject = parseSubject(draft.subject);
    const isPut = byPointer && body.length > 0 && this.#place.withoutAddresses === undefined;
    return {
      ...{ subject, headers: { number: String(number) }, messageId: String(number) },
      body: isPut ? await put(running, subject, body) : body,
      ...(ttlMs !== undefined && { ttlMs }),
      ...(delayMs !== undefined && { deliverAt: { inMs: delayMs } }),
    };
  }

  /** Until a life has answered it. */
  async #again<T>(work: (running: Running) => Promise<T>): Promise<T> {
    for (;;) {
      const running = this.#running;
      const working = work(running);
      // Of one that died nobody hears any more.
      working.catch(() => undefined);
      const answered = await Promise.race([working.then((value) => ({ value })), running.life.died]);
      if (answered !== undefined && !running.life.isDead) return answered.value;
      await this.#rise(running);
    }
  }

  /** A new life after this one; once for all who wait. */
  async #rise(dead: Running): Promise<void> {
    if (this.#running !== dead) return;
    this.#rising ??= this.#riseFrom(dead).finally(() => {
      this.#rising = undefined;
    });
    await this.#rising;
  }

  async #riseFrom(dead: Running): Promise<void> {
    this.deaths++;
    dead.actors?.end();
    await close(dead);
    this.#running = await live(this.#place, this.#options, new ManualClock(dead.clock.nowMs), this.writtenAtMs);
  }
}

const live = async (
  place: StorePlace,
  { compress, actors: hasActors }: BrokerWorldOptions,
  clock: ManualClock,
  writtenAtMs: Map<string, number>,
): Promise<Running> => {
  const opened = await place.open(clock);
  const bodies = compressed(dated(opened.bodies, clock, writtenAtMs), { compress });
  const stores = { metadata: opened.metadata, bodies };
  const life = new Life();
  const seamed = {
    metadata: withReplaced(life.seam(stores.metadata, metadataCalls), {
      actors: life.seam(stores.metadata.actors, actorCalls),
    }),
    bodies: life.seam(stores.bodies, bodiesCalls, ["stream", "list"]),
  };
  const broker = createBroker({
    ...seamed,
    ...{ bodyBytesMax, timers: clock, pointerLifetimeMs, clock: () => clock.nowMs, elapsedMs: () => clock.nowMs },
  });
  await broker.start();
  const { metadata, bodies: seamedBodies } = seamed;
  const tools = { store: metadata.actors, bodies: seamedBodies, broker, clock };
  const actors = hasActors ? new ActorNodes(tools) : undefined;
  const removed = new RemovedObjects(lingerMsOf(bodyBytesMax), () => clock.nowMs);
  return { life, clock, broker, actors, ...seamed, stores, removed, memory: new CompactionMemory() };
};

/** The stores are closed when what they were told is done; of the rest nothing is left. */
const close = async ({ life, stores: { metadata, bodies } }: Running): Promise<void> => {
  await life.quiet();
  await metadata.close();
  await bodies.close();
};

/** The same objects, of which the listing says when they were written by the clock that is moved. */
const dated = (store: BodyStore, clock: ManualClock, writtenAtMs: Map<string, number>): BodyStore => ({
  ...store,
  writeSegment: async (bodies) => {
    const placements = await store.writeSegment(bodies);
    for (const { object } of placements) writtenAtMs.set(object, clock.nowMs);
    return placements;
  },
  writeObject: async (body, signal) => {
    const ref = await store.writeObject(body, signal);
    writtenAtMs.set(ref.object, clock.nowMs);
    return ref;
  },
  list: async function* () {
    for await (const page of store.list()) {
      // Uploads say themselves until when they may be published.
      yield page.map((each) => {
        const isUpload = each.object.startsWith("u/");
        return isUpload ? each : { ...each, modifiedAtMs: writtenAtMs.get(each.object) ?? clock.nowMs };
      });
    }
  },
});

const claimOf = (subject: string, body: Uint8Array): UploadClaim => {
  const sha256 = new Bun.CryptoHasher("sha256").update(body).digest();
  return { subject: parseSubject(subject), length: body.length, sha256: new Uint8Array(sha256) };
};

/** Puts a body as a publisher does; answers what a pointer to it becomes. */
const put = async ({ broker }: Running, subject: string, body: Uint8Array): Promise<Draft["body"]> => {
  const claim = claimOf(subject, body);
  const { key, requests } = await broker.openUpload(claim, false);
  for (const { url, offset, length } of requests) {
    const part = body.subarray(offset, offset + length);
    await broker.receiveUpload(
      url.split("/").at(-1) ?? "",
      (async function* () {
        yield part;
      })(),
    );
  }
  return broker.takeUpload(claim, key);
};

const outcomeOf = (outcome: PublishOutcome): WorldOutcome => {
  if (outcome instanceof StreamError) return { kind: "refused", code: outcome.code };
  if (isScheduled(outcome)) return { kind: "scheduled", dueAtMs: outcome.dueAtMs };
  return { kind: "committed", sequence: outcome.sequence, timestampMs: outcome.timestampMs };
};

const gathered = async (body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
};
