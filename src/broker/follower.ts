/**
 * A follower is one subscription's cursors: per subject the next sequence to deliver. At the tail it is fed from
 * memory, behind it from storage, and moves from one to the other without gap or repeat, because the cursor alone
 * decides what comes next. It delivers synchronously as long as memory has it.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import type { RecentMessage } from "../../actors/committer.ts";
import { toStreamError } from "../core/errors.ts";
import type { Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import { batchesOf } from "./batches.ts";
import type { DeliverAs, Delivery, SubscribeRequest, Subscription, SubscriptionSink } from "./contract.ts";
import type { Hub, Watcher } from "./hub.ts";
import { boundsFor, type LoadedMessages, type Reader } from "./reader.ts";

interface Cursor {
  /** The next sequence to deliver. */
  next: Sequence;
  /** The last sequence known to exist. */
  last: Sequence;
}

/** What a follower works with. */
export interface FollowerTools {
  readonly hub: Hub;
  readonly reader: Reader;
  readonly timers: Timers;
  /** Messages in one read from storage. */
  readonly readCountMax: number;
  /** Bytes of bodies in one read: more than a sink takes at once, because a read of a remote store costs a round trip. */
  readonly readBytesMax: number;
  /** Pause before a read that failed is tried again. */
  readonly retryMs: number;
}

/** What a message that came from memory becomes: it was never delivered under a name before. */
const deliveries = new WeakMap<RecentMessage, Delivery>();
const fromMemory = (message: RecentMessage): Delivery => {
  let delivery = deliveries.get(message);
  if (delivery === undefined) {
    const { subject, sequence, timestampMs, headers, body, sha256, expiresAtMs } = message;
    delivery = { subject, sequence, timestampMs, headers, body, sha256, expiresAtMs, deliveries: 1 };
    deliveries.set(message, delivery);
  }
  return delivery;
};

/** What was read. */
interface NextMessages extends LoadedMessages {
  readonly nextSequence: Sequence;
  /** The last that is known to exist. */
  readonly lastSequence: Sequence;
}

/** Follows one filter for one subscription. */
export class Follower implements Subscription, Watcher {
  lastSequence?: Sequence | undefined;
  readonly #cursors = new Map<Subject, Cursor>();
  /** Subjects with something to deliver, in turn. */
  readonly #ready = new Set<Subject>();
  readonly #deliverAs: DeliverAs;
  #credit: number;
  #open = true;
  /** Set until the subscription was answered and its starting cursors are set: only collects what moved. */
  #holding = true;
  #reading = false;
  #pumping = false;
  #unwatch: () => void;

  /**
   * @param startOf where a subject starts that shows up by itself, given the first of its sequences that was told of
   */
  constructor(
    request: SubscribeRequest,
    private readonly sink: SubscriptionSink,
    private readonly tools: FollowerTools,
    private readonly startOf: (firstTold: Sequence) => Sequence,
  ) {
    this.#credit = request.credit;
    this.#deliverAs = request.deliver ?? "body";
    this.#unwatch = tools.hub.watch(request.filter, this);
  }

  /** Sets where a subject starts and what is known to exist; what it was told of meanwhile only raises `last`. */
  place(subject: Subject, next: Sequence, last: Sequence): void {
    const told = this.#cursors.get(subject);
    this.#setCursor(subject, { next, last: Math.max(last, told?.last ?? 0) });
  }

  /** As `place`, for a subject of a wildcard: what it was told of since it began is delivered in any case. */
  placeListed(subject: Subject, next: Sequence, last: Sequence): void {
    const told = this.#cursors.get(subject);
    this.place(subject, Math.min(next, told?.next ?? next), last);
  }

  /** Starts delivering. */
  release(): void {
    this.#holding = false;
    this.#pump();
  }

  moved(subject: Subject, first: Sequence, last: Sequence, inOrder: boolean): void {
    const cursor = this.#cursors.get(subject);
    // Told out of order, an earlier message of another node may still be on its way: the feed comes with both.
    if (cursor === undefined && !inOrder) return;
    if (cursor === undefined) this.#setCursor(subject, { next: this.startOf(first), last });
    else {
      if (last > cursor.last) cursor.last = last;
      if (cursor.next <= cursor.last) this.#ready.add(subject);
    }
    this.#pump();
  }

