/**
 * Rewriting objects of the body store that take more room than what is left in them is worth: the bodies that messages
 * still point at are copied, and the messages are told where they are now. An old object is deleted later like any
 * other into which nothing points. A body that does not have its checksum is never copied, and stays where it is.
 * @module
 */
import { type BodyStore, isBodyFault } from "../bodies/contract.ts";
import { StreamError } from "../core/errors.ts";
import type { BodyRef } from "../core/message.ts";
import type { MetadataStore, SparseObject } from "../metadata/contract.ts";
import type { StepSize } from "./step-size.ts";

const MiB = 1024 * 1024;
/** Objects that are joined only when there are so many of them: joining two saves nothing. */
const tinyMin = 16;
/** Objects handed out at a time, and bytes of the bodies in them. */
const objectsMax = 256;
const aliveBytesMax = 32 * MiB;
/** Bodies written as one: as they lie in the store, and as they are in memory meanwhile. */
interface BatchBounds {
  readonly storedBytes: number;
  readonly bytes: number;
  readonly count: number;
}
/** Where each write makes an object. */
const objectMax: BatchBounds = { storedBytes: 4 * MiB, bytes: 16 * MiB, count: 1000 };
/** Where writes are appended: a disk is busy with each, and publishes need it, too. */
const appendedMax: BatchBounds = { storedBytes: MiB / 4, bytes: MiB, count: 250 };
/** Bodies that one transaction moves: others wait for it. */
const movesMax = 250;
/** A larger body is never whole in memory. */
const wholeBytesMax = 16 * MiB;
/** Bounds of the time for which no other node gets the same objects; twice handed out does no harm. */
const leaseMs = { min: 1000, max: 2 * 60_000 } as const;
/** Damaged bodies and objects without gain that are remembered, so that they are not looked at again and again. */
const rememberedMax = 10_000;
/** Objects that are read at once: more keep a body store busy for so long that publishes notice. */
const readAtOnceMax = 4;
/** Hashed in one go before others get their turn. */
const turnBytesMax = MiB / 2;

/** What compaction asks of the stores. */
export interface CompactionStores {
  readonly metadata: Pick<MetadataStore, "takeSparse" | "moveBodies">;
  readonly bodies: Pick<BodyStore, "read" | "stream" | "size" | "seal" | "writeSegment" | "writeObject">;
}

/** Which objects are rewritten. */
export interface CompactionChoice {
  /** An object is, when at most this share of its bytes is alive; 0 to below 1, 0 for none. */
  readonly aliveShareMax: number;
  /** Objects with fewer bytes are joined; 0 for none. */
  readonly tinyBytes: number;
  /** How long pointers work, in milliseconds: for so long an object stays that was emptied. */
  readonly pointerLifetimeMs: number;
}

/** A body that could not be copied because it is not what was written. */
export interface DamagedBody {
  readonly object: string;
  readonly offset: number;
  /** Bytes as published. */
  readonly length: number;
}

/** What one step did. */
export interface CompactionStep {
  /** Objects out of which everything that is whole was copied. */
  readonly rewritten: number;
  /** Messages whose bodies are elsewhere now, and bytes of those bodies. */
  readonly moved: number;
  readonly movedBytes: number;
  /** Bodies that were found damaged for the first time. */
  readonly damaged: number;
}

const noStep: CompactionStep = { rewritten: 0, moved: 0, movedBytes: 0, damaged: 0 };

