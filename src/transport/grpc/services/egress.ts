/**
 * `minitoolstream.EgressService`, as the original system's clients know it: durable positions that are moved by
 * acknowledgement, and notifications without bodies.
 * @module
 */
import type { Broker, DamagedMessage, DeliverAs, Delivery, Page, SubscriptionSink } from "../../../broker/contract.ts";
import { StreamError } from "../../../core/errors.ts";
import {
  ackPendingDefault,
  ackWaitMsDefault,
  pageBodyBytesMax,
  pageMessagesMax,
  sequenceMax,
} from "../../../core/limits.ts";
import type { AckMode, ConsumerConfig, Sequence } from "../../../core/message.ts";
import {
  type ConsumerName,
  parseConsumerName,
  parseFilter,
  parseSubject,
  type Subject,
} from "../../../core/subject.ts";
import {
  frameNotification,
  readAckRequest,
  readFetchRequest,
  readSubjectRequest,
  readSubscribeRequest,
  writeAckResponse,
  writeLastSequence,
  writeMessageHead,
} from "../messages.ts";
import type { GrpcCall, Route } from "../method.ts";
import { ProtoWriter } from "../protobuf.ts";
import { deliverOf, writable } from "../request-metadata.ts";

/** `batch_size` of a Fetch that gives none, or one that is not positive. */
const batchSizeDefault = 10;
/** Bodies that are read from storage at once for one Fetch; a larger message comes alone. */
const pageBytesMax = 1024 * 1024;
/** A body of this size is sent as it lies in memory; smaller ones are copied together. */
const joinBytesMax = 64 * 1024;
/** What surrounds a body, about. */
const messageOverheadBytes = 256;
/** The trailer that names the messages of a Fetch that are damaged; at most so many are named. */
const dataLossTrailer = "mts-data-loss";
const dataLossNamedMax = 100;

/** What an unknown durable becomes with its first acknowledgement. */
const durableDefaults: ConsumerConfig = {
  start: { kind: "first" },
  ack: "all",
  ackWaitMs: ackWaitMsDefault,
  maxDeliver: 0,
  maxAckPending: ackPendingDefault,
};

const getLastSequence = async (request: Buffer, { broker }: GrpcCall): Promise<Uint8Array> => {
  const subject = parseSubject(readSubjectRequest(request));
  // Nothing lies at the greatest sequence, so this reads the head alone.
  const from = { kind: "sequence", sequence: sequenceMax } as const;
  const { lastSequence } = await broker.readEnvelopes({ subject, from, limit: 1, bodyBytesMax: 1, waitMs: 0 });
  return writeLastSequence(lastSequence);
};

/** Sends messages in order; bodies are copied only where that is cheaper than a write of their own. */
const sendMessages = async (call: GrpcCall, messages: readonly Delivery[]): Promise<void> => {
  let bytes = 0;
  for (const { body } of messages) bytes += messageOverheadBytes + (body.length < joinBytesMax ? body.length : 0);
  let writer = new ProtoWriter(bytes);
  for (const message of messages) {
    writeMessageHead(writer, message);
    if (message.body.length < joinBytesMax) {
      writer.raw(message.body);
      continue;
    }
    call.send(writer.done());
    if (!call.send(message.body)) await call.room();
    writer = new ProtoWriter();
  }
  if (writer.length > 0 && !call.send(writer.done())) await call.room();
};

/** One Fetch under way: pages of storage until the batch is full or nothing more is there. */
class FetchRun {
  #left: number;
  #mode: AckMode | undefined;
  readonly damaged: DamagedMessage[] = [];
  readonly #deliver: DeliverAs;
  readonly #bodyBytesMax: number;

  constructor(
    private readonly call: GrpcCall,
    private readonly subject: Subject,
    private readonly consumer: ConsumerName,
    batchSize: number,
    private readonly autoAck: boolean,
  ) {
    this.#left = batchSize;
    this.#deliver = deliverOf(call.metadata);
    this.#bodyBytesMax = this.#deliver === "pointer" ? pageBodyBytesMax : pageBytesMax;
  }

