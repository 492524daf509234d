/**
 * A live tail: a subscription whose messages go out as server-sent events. What is unsent is bounded: pushes pause
 * while the client is slow and go on from storage.
 * @module
 */

import type { DamagedMessage, DeliverAs, Delivery, Subscription, SubscriptionSink } from "../../broker/contract.ts";
import { errorView, messageView, type View } from "../../codec/view.ts";
import type { StreamError } from "../../core/errors.ts";
import { largeBodyBytesMin, pushPauseBytes } from "../../core/limits.ts";
import type { StartPosition } from "../../core/start.ts";
import { parseFilter, type Subject } from "../../core/subject.ts";
import { mediaTypes } from "./accept.ts";
import type { HttpCall } from "./route.ts";
import { formatEvent, keepAliveComment } from "./sse.ts";
import type { OpenTail, TailSet } from "./tails.ts";

const utf8 = new TextEncoder();

/** What a tail shows. */
export interface TailRequest {
  readonly subject: Subject;
  readonly from: StartPosition;
  /** The stream ends after so many messages; `Infinity` = never. */
  readonly messagesMax: number;
  readonly headersOnly: boolean;
  readonly deliver?: DeliverAs | undefined;
}

const headers = {
  "content-type": mediaTypes.events[0],
  "cache-control": "no-store",
  vary: "Accept",
  // Proxies that gather responses would hold events back.
  "x-accel-buffering": "no",
};

/** Opens a tail. Rejects with the broker's error, before anything was sent. */
export const tailResponse = async (
  tails: TailSet,
  { broker, request }: Pick<HttpCall, "broker" | "request">,
  wanted: TailRequest,
): Promise<Response> => {
  // HEAD must not leave a subscription behind that nobody reads.
  if (request.method === "HEAD") return new Response(null, { headers });
  const tail = new EventTail(wanted, tails);
  const filter = parseFilter(wanted.subject);
  const { from, deliver } = wanted;
  const subscription = await broker.subscribe({ filter, from, mode: "messages", credit: Infinity, deliver }, tail);
  tail.open(subscription, broker.epoch, request);
  if (request.signal.aborted) tail.end();
  else request.signal.addEventListener("abort", () => tail.end(), { once: true });
  return new Response(tail.stream, { headers });
};

class EventTail implements SubscriptionSink, OpenTail {
  readonly batchBytesMax = largeBodyBytesMin;
  readonly stream: ReadableStream<Uint8Array>;
  readonly #request: TailRequest;
  readonly #tails: TailSet;
  /** Set while the stream is made. */
  #output: ReadableStreamDefaultController<Uint8Array> | undefined;
  #subscription: Subscription | undefined;
  #messages = 0;
  #ended = false;

  constructor(request: TailRequest, tails: TailSet) {
    this.#request = request;
    this.#tails = tails;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller;
        },
        pull: () => this.#subscription?.resume(),
        cancel: () => this.#stop(),
      },
      { highWaterMark: pushPauseBytes, size: (chunk?: Uint8Array) => chunk?.byteLength ?? 0 },
    );
  }

  /** Sends the first event; messages come only after it. */
  open(subscription: Subscription, epoch: string, request: Request): void {
    this.#subscription = subscription;
    if (this.#ended) {
      subscription.close();
      return;
    }
    this.#tails.add(this, request);
    const { lastSequence } = subscription;
    const position = lastSequence === undefined ? {} : { last_sequence: lastSequence };
    this.#send(formatEvent({ event: "open", data: { epoch, subject: this.#request.subject, ...position } }));
  }

  writable(): boolean {
    return !this.#ended && (this.#output?.desiredSize ?? 0) > 0;
  }

  messages(batch: readonly Delivery[]): void {
    const wanted = batch.slice(0, this.#request.messagesMax - this.#messages);
    this.#messages += wanted.length;
    this.#send(wanted.map((message) => formatEvent({ id: message.sequence, data: this.#view(message) })).join(""));
    if (this.#messages >= this.#request.messagesMax) this.end();
  }

  damaged({ sequence, error }: DamagedMessage): void {
    // With its id, so that a client that resumes goes on behind it.
    this.#send(formatEvent({ event: "error", id: sequence, data: { ...errorView(error), sequence } }));
  }

  notify(): void {
    // Tails subscribe to messages, never to notifications.
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
    this.#subscription?.close();
  }

  #send(text: string): void {
    if (!this.#ended && text !== "") this.#output?.enqueue(utf8.encode(text));
  }

  #view(message: Delivery): View {
    const { headersOnly } = this.#request;
    // Bytes are not turned into text only to be left out.
    const view = messageView(message, { binary: headersOnly });
    return headersOnly ? { ...view, data: undefined, pointer: undefined } : view;
  }
}