/** How a compaction goes. */
export interface CompactionOptions extends CompactionChoice {
  /**
   * For how long nothing was committed into the object, in milliseconds, asked each time: it may grow with the time, so
   * that a compaction ends although ever new objects come of age.
   */
  readonly minAgeMs: () => number;
  /** Told after each step; what is waited for here is what makes it gentle. */
  readonly onStep: (step: CompactionStep) => Promise<void>;
  /** Called before whatever keeps others waiting for a moment; what is waited for here lets them go first. */
  readonly turn?: (() => Promise<void>) | undefined;
  /** How many bodies are copied at a time where writes are appended; left out: as many as make a good write. */
  readonly copying?: StepSize | undefined;
  readonly onDamaged?: ((body: DamagedBody) => void) | undefined;
  /** Ends it between two steps. */
  readonly isOver?: (() => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a process remembers from one compaction to the next. */
export class CompactionMemory {
  readonly #damaged = new Set<string>();
  readonly #dull = new Set<string>();

  /** Whether a damaged body is new. */
  addDamaged(ref: BodyRef): boolean {
    const size = this.#damaged.size;
    if (size < rememberedMax) this.#damaged.add(placeOf(ref));
    return this.#damaged.size > size;
  }

  isDamaged(ref: BodyRef): boolean {
    return this.#damaged.size > 0 && this.#damaged.has(placeOf(ref));
  }

  /** Rewriting it would save nothing. */
  addDull(object: string): void {
    if (this.#dull.size >= rememberedMax) this.#dull.clear();
    this.#dull.add(object);
  }

  isDull(object: string): boolean {
    return this.#dull.has(object);
  }
}

/** What there is to rewrite; nothing changes. @throws StreamError */
export const findSparse = async (
  metadata: Pick<MetadataStore, "takeSparse">,
  { aliveShareMax, tinyBytes }: CompactionChoice,
  minAgeMs: number,
): Promise<readonly SparseObject[]> =>
  aliveShareMax === 0
    ? []
    : metadata.takeSparse({
        ...{ aliveShareMax, tinyBytes, tinyMin, minAgeMs },
        ...{ objectsMax: rememberedMax, aliveBytesMax: Number.MAX_SAFE_INTEGER, leaseMs: 0 },
      });

/** Rewrites what there is. @throws StreamError whatever a store refuses with; what was done before is done */
export const compact = async (
  stores: CompactionStores,
  memory: CompactionMemory,
  options: CompactionOptions,
): Promise<void> => {
  const { aliveShareMax, tinyBytes, minAgeMs, isOver, signal } = options;
  if (aliveShareMax === 0) return;
  const compaction = new Compaction(stores, memory, options);
  const lease = Math.min(leaseMs.max, Math.max(leaseMs.min, minAgeMs()));
  while (signal?.aborted !== true && isOver?.() !== true) {
    await options.turn?.();
    const taken = await stores.metadata.takeSparse({
      ...{ aliveShareMax, tinyBytes, tinyMin, minAgeMs: minAgeMs() },
      ...{ objectsMax, aliveBytesMax, leaseMs: lease },
    });
    if (taken.length === 0) return;
    await compaction.rewrite(taken);
  }
};

class Compaction {
  constructor(
    private readonly stores: CompactionStores,
    private readonly memory: CompactionMemory,
    private readonly options: CompactionOptions,
  ) {}

  async rewrite(taken: readonly SparseObject[]): Promise<void> {
    const objects = await this.#worthIt(taken.filter(({ object }) => !this.memory.isDull(object)));
    const refs = objects.flatMap(({ bodies }) => bodies.filter((ref) => !this.memory.isDamaged(ref)));
    // Else the copies may land in the very object that is to go.
    await this.stores.bodies.seal?.(objects.map(({ object }) => object));
    const isAppended = this.stores.bodies.seal !== undefined;
    const bounds = isAppended ? appendedMax : objectMax;
    const copying = isAppended ? this.options.copying : undefined;
    for (const batch of batchesOf(refs, bounds, () => copying?.size ?? bounds.count)) {
      if (this.options.signal?.aborted === true || this.options.isOver?.() === true) return;
      const [first] = batch;
      const isLarge = batch.length === 1 && first !== undefined && first.length > wholeBytesMax;
      const move = (): Promise<CompactionStep> => (isLarge ? this.#moveLarge(first) : this.#move(batch));
      const step = isLarge || copying === undefined ? await move() : await copying.measure(batch.length, move);
      await this.options.onStep(step);
    }
    const rewritten = objects.filter(({ bodies }) => bodies.some((ref) => !this.memory.isDamaged(ref))).length;
    if (rewritten > 0) await this.options.onStep({ ...noStep, rewritten });
  }

  /** Those whose rewriting frees bytes, or all when several become one. */
  async #worthIt(objects: readonly SparseObject[]): Promise<readonly SparseObject[]> {
    const outputs = [
      ...batchesOf(
        objects.flatMap(({ bodies }) => bodies),
        objectMax,
      ),
    ].length;
    if (outputs * 2 <= objects.length) return objects;
    const worthIt: SparseObject[] = [];
    for (const sparse of objects) {
      const bytes = await this.stores.bodies.size(sparse.object);
      const alive = sparse.bodies.reduce((sum, ref) => sum + storedBytesOf(ref), 0);
      // What is not there has to be found damaged, body by body.
      if (bytes === null || alive <= bytes * this.options.aliveShareMax) worthIt.push(sparse);
      else this.memory.addDull(sparse.object);
    }
    return worthIt;
  }

  /** Copies bodies that are read together. */
  async #move(refs: readonly BodyRef[]): Promise<CompactionStep> {
    const { whole, damaged } = await this.#read(refs);
    if (whole.length === 0) return { ...noStep, damaged };
    await this.options.turn?.();
    const placements = await this.stores.bodies.writeSegment(
      whole.map(({ body }) => body),
      "copy",
    );
    const moves = whole.flatMap(({ ref }, index) => {
      const placement = placements[index];
      const { length, sha256 } = ref;
      return placement === undefined ? [] : { from: ref, to: { ...placement, length, sha256 } };
    });
    return { ...(await this.#moved(moves)), damaged };
  }

  /** Copies one body chunk by chunk. */
  async #moveLarge(ref: BodyRef): Promise<CompactionStep> {
    const { bodies } = this.stores;
    let to: BodyRef;
    try {
      to = await bodies.writeObject(checked(bodies.stream(ref), ref), this.options.signal);
    } catch (thrown) {
      if (!isDataLoss(thrown)) throw thrown;
      return { ...noStep, damaged: this.#found(ref) };
    }
    // What was written says itself what it is.
    const isSame = to.length === ref.length && Buffer.compare(to.sha256, ref.sha256) === 0;
    return isSame ? this.#moved([{ from: ref, to }]) : { ...noStep, damaged: this.#found(ref) };
  }

  async #moved(moves: readonly { readonly from: BodyRef; readonly to: BodyRef }[]): Promise<CompactionStep> {
    let step = noStep;
    for (let first = 0; first < moves.length; first += movesMax) {
      if (first > 0) await this.options.onStep(step);
      const some = moves.slice(first, first + movesMax);
      await this.options.turn?.();
      const moved = await this.stores.metadata.moveBodies(some, this.options.pointerLifetimeMs);
      step = { ...noStep, moved, movedBytes: some.reduce((sum, { to }) => sum + storedBytesOf(to), 0) };
    }
    return step;
  }

  async #read(refs: readonly BodyRef[]): Promise<{
    readonly whole: readonly { readonly ref: BodyRef; readonly body: Uint8Array }[];
    readonly damaged: number;
  }> {
    const whole: { readonly ref: BodyRef; readonly body: Uint8Array }[] = [];
    const doubtful: BodyRef[] = [];
    await this.#readInto(refs, (ref, body) => (body === undefined ? doubtful.push(ref) : whole.push({ ref, body })));
    let damaged = 0;
    if (doubtful.length > 0) {
      // A byte may be lost on the way instead of in the store.
      await this.#readInto(doubtful, (ref, body) => {
        if (body === undefined) damaged += this.#found(ref);
        else whole.push({ ref, body });
      });
    }
    return { whole, damaged };
  }

