/**
 * The subscribe verb: chooses the kind of follower, sets its starting cursors, and lets it go once the transport has
 * had the chance to answer. Watching begins before the heads are read, so that nothing falls between.
 * @module
 */
import type { Relay } from "../../actors/relay.ts";
import { StreamError } from "../core/errors.ts";
import { ackPendingDefault, ackWaitMsDefault, pageMessagesMax } from "../core/limits.ts";
import type { ConsumerConfig, Head, Sequence } from "../core/message.ts";
import type { StartPosition } from "../core/start.ts";
import { type ConsumerName, filterSubject, type Subject, type SubjectFilter } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import type { SubscribeRequest, Subscription, SubscriptionSink } from "./contract.ts";
import { Follower, type FollowerTools } from "./follower.ts";
import { LeaseFollower } from "./lease-follower.ts";
import { Notifier } from "./notifier.ts";

/** What an unknown consumer becomes: everything from the first message, acknowledged through a sequence. */
const consumerDefaults: ConsumerConfig = {
  start: { kind: "first" },
  ack: "all",
  ackWaitMs: ackWaitMsDefault,
  maxDeliver: 0,
  maxAckPending: ackPendingDefault,
};

/** Resolves `from` against a head. */
export const resolveStart = async (
  metadata: MetadataStore,
  subject: Subject,
  from: StartPosition,
  head: Head,
  nowMs: number,
): Promise<Sequence> => {
  switch (from.kind) {
    case "first":
      return head.firstSequence;
    case "new":
      return head.lastSequence + 1;
    case "last":
      return Math.max(head.lastSequence, head.firstSequence);
    case "sequence":
      return Math.max(from.sequence, head.firstSequence);
    case "age":
      return metadata.sequenceAt(subject, nowMs - from.ageMs);
    case "time":
      return metadata.sequenceAt(subject, from.timestampMs);
  }
};

/** Where a subject starts that shows up after the subscription: it had no message before the one that is told of. */
const startOfNew =
  (from: StartPosition) =>
  (firstTold: Sequence): Sequence => {
    if (from.kind === "first") return 1;
    return from.kind === "sequence" ? Math.max(from.sequence, 1) : firstTold;
  };

type Placed = Follower | Notifier;

/** Starts subscriptions. */
export class Subscriber {
  constructor(
    private readonly metadata: MetadataStore,
    private readonly tools: FollowerTools,
    private readonly nowMs: () => number,
    private readonly relay: Relay | undefined,
  ) {}

  /** @throws StreamError `invalid_parameter`, `unavailable` */
  async subscribe(request: SubscribeRequest, sink: SubscriptionSink): Promise<Subscription> {
    const follower = await this.#start(request, sink);
    // The transport answers first: its reply is written in the microtasks behind this promise.
    setImmediate(() => follower.release());
    return follower;
  }

  async #start(request: SubscribeRequest, sink: SubscriptionSink): Promise<Placed | LeaseFollower> {
    const { consumer, filter } = request;
    if (consumer !== undefined) return this.#startConsumer(request, consumer, sink);
    const subject = filterSubject(filter);
    // What other nodes committed before now must not look new to a wildcard when the feed comes with it later.
    if (subject === undefined) await this.relay?.caughtUp();
    const follower = this.#make(request, sink);
    try {
      if (subject !== undefined) await this.#placeSubject(follower, subject, request.from);
      // A wildcard from `new` needs no cursors: each subject starts at the first message that is told of.
      else if (request.from.kind !== "new") await this.#placeListed(follower, filter, request.from);
    } catch (error) {
      follower.close();
      throw error;
    }
    return follower;
  }

  #make(request: SubscribeRequest, sink: SubscriptionSink): Placed {
    return request.mode === "notify"
      ? new Notifier(request, sink, this.tools.hub)
      : new Follower(request, sink, this.tools, startOfNew(request.from));
  }

  async #placeSubject(follower: Placed, subject: Subject, from: StartPosition): Promise<void> {
    const [head] = await this.metadata.heads([subject]);
    if (head === undefined) throw new StreamError("internal", "A store left a head out.");
    const next = await resolveStart(this.metadata, subject, from, head, this.nowMs());
    follower.place(subject, next, head.lastSequence);
    follower.lastSequence = head.lastSequence;
  }

  async #placeListed(follower: Placed, filter: SubjectFilter, from: StartPosition): Promise<void> {
    let after: string | undefined;
    for (;;) {
      const page = await this.metadata.subjects({ filter, after, limit: pageMessagesMax });
      for (const summary of page.subjects) {
        const next = await resolveStart(this.metadata, summary.subject, from, summary, this.nowMs());
        follower.placeListed(summary.subject, next, summary.lastSequence);
      }
      after = page.subjects.at(-1)?.subject;
      if (!page.hasMore || after === undefined) return;
    }
  }

  async #startConsumer(
    request: SubscribeRequest,
    consumer: ConsumerName,
    sink: SubscriptionSink,
  ): Promise<Placed | LeaseFollower> {
    const subject = filterSubject(request.filter);
    if (subject === undefined) {
      throw new StreamError("invalid_parameter", "A consumer follows one subject; the filter must have no wildcard.", {
        parameter: "filter",
      });
    }
    let state = await this.metadata.consumer(subject, consumer);
    state ??= (await this.metadata.putConsumer(subject, consumer, consumerDefaults)).state;
    if (state.ack === "explicit" && request.mode === "messages") {
      const follower = new LeaseFollower(subject, consumer, request, sink, this.metadata, this.tools);
      return follower;
    }
    const follower = this.#make(request, sink);
    this.#endWithConsumer(follower, subject, consumer, sink);
    try {
      await this.#placeSubject(follower, subject, { kind: "sequence", sequence: state.ackedThrough + 1 });
    } catch (error) {
      follower.close();
      throw error;
    }
    return follower;
  }

  /** Ends a cursor subscription when its consumer is deleted. */
  #endWithConsumer(follower: Placed, subject: Subject, consumer: ConsumerName, sink: SubscriptionSink): void {
    const unwatch = this.tools.hub.watchConsumer(subject, consumer, {
      changed: () => undefined,
      deleted: () => {
        follower.close();
        sink.ended(new StreamError("consumer_not_found", "The consumer was deleted.", { consumer }));
      },
    });
    const close = follower.close.bind(follower);
    follower.close = () => {
      unwatch();
      close();
    };
  }
}