  async run(): Promise<void> {
    let page = await this.#pull();
    for (;;) {
      await sendMessages(this.call, writable(page.messages));
      this.damaged.push(...page.damaged);
      this.#left -= page.messages.length;
      if (this.autoAck) await this.#acknowledge(page);
      const seen = page.messages.length + page.damaged.length;
      if (seen === 0 || this.#left <= 0 || page.nextSequence > page.lastSequence) return;
      page = await this.#more(page);
    }
  }

  #pull(): Promise<Page> {
    const { call, subject, consumer } = this;
    return call.broker.fetch({ ...this.#bounds(), subject, consumer, autoAck: false }, call.signal);
  }

  /**
   * What follows a page. A position that moves by acknowledgement has not moved yet, so its consumer reads on; one
   * that leases gives the next messages by itself.
   */
  async #more(page: Page): Promise<Page> {
    const { call, subject } = this;
    if ((await this.#ackMode()) === "explicit") return this.#pull();
    const from = { kind: "sequence", sequence: page.nextSequence } as const;
    return call.broker.read({ ...this.#bounds(), subject, from }, call.signal);
  }

  #bounds() {
    return { limit: this.#left, bodyBytesMax: this.#bodyBytesMax, waitMs: 0, deliver: this.#deliver };
  }

  async #ackMode(): Promise<AckMode> {
    this.#mode ??= (await this.call.broker.consumer(this.subject, this.consumer)).ack;
    return this.#mode;
  }

  /** Only what was handed to the connection: what a client that went away did not get comes again. */
  async #acknowledge({ messages, damaged }: Page): Promise<void> {
    const sequences = [...messages, ...damaged].map(({ sequence }) => sequence);
    if (sequences.length === 0) return;
    const explicit = (await this.#ackMode()) === "explicit";
    await this.call.broker.ack(
      this.subject,
      this.consumer,
      explicit ? { sequences } : { through: Math.max(...sequences) },
    );
  }
}

/** A metadata key that says yes or no; the configuration where it says neither. */
const autoAckOf = ({ metadata }: GrpcCall, configured: boolean): boolean => {
  const raw = metadata["mts-auto-ack"];
  if (raw === undefined) return configured;
  if (raw === "true" || raw === "false") return raw === "true";
  throw new StreamError("invalid_parameter", "mts-auto-ack must be true or false.", { parameter: "mts-auto-ack" });
};

const fetch = async (request: Buffer, call: GrpcCall, autoAckConfigured: boolean): Promise<void> => {
  const { subject, durableName, batchSize } = readFetchRequest(request);
  const run = new FetchRun(
    call,
    parseSubject(subject),
    parseConsumerName(durableName),
    Math.min(batchSize > 0 ? batchSize : batchSizeDefault, pageMessagesMax),
    autoAckOf(call, autoAckConfigured),
  );
  await run.run();
  const lost = run.damaged.map(({ sequence }) => sequence).slice(0, dataLossNamedMax);
  call.end(lost.length === 0 ? undefined : { [dataLossTrailer]: lost.join(",") });
};

/** Where a durable stands; 0 when nobody has acknowledged anything under the name. */
const positionOf = async (broker: Broker, subject: Subject, name: ConsumerName): Promise<Sequence> => {
  try {
    return (await broker.consumer(subject, name)).ackedThrough;
  } catch (error) {
    if (error instanceof StreamError && error.code === "consumer_not_found") return 0;
    throw error;
  }
};

const subscribe = async (request: Buffer, call: GrpcCall): Promise<void> => {
  const { subject: rawSubject, startSequence, durableName } = readSubscribeRequest(request);
  const subject = parseSubject(rawSubject);
  const position = await positionOf(call.broker, subject, parseConsumerName(durableName));
  // Exclusive, and it only raises the mark; what no sequence can reach is never passed.
  const after = Math.min(Math.max(position, startSequence ?? 0), sequenceMax - 1);
  const sink: SubscriptionSink = {
    batchBytesMax: 1,
    writable: () => call.writable,
    messages: () => undefined,
    damaged: () => undefined,
    notify: (moved, sequence) => call.send(frameNotification(moved, sequence)),
    ended: (error) => call.fail(error),
  };
  const subscription = await call.broker.subscribe(
    {
      filter: parseFilter(subject),
      from: { kind: "sequence", sequence: after + 1 },
      mode: "notify",
      credit: Number.POSITIVE_INFINITY,
    },
    sink,
  );
  if (call.signal.aborted) {
    subscription.close();
    return;
  }
  call.signal.addEventListener("abort", () => subscription.close(), { once: true });
  call.onDrain(() => subscription.resume());
  call.open();
};

const acknowledge = async (request: Buffer, { broker }: GrpcCall): Promise<Uint8Array> => {
  const { durableName, subject: rawSubject, sequence } = readAckRequest(request);
  const subject = parseSubject(rawSubject);
  const durable = parseConsumerName(durableName);
  if (sequence > sequenceMax) throw new StreamError("sequence_out_of_range", "No sequence is as large as that.");
  const settled = { through: sequence };
  try {
    await broker.ack(subject, durable, settled);
  } catch (error) {
    if (!(error instanceof StreamError) || error.code !== "consumer_not_found") throw error;
    // The first acknowledgement makes the durable. Somebody else may have made it in between.
    await broker.putConsumer(subject, durable, durableDefaults).catch((refused: unknown) => {
      if (!(refused instanceof StreamError) || refused.code !== "consumer_exists") throw refused;
    });
    await broker.ack(subject, durable, settled);
  }
  return writeAckResponse();
};

/** The methods. */
export const egressRoutes = (options: { readonly autoAck: boolean }): readonly Route[] => [
  { path: "/minitoolstream.EgressService/GetLastSequence", method: { kind: "unary", handle: getLastSequence } },
  {
    path: "/minitoolstream.EgressService/Fetch",
    method: { kind: "server_stream", handle: (request, call) => fetch(request, call, options.autoAck) },
  },
  { path: "/minitoolstream.EgressService/Subscribe", method: { kind: "server_stream", handle: subscribe } },
  { path: "/minitoolstream.EgressService/AckMessage", method: { kind: "unary", handle: acknowledge } },
];
