/**
 * `eventhub.EventHub`: business events over gRPC, with the rules of `POST /events`.
 * @module
 */
import { parseMessageId } from "../../../codec/draft.ts";
import { checkEvent, invalidEvent, isEventType, isUserId, userIdCharsMax } from "../../../codec/event.ts";
import { type FieldFault, StreamError, toStreamError } from "../../../core/errors.ts";
import { eventTypes } from "../../../core/event.ts";
import type { EventHub, EventStream, EventSubmission, StoredEvent } from "../../../hub/contract.ts";
import {
  frameEvent,
  frameSummary,
  type RawSubmission,
  readSendEvent,
  readStreamEvents,
  type SendEventsSummary,
  writeSent,
} from "../event-messages.ts";
import type { GrpcCall, MessageReceiver, Route } from "../method.ts";

/** Failures of a stream that are named one by one. */
const failuresMax = 100;
/** Events of a stream that go to the store together. */
const batchMax = 1000;
/** Waiting events of a stream at which its client has to wait. */
const waitingMax = 4 * batchMax;

/** @throws StreamError `invalid_event`, with all that is wrong */
const submissionOf = ({ event, idempotencyKey }: RawSubmission): EventSubmission => {
  const { draft, faults } = checkEvent(event);
  const keyFault = faultOfKey(idempotencyKey);
  if (draft === undefined || keyFault !== undefined) {
    throw invalidEvent(keyFault === undefined ? faults : [...faults, keyFault]);
  }
  return { event: draft, idempotencyKey };
};

const faultOfKey = (key: string | undefined): FieldFault | undefined => {
  if (key === undefined) return undefined;
  try {
    parseMessageId(key);
    return undefined;
  } catch (thrown) {
    return { field: "idempotency_key", detail: toStreamError(thrown).message };
  }
};

const sendEvent =
  (hub: EventHub) =>
  async (request: Buffer, { broker }: GrpcCall): Promise<Uint8Array> => {
    const [receipt] = await hub.send(broker, [submissionOf(readSendEvent(request))]);
    if (receipt === undefined) throw new StreamError("internal", "An event was not answered.");
    if (receipt instanceof StreamError) throw receipt;
    return writeSent(receipt.event, receipt.duplicate);
  };

/** Takes events in as they come, stores them in batches, and makes the client wait when it is ahead of the store. */
class EventIntake implements MessageReceiver {
  readonly #summary: SendEventsSummary = { stored: 0, duplicates: 0, failed: 0, failures: [] };
  #received = 0;
  #waiting: { readonly index: number; readonly submission: EventSubmission }[] = [];
  #isStoring = false;
  #isEnded = false;

  constructor(
    private readonly hub: EventHub,
    private readonly call: GrpcCall,
  ) {}

  message(bytes: Buffer): void {
    const index = this.#received++;
    try {
      this.#waiting.push({ index, submission: submissionOf(readSendEvent(bytes)) });
    } catch (thrown) {
      const error = toStreamError(thrown);
      // A message that cannot be read is the end of the call, an event that is wrong is its own affair.
      if (error.code === "malformed_body") throw error;
      this.#failed(index, error);
    }
    if (this.#waiting.length >= waitingMax) this.call.hold(true);
    this.#store();
  }

  ended(): void {
    this.#isEnded = true;
    this.#store();
  }

  #store(): void {
    if (this.#isStoring) return;
    this.#isStoring = true;
    this.#storeAll().catch((error: unknown) => this.call.fail(error));
  }

  async #storeAll(): Promise<void> {
    const { call, hub } = this;
    // A turn later, so that what came in one piece is one batch.
    await Promise.resolve();
    while (this.#waiting.length > 0 && !call.signal.aborted) {
      const batch = this.#waiting.splice(0, batchMax);
      if (this.#waiting.length < waitingMax / 2) call.hold(false);
      const receipts = await hub.send(
        call.broker,
        batch.map(({ submission }) => submission),
      );
      for (const [place, { index }] of batch.entries()) {
        const receipt = receipts[place];
        if (receipt === undefined || receipt instanceof StreamError) {
          this.#failed(index, receipt ?? new StreamError("internal", "An event was not answered."));
        } else if (receipt.duplicate) this.#summary.duplicates++;
        else this.#summary.stored++;
      }
    }
    this.#isStoring = false;
    if (!this.#isEnded) return;
    call.send(frameSummary(this.#summary));
    call.end();
  }

  #failed(index: number, error: StreamError): void {
    this.#summary.failed++;
    if (this.#summary.failures.length < failuresMax) this.#summary.failures.push({ index, error });
  }
}

const invalid = (parameter: string, detail: string): StreamError =>
  new StreamError("invalid_parameter", detail, { parameter });

const streamEvents =
  (hub: EventHub) =>
  async (request: Buffer, call: GrpcCall): Promise<void> => {
    const { eventType, userId, cursor } = readStreamEvents(request);
    if (eventType !== "" && !isEventType(eventType)) {
      throw invalid("event_type", `event_type must be one of ${eventTypes.join(", ")}, or empty.`);
    }
    if (userId !== "" && !isUserId(userId)) {
      throw invalid("user_id", `user_id must be 1 to ${userIdCharsMax} characters without control characters.`);
    }
    const { broker, signal } = call;
    const running: { stream?: EventStream } = {};
    const deliver = (batch: readonly StoredEvent[]): void => {
      for (const { event } of batch) call.send(frameEvent(event, running.stream?.cursorAfter(event) ?? ""));
    };
    const stream = await hub.stream(
      broker,
      {
        eventType: eventType === "" ? undefined : eventType,
        userId: userId === "" ? undefined : userId,
        cursor: cursor === "" ? undefined : cursor,
      },
      { writable: () => call.writable, events: deliver, ended: (error) => call.fail(error) },
    );
    running.stream = stream;
    if (signal.aborted) {
      stream.close();
      return;
    }
    signal.addEventListener("abort", () => stream.close(), { once: true });
    // The client knows by the headers that it is in.
    call.open();
    call.onDrain(() => stream.resume());
  };

const service = "/eventhub.EventHub";

/** The methods. */
export const eventHubRoutes = (hub: EventHub): readonly Route[] => [
  { path: `${service}/SendEvent`, method: { kind: "unary", handle: sendEvent(hub) } },
  { path: `${service}/SendEvents`, method: { kind: "bidi", open: (call) => new EventIntake(hub, call) } },
  { path: `${service}/StreamEvents`, method: { kind: "server_stream", handle: streamEvents(hub) } },
];
