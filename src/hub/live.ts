/**
 * Live events: one subscription for each type, so that a caller needs rights for the types that it asks for and the
 * stream knows at every moment where each of them stands.
 * @module
 */
import type { Broker, Delivery, Subscription, SubscriptionSink } from "../broker/contract.ts";
import { readEvent } from "../codec/event.ts";
import type { StreamError } from "../core/errors.ts";
import { type BusinessEvent, type EventType, eventSubject } from "../core/event.ts";
import { pageBodyBytesMax } from "../core/limits.ts";
import type { Sequence } from "../core/message.ts";
import type { SubjectFilter } from "../core/subject.ts";
import type { EventSink, EventStream, StoredEvent } from "./contract.ts";
import { type EventPositions, readCursor, writeCursor } from "./cursor.ts";
import { typesOf } from "./page.ts";

/** What is asked for. */
export interface LiveRequest {
  readonly eventType?: EventType | undefined;
  readonly userId?: string | undefined;
  readonly cursor?: string | undefined;
}

/** Starts a stream. @throws StreamError `invalid_parameter` for a wrong cursor, and as `Broker.subscribe` */
export const startLive = async (broker: Broker, request: LiveRequest, sink: EventSink): Promise<EventStream> => {
  const types = typesOf(request.eventType);
  const from = request.cursor === undefined ? undefined : readCursor(request.cursor, "oldest", broker.epoch, types);
  const live = new LiveEvents(broker.epoch, request.userId, sink);
  try {
    // Each waits for its answer, so that a refusal of one leaves none behind.
    await Promise.all(types.map((type) => live.start(broker, type, from)));
  } catch (thrown) {
    live.close();
    throw thrown;
  }
  // The caller answers first; nothing comes before all have started.
  setImmediate(() => live.release());
  return live;
};

class LiveEvents implements EventStream {
  readonly #subscriptions: Subscription[] = [];
  readonly #positions = new Map<EventType, Sequence>();
  #released = false;
  #closed = false;

  constructor(
    private readonly epoch: string,
    private readonly userId: string | undefined,
    private readonly sink: EventSink,
  ) {}

  async start(broker: Broker, type: EventType, from: EventPositions | undefined): Promise<void> {
    const position = from?.get(type);
    const subscription = await broker.subscribe(
      {
        filter: eventSubject(type) as string as SubjectFilter,
        from: position === undefined ? { kind: "new" } : { kind: "sequence", sequence: position },
        mode: "messages",
        credit: Number.POSITIVE_INFINITY,
      },
      this.#sinkOf(type),
    );
    this.#positions.set(type, position ?? (subscription.lastSequence ?? 0) + 1);
    if (this.#closed) subscription.close();
    else this.#subscriptions.push(subscription);
  }

  release(): void {
    this.#released = true;
    this.resume();
  }

  get cursor(): string {
    return writeCursor("oldest", this.epoch, this.#positions);
  }

  cursorAfter({ eventType, sequence }: BusinessEvent): string {
    return writeCursor("oldest", this.epoch, new Map(this.#positions).set(eventType, sequence + 1));
  }

  resume(): void {
    for (const subscription of this.#subscriptions) subscription.resume();
  }

  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions) subscription.close();
  }

  #sinkOf(type: EventType): SubscriptionSink {
    return {
      batchBytesMax: pageBodyBytesMax,
      writable: () => this.#released && !this.#closed && this.sink.writable(),
      messages: (batch) => this.#deliver(type, batch),
      // Left out; a reader of the subject is told of it.
      damaged: () => undefined,
      notify: () => undefined,
      ended: (error) => this.#end(error),
    };
  }

  #deliver(type: EventType, batch: readonly Delivery[]): void {
    if (this.#closed) return;
    const events: StoredEvent[] = [];
    for (const message of batch) {
      const event = readEvent(message);
      if (event === undefined || (this.userId !== undefined && event.userId !== this.userId)) continue;
      events.push({ event, headers: message.headers });
    }
    const last = batch.at(-1);
    if (last !== undefined) this.#positions.set(type, last.sequence + 1);
    if (events.length > 0) this.sink.events(events);
  }

  #end(error: StreamError): void {
    if (this.#closed) return;
    this.close();
    this.sink.ended(error);
  }
}
