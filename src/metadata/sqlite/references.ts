/**
 * What a commit means for the objects that its messages point into: each object, and each subject of it, is written
 * once, however many messages there are.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { CommitEntry } from "../contract.ts";
import { noObjectId, type ObjectTable, type Reference, storedBytes } from "./objects.ts";

/** Where entries come from: a publisher, the delayed messages, or messages that are stored already. */
export type Origin = "published" | "delayed" | "copied";

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
    if (this.#origin === "published") reference.newBytes += bytes;
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

interface Range {
  readonly objectId: number;
  readonly subjectId: number;
  readonly first: Sequence;
  last: Sequence;
}

/** Where the messages of one transaction are, by object and subject. */
export class SpanNotes {
  readonly #objects = new Map<number, Map<number, Range>>();
  /** Mostly the next message has the same object and subject. */
  #latest: Range | undefined;

  /** Sequences of one object and subject ascend. */
  note(objectId: number, subjectId: number, sequence: Sequence): void {
    let range = this.#latest;
    if (range?.objectId !== objectId || range.subjectId !== subjectId) {
      if (objectId === noObjectId) return;
      range = this.#rangeOf(objectId, subjectId, sequence);
      this.#latest = range;
    }
    range.last = sequence;
  }

  /** @param origin what is not published comes one by one, and is put to what is near it */
  save(objects: ObjectTable, origin: Origin): void {
    for (const ranges of this.#objects.values()) {
      for (const { objectId, subjectId, first, last } of ranges.values()) {
        if (origin === "published") objects.addSpan(objectId, subjectId, first, last);
        else objects.growSpan(objectId, subjectId, first, last);
      }
    }
  }

  #rangeOf(objectId: number, subjectId: number, sequence: Sequence): Range {
    let ranges = this.#objects.get(objectId);
    if (ranges === undefined) this.#objects.set(objectId, (ranges = new Map<number, Range>()));
    let range = ranges.get(subjectId);
    if (range === undefined) ranges.set(subjectId, (range = { objectId, subjectId, first: sequence, last: sequence }));
    return range;
  }
}
