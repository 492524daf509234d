/**
 * A subscription in notify mode: only the latest sequence of each subject, coalesced until the sink can take it.
 * @module
 */
import type { Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { SubscribeRequest, Subscription, SubscriptionSink } from "./contract.ts";
import type { Hub, Watcher } from "./hub.ts";

/** Tells one subscription that subjects moved. */
export class Notifier implements Subscription, Watcher {
  lastSequence?: Sequence | undefined;
  /** Not told yet. */
  readonly #pending = new Map<Subject, Sequence>();
  /** The highest that was told, so that it never goes backwards. */
  readonly #told = new Map<Subject, Sequence>();
  #holding = true;
  #scheduled = false;
  #open = true;
  readonly #unwatch: () => void;

  constructor(
    request: SubscribeRequest,
    private readonly sink: SubscriptionSink,
    hub: Hub,
  ) {
    this.#unwatch = hub.watch(request.filter, this);
  }

  /** Sets where a subject starts: a first notification is due when there is anything from `next` on. */
  place(subject: Subject, next: Sequence, last: Sequence): void {
    const latest = Math.max(last, this.#pending.get(subject) ?? 0);
    this.#told.set(subject, next - 1);
    if (latest >= next) this.#pending.set(subject, latest);
    else this.#pending.delete(subject);
  }

  placeListed(subject: Subject, next: Sequence, last: Sequence): void {
    this.place(subject, next, last);
  }

  release(): void {
    this.#holding = false;
    this.#flush();
  }

  moved(subject: Subject, _first: Sequence, last: Sequence): void {
    if (last <= Math.max(this.#told.get(subject) ?? 0, this.#pending.get(subject) ?? 0)) return;
    this.#pending.set(subject, last);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After this turn: all commits that came back together make one notification a subject.
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  credit(): void {
    // Notifications are outside the credit.
  }

  resume(): void {
    this.#flush();
  }

  close(): void {
    this.#open = false;
    this.#unwatch();
    this.#pending.clear();
    this.#told.clear();
  }

  #flush(): void {
    if (this.#holding) return;
    for (const [subject, sequence] of this.#pending) {
      if (!this.#open || !this.sink.writable()) return;
      this.#pending.delete(subject);
      this.#told.set(subject, sequence);
      this.sink.notify(subject, sequence);
    }
  }
}