  /** Tells of each body, undefined when it is not what was written. @throws StreamError `unavailable` */
  async #readInto(refs: readonly BodyRef[], told: (ref: BodyRef, body: Uint8Array | undefined) => void): Promise<void> {
    let hashedBytes = 0;
    for (const some of byObjects(refs, readAtOnceMax)) {
      const results = await this.stores.bodies.read(some);
      await this.options.turn?.();
      for (const [index, ref] of some.entries()) {
        const result = results[index] ?? { fault: "missing" };
        if (isBodyFault(result)) {
          if (result.fault === "failed") throw unreadable(ref, result.cause);
          told(ref, undefined);
          continue;
        }
        told(ref, isWhole(ref, result) ? result : undefined);
        hashedBytes += result.length;
        if (hashedBytes < turnBytesMax) continue;
        hashedBytes = 0;
        await new Promise((resolve) => setImmediate(resolve));
        await this.options.turn?.();
      }
    }
  }

  /** A damaged body; 1 when it is new. */
  #found(ref: BodyRef): number {
    if (!this.memory.addDamaged(ref)) return 0;
    const { object, offset, length } = ref;
    this.options.onDamaged?.({ object, offset, length });
    return 1;
  }
}

const placeOf = ({ object, offset }: BodyRef): string => `${object}:${offset}`;

