/**
 * A live tail of events: server-sent events whose ids are cursors. While the client is slow nothing more is taken from
 * the stream, which goes on from storage afterwards.
 * @module
 */
import { eventView } from "../../../codec/event.ts";
import type { StreamError } from "../../../core/errors.ts";
import type { EventHub, EventSink, EventStream, StoredEvent } from "../../../hub/contract.ts";
import { queryInteger } from "../query.ts";
import type { HttpCall, HttpServices } from "../route.ts";
import { formatEvent } from "../sse.ts";
import { eventStreamHeaders as headers, SseOutput } from "../sse-output.ts";
import type { TailSet } from "../tails.ts";
import { eventFilter, pageEventsMax, pageQuery } from "./list.ts";

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
  return new Response(tail.output.body, { headers });
};

class EventsTail implements EventSink {
  readonly output: SseOutput;
  readonly #eventsMax: number;
  #stream: EventStream | undefined;
  #events = 0;

  constructor(eventsMax: number, tails: TailSet) {
    this.#eventsMax = eventsMax;
    this.output = new SseOutput(tails);
  }

  /** Sends the first event, which tells where the stream begins; the others come after it. */
  open(stream: EventStream, epoch: string, request: Request): void {
    this.#stream = stream;
    this.output.open(stream, request);
    this.output.send(formatEvent({ event: "open", id: stream.cursor, data: { epoch, cursor: stream.cursor } }));
  }

  writable(): boolean {
    return this.output.writable();
  }

  events(batch: readonly StoredEvent[]): void {
    const wanted = batch.slice(0, this.#eventsMax - this.#events);
    this.#events += wanted.length;
    this.output.send(
      wanted.map(({ event }) => formatEvent({ id: this.#stream?.cursorAfter(event), data: eventView(event) })).join(""),
    );
    if (this.#events >= this.#eventsMax) this.output.end();
  }

  ended(error: StreamError): void {
    this.output.fail(error);
  }
}