  credit(messages: number): void {
    this.#credit += messages;
    this.#pump();
  }

  resume(): void {
    this.#pump();
  }

  close(): void {
    this.#open = false;
    this.#unwatch();
    this.#cursors.clear();
    this.#ready.clear();
  }

  #setCursor(subject: Subject, cursor: Cursor): void {
    this.#cursors.set(subject, cursor);
    if (cursor.next <= cursor.last) this.#ready.add(subject);
    else this.#ready.delete(subject);
  }

  /** Delivers what is there while there is credit and room. Not re-entered: a sink may call back into it. */
  #pump(): void {
    if (this.#pumping || this.#holding || this.#reading) return;
    this.#pumping = true;
    try {
      for (const subject of this.#ready) {
        if (!this.#open || this.#credit <= 0 || !this.sink.writable()) return;
        if (!this.#deliverFromMemory(subject)) {
          this.#readOn(subject);
          return;
        }
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Whether memory had all there is of the subject, as far as credit and room went. */
  #deliverFromMemory(subject: Subject): boolean {
    const cursor = this.#cursors.get(subject);
    while (cursor !== undefined && cursor.next <= cursor.last && this.#open) {
      if (this.#credit <= 0 || !this.sink.writable()) return true;
      // Pointers have to be signed and codings to be undone, which takes its time.
      if (this.#deliverAs !== "body") return false;
      const { tails } = this.tools.hub;
      const messages = tails.read(subject, cursor.next, this.#credit, this.sink.batchBytesMax);
      if (messages === undefined) return false;
      this.#deliver(cursor, messages.map(fromMemory), cursor.next + messages.length);
    }
    this.#ready.delete(subject);
    return true;
  }

  #deliver(cursor: Cursor, messages: readonly Delivery[], next: Sequence): void {
    cursor.next = next;
    this.#credit -= messages.length;
    for (const batch of batchesOf(messages, this.sink.batchBytesMax)) {
      // A sink may end the subscription when it has enough.
      if (!this.#open) return;
      this.sink.messages(batch);
    }
  }

  #readOn(subject: Subject): void {
    const cursor = this.#cursors.get(subject);
    if (cursor === undefined) return;
    this.#reading = true;
    this.#load(subject, cursor).then(
      (page) => {
        if (!this.#open) return;
        for (const message of page.damaged) this.sink.damaged(message);
        cursor.last = Math.max(cursor.last, page.lastSequence);
        this.#deliver(cursor, page.messages, page.nextSequence);
        // Only now: a sink that calls back when it is told of damage would read the same page again.
        this.#reading = false;
        // To the end of the line, so that one long backlog does not starve the other subjects.
        this.#ready.delete(subject);
        if (cursor.next <= cursor.last) this.#ready.add(subject);
        this.#pump();
      },
      (error: unknown) => this.#retry(error),
    );
  }

  /** What comes next, as it is wanted, from memory or from storage. */
  async #load(subject: Subject, cursor: Cursor): Promise<NextMessages> {
    const deliver = this.#deliverAs;
    const { hub, reader, readCountMax, readBytesMax } = this.tools;
    const bytesMax = Math.max(this.sink.batchBytesMax, readBytesMax);
    const bounds = boundsFor(deliver, {
      limit: Math.min(this.#credit, readCountMax),
      bodyBytesMax: deliver === "pointer" ? Number.MAX_SAFE_INTEGER : bytesMax,
    });
    const recent =
      deliver === "body" ? undefined : hub.tails.read(subject, cursor.next, bounds.limit, bounds.bodyBytesMax);
    if (recent !== undefined) {
      const messages = await reader.recent(recent, deliver);
      const nextSequence = (messages.at(-1)?.sequence ?? cursor.next) + 1;
      return { messages, damaged: [], nextSequence, lastSequence: nextSequence - 1 };
    }
    const page = await reader.page(subject, cursor.next, bounds, deliver);
    return { ...page, lastSequence: page.head.lastSequence };
  }

  /** A store that does not answer delays a subscription; it does not end it. */
  #retry(error: unknown): void {
    const { retryable, code } = toStreamError(error);
    if (!retryable && code !== "internal") {
      this.close();
      this.sink.ended(toStreamError(error));
      return;
    }
    this.tools.timers.after(this.tools.retryMs, () => {
      this.#reading = false;
      this.#pump();
    });
  }
}
