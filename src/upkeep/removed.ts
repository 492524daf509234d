/**
 * Objects that are deleted and not forgotten yet. As long as the metadata store knows that an object was handed out, it
 * refuses messages that point into it; a publish may have written into it just before it went, and commits later. So
 * an object is forgotten only when every such publish has ended.
 * @module
 */
import { paceBytesPerMs, publishMsMax } from "../core/limits.ts";

/** A commit that was begun at the deadline of its publish may still be on its way to the store for this long. */
const commitMsMax = 30_000;

/** Deleted objects that are not forgotten, from which on it costs too much when they are handed out over and over. */
const heldMin = 1000;

/** Within this time, in milliseconds, a publish that has written its body has committed it, or never will. */
export const lingerMsOf = (bodyBytesMax: number): number =>
  publishMsMax + Math.ceil(bodyBytesMax / paceBytesPerMs) + commitMsMax;

/** What one process has deleted. When it dies, the objects are handed out again, and deleted again, which is nothing. */
export class RemovedObjects {
  readonly #lingerMs: number;
  readonly #elapsedMs: () => number;
  /** When each was deleted, in that order. */
  readonly #removedAtMs = new Map<string, number>();

  /** @param elapsedMs monotonic milliseconds */
  constructor(lingerMs: number, elapsedMs: () => number) {
    this.#lingerMs = lingerMs;
    this.#elapsedMs = elapsedMs;
  }

  /**
   * For how long nobody needs to be handed what was deleted, in milliseconds: it is forgotten before. Undefined when it
   * is forgotten at once, or left to others, or so little that it may as well come again: then it need not wait when
   * this process dies.
   */
  get holdMs(): number | undefined {
    const isForgottenHere = this.#lingerMs > 0 && Number.isFinite(this.#lingerMs);
    return isForgottenHere && this.#removedAtMs.size >= heldMin ? 2 * this.#lingerMs : undefined;
  }

  has(object: string): boolean {
    return this.#removedAtMs.has(object);
  }

  add(objects: readonly string[]): void {
    const nowMs = this.#elapsedMs();
    for (const object of objects) this.#removedAtMs.set(object, nowMs);
  }

  /** Up to `limit` objects that may be forgotten, the oldest first. */
  due(limit: number): readonly string[] {
    const untilMs = this.#elapsedMs() - this.#lingerMs;
    const due: string[] = [];
    for (const [object, removedAtMs] of this.#removedAtMs) {
      if (removedAtMs > untilMs || due.length === limit) break;
      due.push(object);
    }
    return due;
  }

  /** They are forgotten. */
  drop(objects: readonly string[]): void {
    for (const object of objects) this.#removedAtMs.delete(object);
  }
}
