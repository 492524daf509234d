/**
 * What a transaction committed by itself (delayed messages, dead letters, redriven ones, those of actors), told when it is durable.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { Moved } from "../contract.ts";

/** Notes of the transaction that is under way, and who is told of them. */
export class MovedNotes {
  readonly #listeners: ((moved: readonly Moved[]) => void)[] = [];
  readonly #noted = new Map<Subject, Moved>();

  listen(listener: (moved: readonly Moved[]) => void): void {
    this.#listeners.push(listener);
  }

  /** One transaction gives out a subject's sequences without a gap. */
  note(subject: Subject, sequence: Sequence): void {
    const first = this.#noted.get(subject)?.first ?? sequence;
    this.#noted.set(subject, { subject, first, last: sequence });
  }

  /** Tells of what was noted; after the transaction. */
  tell(): void {
    if (this.#noted.size === 0) return;
    const moved = [...this.#noted.values()];
    this.#noted.clear();
    for (const listener of this.#listeners) listener(moved);
  }

  /** Forgets what was noted: the transaction was undone. */
  drop(): void {
    this.#noted.clear();
  }
}