const storedBytesOf = ({ storedLength, length }: BodyRef): number => storedLength ?? length;

/** Bodies in the order they come, those of so many objects together. */
function* byObjects(refs: readonly BodyRef[], objectsMax: number): Generator<readonly BodyRef[]> {
  let some: BodyRef[] = [];
  const objects = new Set<string>();
  for (const ref of refs) {
    if (objects.size === objectsMax && !objects.has(ref.object)) {
      yield some;
      some = [];
      objects.clear();
    }
    some.push(ref);
    objects.add(ref.object);
  }
  if (some.length > 0) yield some;
}

/** Bodies in the order they come, as many as are written together; a large one alone. */
function* batchesOf(
  refs: readonly BodyRef[],
  max: BatchBounds,
  countMax = (): number => max.count,
): Generator<readonly BodyRef[]> {
  let batch: BodyRef[] = [];
  let [bytes, storedBytes, count] = [0, 0, countMax()];
  for (const ref of refs) {
    const stored = storedBytesOf(ref);
    const isFull = bytes + ref.length > max.bytes || storedBytes + stored > max.storedBytes || batch.length >= count;
    if (batch.length > 0 && isFull) {
      yield batch;
      batch = [];
      [bytes, storedBytes, count] = [0, 0, countMax()];
    }
    batch.push(ref);
    bytes += ref.length;
    storedBytes += stored;
  }
  if (batch.length > 0) yield batch;
}

const isWhole = (ref: BodyRef, body: Uint8Array): boolean =>
  body.length === ref.length &&
  Buffer.compare(Bun.SHA256.hash(body, new Uint8Array(32)) as Uint8Array, ref.sha256) === 0;

const isDataLoss = (thrown: unknown): boolean => thrown instanceof StreamError && thrown.code === "data_loss";

const unreadable = ({ object }: BodyRef, cause: unknown): StreamError =>
  new StreamError("unavailable", `The object ${object} cannot be read now; try again.`, {}, cause);

/** The same chunks; rejects at the end when they are not what was written. */
async function* checked(chunks: AsyncIterable<Uint8Array>, ref: BodyRef): AsyncGenerator<Uint8Array, void> {
  const hasher = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  for await (const chunk of chunks) {
    hasher.update(chunk);
    bytes += chunk.length;
    yield chunk;
  }
  if (bytes === ref.length && Buffer.compare(hasher.digest(), ref.sha256) === 0) return;
  throw new StreamError("data_loss", `A body in the object ${ref.object} does not have its checksum.`);
}
