/**
 * What a commit means for the objects that its messages point into: each is written once, however many messages there
 * are.
 * @module
 */
import type { CommitEntry } from "../contract.ts";
import { isNew, type Origin, type Reference, storedBytes } from "./objects.ts";

/** What entries come to need of each object. */
export class References {
  readonly #objects = new Map<string, Reference>();
  readonly #origin: Origin;
  #latest: Reference = { messages: 0, newBytes: 0, aliveBytes: 0 };
  #latestObject: string | undefined;

  constructor(origin: Origin) {
    this.#origin = origin;
  }

  /** Counts an entry. */
  add({ body }: CommitEntry): void {
    // Mostly it is in the same object as the one before.
    if (body.object !== this.#latestObject) this.#turnTo(body.object);
    // A delayed message hands its own reference on.
    if (this.#origin === "delayed") return;
    const reference = this.#latest;
    const bytes = storedBytes(body);
    reference.messages++;
    reference.aliveBytes += bytes;
    if (isNew(this.#origin)) reference.newBytes += bytes;
  }

  /** By the name of the object. */
  all(): Iterable<[string, Reference]> {
    return this.#objects;
  }

  #turnTo(object: string): void {
    let reference = this.#objects.get(object);
    if (reference === undefined) this.#objects.set(object, (reference = { messages: 0, newBytes: 0, aliveBytes: 0 }));
    this.#latest = reference;
    this.#latestObject = object;
  }
}
