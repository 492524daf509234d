/**
 * Which messages of the transaction that is under way were acknowledged or given up, for subjects where that may release
 * them.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { Span } from "./spans.ts";

/** Notes of one transaction: for each subject, what its acknowledgements may have completed. */
export class ReleaseNotes {
  #noted = new Map<Subject, Span>();

  /** A consumer acknowledged something from the first to the last of these. */
  note(subject: Subject, first: Sequence, last: Sequence): void {
    const before = this.#noted.get(subject);
    const span = { first: Math.min(first, before?.first ?? first), last: Math.max(last, before?.last ?? last) };
    this.#noted.set(subject, span);
  }

  /** What was noted, which is then forgotten. */
  take(): ReadonlyMap<Subject, Span> {
    const noted = this.#noted;
    if (noted.size > 0) this.#noted = new Map();
    return noted;
  }
}
