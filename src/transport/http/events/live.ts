/**
 * A live tail of events: server-sent events whose ids are cursors. What is unsent is bounded: while the client is slow
 * nothing more is taken from the stream, which goes on from storage afterwards.
 * @module
 */
import { eventView } from "../../../codec/event.ts";
import { errorView } from "../../../codec/view.ts";
import type { StreamError } from "../../../core/errors.ts";
import { pushPauseBytes } from "../../../core/limits.ts";
import type { EventHub, EventSink, EventStream, StoredEvent } from "../../../hub/contract.ts";
import { mediaTypes } from "../accept.ts";
import { queryInteger } from "../query.ts";
import type { HttpCall, HttpServices } from "../route.ts";
import { formatEvent, keepAliveComment } from "../sse.ts";
import type { OpenTail, TailSet } from "../tails.ts";
import { eventFilter, pageEventsMax, pageQuery } from "./list.ts";

const utf8 = new TextEncoder();

const headers = {
  "content-type": mediaTypes.events[0],
  "cache-control": "no-store",
  vary: "Accept",
  // Proxies that gather responses would hold events back.
  "x-accel-buffering": "no",
};

/** Opens a tail. Rejects with the error of the hub, before anything was sent. */
export const openEventTail = async (
  { broker, query, request }: HttpCall,
  hub: EventHub,
  { tails, keepOpen }: HttpServices,
): Promise<Response> => {
  // `since` and `order` belong to pages and play no part, but what is wrong is wrong everywhere.
  const { cursor } = pageQuery(query);
  const eventsMax = queryInteger(query, "limit", { min: 1, max: pageEventsMax }, Number.POSITIVE_INFINITY);
  // HEAD must not leave a stream behind that nobody reads.
  if (request.method === "HEAD") return new Response(null, { headers });
  keepOpen(request);
  const tail = new EventsTail(eventsMax, tails);
  // A browser reconnects to the address that it first opened: what it says of its place counts more.
  const from = request.headers.get("last-event-id") ?? cursor;
  const stream = await hub.stream(broker, { ...eventFilter(query), cursor: from === "" ? undefined : from }, tail);
  tail.open(stream, broker.epoch, request);
  if (request.signal.aborted) tail.end();
  else request.signal.addEventListener("abort", () => tail.end(), { once: true });
  return new Response(tail.body, { headers });
};

class EventsTail implements EventSink, OpenTail {
  readonly body: ReadableStream<Uint8Array>;
  readonly #eventsMax: number;
  readonly #tails: TailSet;
  /** Set while the stream is made. */
  #output: ReadableStreamDefaultController<Uint8Array> | undefined;
  #stream: EventStream | undefined;
  #events = 0;
  #ended = false;

  constructor(eventsMax: number, tails: TailSet) {
    this.#eventsMax = eventsMax;
    this.#tails = tails;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller;
        },
        pull: () => this.#stream?.resume(),
        cancel: () => this.#stop(),
      },
      { highWaterMark: pushPauseBytes, size: (chunk?: Uint8Array) => chunk?.byteLength ?? 0 },
    );
  }

  /** Sends the first event, which tells where the stream begins; the others come after it. */
  open(stream: EventStream, epoch: string, request: Request): void {
    this.#stream = stream;
    if (this.#ended) {
      stream.close();
      return;
    }
    this.#tails.add(this, request);
    this.#send(formatEvent({ event: "open", id: stream.cursor, data: { epoch, cursor: stream.cursor } }));
  }

  writable(): boolean {
    return !this.#ended && (this.#output?.desiredSize ?? 0) > 0;
  }

  events(batch: readonly StoredEvent[]): void {
    const wanted = batch.slice(0, this.#eventsMax - this.#events);
    this.#events += wanted.length;
    this.#send(
      wanted.map(({ event }) => formatEvent({ id: this.#stream?.cursorAfter(event), data: eventView(event) })).join(""),
    );
    if (this.#events >= this.#eventsMax) this.end();
  }

  ended(error: StreamError): void {
    this.#send(formatEvent({ event: "error", data: errorView(error) }));
    this.end();
  }

  keepAlive(): void {
    if (this.writable()) this.#send(keepAliveComment);
  }

  end(): void {
    if (this.#ended) return;
    this.#stop();
    this.#output?.close();
  }

  #stop(): void {
    this.#ended = true;
    this.#tails.delete(this);
    this.#stream?.close();
  }

  #send(text: string): void {
    if (!this.#ended && text !== "") this.#output?.enqueue(utf8.encode(text));
  }
}
