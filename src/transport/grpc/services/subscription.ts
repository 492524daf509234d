/**
 * `StreamService.Subscribe`: one subscription a call, with credit from the client.
 * @module
 */
import type { SubscribeRequest, Subscription, SubscriptionSink } from "../../../broker/contract.ts";
import { StreamError } from "../../../core/errors.ts";
import { creditDefault, sequenceMax } from "../../../core/limits.ts";
import { parseStartPosition } from "../../../core/start.ts";
import { isWildcard, parseConsumerName, parseFilter } from "../../../core/subject.ts";
import type { GrpcCall, MessageReceiver } from "../method.ts";
import { deliverOf, writable } from "../request-metadata.ts";
import {
  frameDamaged,
  frameMessages,
  frameNotify,
  frameSubscribed,
  type RawStart,
  readSubscribeRequest,
} from "../stream-messages.ts";

/** Bodies in one message of the stream: well below what clients take unless they are told otherwise. */
const batchBytes = 256 * 1024;
const modes = ["messages", "notify"] as const;

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });

/** What -1 means on the wire. @throws StreamError `invalid_parameter` */
const parseCredit = (parameter: string, messages: number): number => {
  if (messages < -1 || messages > sequenceMax) {
    throw invalid(parameter, `${parameter} must be an integer from -1 (no limit) to ${sequenceMax}.`);
  }
  return messages === -1 ? Number.POSITIVE_INFINITY : messages;
};

const parseStart = ({ filter: rawFilter, from, mode: rawMode, consumer, credit }: RawStart): SubscribeRequest => {
  const filter = parseFilter(rawFilter);
  const name = consumer === undefined ? undefined : parseConsumerName(consumer);
  if (name !== undefined && isWildcard(filter)) {
    throw invalid("consumer", "A consumer belongs to one subject; its filter has no wildcard.");
  }
  const mode = modes[rawMode];
  if (mode === undefined) throw invalid("mode", "mode must be MODE_MESSAGES or MODE_NOTIFY.");
  return {
    filter,
    // With a consumer `from` is ignored, whatever it says.
    from: parseStartPosition(name !== undefined || from === undefined ? "new" : from),
    mode,
    consumer: name,
    credit: parseCredit("credit", credit ?? creditDefault),
  };
};

const sinkOf = (call: GrpcCall): SubscriptionSink => ({
  batchBytesMax: batchBytes,
  writable: () => call.writable,
  messages: (batch) => call.send(frameMessages(writable(batch))),
  damaged: (message) => call.send(frameDamaged(message)),
  notify: (subject, sequence) => call.send(frameNotify(subject, sequence)),
  ended: (error) => call.fail(error),
});

/** Opens the receiving half of a call. */
export const openSubscription = (call: GrpcCall): MessageReceiver => new SubscriptionCall(call);

class SubscriptionCall implements MessageReceiver {
  #isStarted = false;
  #subscription: Subscription | undefined;
  /** Came before the subscription ran. */
  #creditAhead = 0;

  constructor(private readonly call: GrpcCall) {}

  message(bytes: Buffer): void {
    const request = readSubscribeRequest(bytes);
    if (request.kind === "start" && !this.#isStarted) this.#start(parseStart(request.start));
    else if (request.kind === "credit" && this.#isStarted) this.#credit(parseCredit("messages", request.messages));
    else throw new StreamError("malformed_request", "The first request is a start, and those after it are credit.");
  }

  ended(): void {
    if (!this.#isStarted) throw new StreamError("malformed_request", "The first request is a start.");
  }

  #start(request: SubscribeRequest): void {
    this.#isStarted = true;
    const { call } = this;
    const { broker, signal } = call;
    broker.subscribe({ ...request, deliver: deliverOf(call.metadata) }, sinkOf(call)).then(
      (subscription) => {
        if (signal.aborted) {
          subscription.close();
          return;
        }
        signal.addEventListener("abort", () => subscription.close(), { once: true });
        call.send(frameSubscribed(broker.epoch, subscription.lastSequence));
        call.onDrain(() => subscription.resume());
        this.#subscription = subscription;
        if (this.#creditAhead > 0) subscription.credit(this.#creditAhead);
      },
      (error: unknown) => call.fail(error),
    );
  }

  #credit(messages: number): void {
    if (this.#subscription === undefined) this.#creditAhead += messages;
    else this.#subscription.credit(messages);
  }
}
