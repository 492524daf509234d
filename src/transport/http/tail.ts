/**
 * A live tail: a subscription whose messages go out as server-sent events. Pushes pause while the client is slow and go
 * on from storage.
 * @module
 */

import type { DamagedMessage, DeliverAs, Delivery, Subscription, SubscriptionSink } from "../../broker/contract.ts";
import { errorView, messageView, type View } from "../../codec/view.ts";
import type { StreamError } from "../../core/errors.ts";
import { largeBodyBytesMin } from "../../core/limits.ts";
import type { StartPosition } from "../../core/start.ts";
import { parseFilter, type Subject } from "../../core/subject.ts";
import type { HttpCall } from "./route.ts";
import { formatEvent } from "./sse.ts";
import { eventStreamHeaders as headers, SseOutput } from "./sse-output.ts";
import type { TailSet } from "./tails.ts";

/** What a tail shows. */
export interface TailRequest {
  readonly subject: Subject;
  readonly from: StartPosition;
  /** The stream ends after so many messages; `Infinity` = never. */
  readonly messagesMax: number;
  readonly headersOnly: boolean;
  readonly deliver?: DeliverAs | undefined;
}

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
  return new Response(tail.output.body, { headers });
};

class EventTail implements SubscriptionSink {
  readonly batchBytesMax = largeBodyBytesMin;
  readonly output: SseOutput;
  readonly #request: TailRequest;
  #messages = 0;

  constructor(request: TailRequest, tails: TailSet) {
    this.#request = request;
    this.output = new SseOutput(tails);
  }

  /** Sends the first event; messages come only after it. */
  open(subscription: Subscription, epoch: string, request: Request): void {
    this.output.open(subscription, request);
    const { lastSequence } = subscription;
    const position = lastSequence === undefined ? {} : { last_sequence: lastSequence };
    this.output.send(formatEvent({ event: "open", data: { epoch, subject: this.#request.subject, ...position } }));
  }

  writable(): boolean {
    return this.output.writable();
  }

  messages(batch: readonly Delivery[]): void {
    const wanted = batch.slice(0, this.#request.messagesMax - this.#messages);
    this.#messages += wanted.length;
    this.output.send(
      wanted.map((message) => formatEvent({ id: message.sequence, data: this.#view(message) })).join(""),
    );
    if (this.#messages >= this.#request.messagesMax) this.output.end();
  }

  damaged({ sequence, error }: DamagedMessage): void {
    // With its id, so that a client that resumes goes on behind it.
    this.output.send(formatEvent({ event: "error", id: sequence, data: { ...errorView(error), sequence } }));
  }

  notify(): void {
    // Tails subscribe to messages, never to notifications.
  }

  ended(error: StreamError): void {
    this.output.fail(error);
  }

  #view(message: Delivery): View {
    const { headersOnly } = this.#request;
    // Bytes are not turned into text only to be left out.
    const view = messageView(message, { binary: headersOnly });
    return headersOnly ? { ...view, data: undefined, pointer: undefined } : view;
  }
}
