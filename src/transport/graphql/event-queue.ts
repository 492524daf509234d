/**
 * A live stream of events as an async iterable. What waits in it is bounded: the stream pauses when nobody takes, and
 * goes on from storage.
 * @module
 */
import type { Broker } from "../../broker/contract.ts";
import type { StreamError } from "../../core/errors.ts";
import type { EventFilter, EventHub, EventSink, EventStream, StoredEvent } from "../../hub/contract.ts";
import { type EventNode, eventNode } from "./nodes.ts";

/** Events that wait, beyond the batch that was the last to fit. */
const waitingMax = 1000;

/** What the subscription's field resolves from. */
export interface StreamedEvent {
  readonly eventStream: EventNode;
}

/**
 * Opens a stream.
 * @throws StreamError as `EventHub.stream`
 */
export const openEventQueue = async (
  hub: EventHub,
  broker: Broker,
  request: EventFilter & { readonly cursor?: string | undefined },
): Promise<AsyncIterableIterator<StreamedEvent>> => {
  const queue = new EventQueue();
  queue.started(await hub.stream(broker, request, queue));
  return queue;
};

class EventQueue implements EventSink, AsyncIterableIterator<StreamedEvent> {
  #events: StreamedEvent[] = [];
  #next = 0;
  #stream: EventStream | undefined;
  #paused = false;
  #over = false;
  #error: StreamError | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<StreamedEvent>> | undefined;

  started(stream: EventStream): void {
    this.#stream = stream;
    if (this.#over) stream.close();
  }

  // What the stream calls.

  writable(): boolean {
    if (this.#events.length - this.#next < waitingMax) return true;
    this.#paused = true;
    return false;
  }

  events(batch: readonly StoredEvent[]): void {
    if (this.#over) return;
    for (const { event } of batch) {
      // Now, because it stands for what comes before the event, in all types.
      this.#events.push({ eventStream: eventNode(event, this.#stream?.cursorAfter(event)) });
    }
    this.#wake();
  }

  ended(error: StreamError): void {
    this.#over = true;
    this.#error = error;
    this.#wake();
  }

  // What the reader calls.

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<StreamedEvent>> {
    const event = this.#take();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<IteratorResult<StreamedEvent>> {
    this.#over = true;
    this.#events = [];
    this.#next = 0;
    this.#stream?.close();
    this.#wake();
    return Promise.resolve({ done: true, value: undefined });
  }

  #take(): StreamedEvent | undefined {
    const event = this.#events[this.#next];
    if (event === undefined) return undefined;
    this.#next++;
    if (this.#next === this.#events.length) {
      this.#events = [];
      this.#next = 0;
    }
    if (this.#paused && this.#events.length - this.#next < waitingMax / 2) {
      this.#paused = false;
      this.#stream?.resume();
    }
    return event;
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.next().then(waiting.resolve, waiting.reject);
  }
}
