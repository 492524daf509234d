/**
 * A strict WebSocket client for both subprotocols: requests with ids, and subscriptions that collect what is pushed.
 * @module
 */
import {
  type Acknowledged,
  asCommitted,
  asScheduled,
  bodyBytes,
  type ClientError,
  type Draft,
  draftFields,
  type FetchOptions,
  msgpackDraft,
  type Page,
  packMsgpack,
  parseAcknowledged,
  parseError,
  parseMessage,
  parsePageEnds,
  parsePointer,
  parsePublished,
  parseResults,
  type ReadOptions,
  type Receipt,
  type Received,
  type Scheduled,
  type Settled,
  type StreamClient,
  unpackMsgpack,
} from "./client.ts";
import { textOrBase64 } from "./http-client.ts";
import { Conditions, Live } from "./live.ts";
import { asHeaders, base64Bytes, ContractError, WireMap } from "./wire.ts";

/** The subprotocols. */
export type WsProtocol = "mts.msgpack.v1" | "mts.json.v1";

/** What a subscription asks for; fields as on the wire. */
export interface SubscribeOptions {
  readonly from?: number | string;
  readonly mode?: "messages" | "notify";
  readonly consumer?: string;
  readonly credit?: number;
  readonly deliver?: "body" | "decoded" | "pointer";
}

/** What goes with the upgrade. */
export interface UpgradeOptions {
  /** For the `Authorization` header. */
  readonly token?: string;
  /** Offered as subprotocols behind the one that is meant. */
  readonly offered?: readonly string[];
  readonly tls?: { readonly ca: string };
}

/** How the connection ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

interface Waiting {
  readonly resolve: (reply: WireMap) => void;
  readonly reject: (error: Error) => void;
}

/** A running subscription: everything pushed under its `sid`, in the order it came. */
export class WsSubscription extends Live {
  readonly sid: unknown;
  /** The `subscribed` reply. */
  readonly reply: WireMap;
  readonly notified: { subject: string; sequence: number }[] = [];
  readonly errors: ClientError[] = [];

  constructor(reply: WireMap) {
    super();
    this.reply = reply;
    this.sid = reply.fields["sid"];
  }
}

/** The client. */
export class WsClient implements StreamClient {
  /** Resolves when the upgrade was answered, before any frame. */
  readonly opened: Promise<void>;
  readonly closed: Promise<Closed>;
  readonly #socket: WebSocket;
  readonly #json: boolean;
  readonly #waiting = new Map<unknown, Waiting>();
  readonly #subscriptions = new Map<unknown, WsSubscription>();
  /** Frames without a taker: errors without id, replies nobody asked for. */
  readonly #stray: WireMap[] = [];
  readonly #conditions = new Conditions();
  #nextId = 1;
  #welcome: WireMap | undefined;

  private constructor(socket: WebSocket, protocol: WsProtocol) {
    this.#socket = socket;
    this.#json = protocol === "mts.json.v1";
    const closed = Promise.withResolvers<Closed>();
    this.closed = closed.promise;
    this.opened = new Promise((resolve, reject) => {
      socket.onopen = () => resolve();
      closed.promise.then(
        ({ code }) => reject(new Error(`the connection closed with ${code}`)),
        (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))),
      );
    });
    this.opened.catch(() => undefined);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      try {
        this.#receive(this.#decode(event.data));
      } catch (error) {
        this.#end(error instanceof Error ? error : new Error(String(error)));
      }
    };
    socket.onclose = (event) => {
      closed.resolve({ code: event.code, reason: event.reason });
      this.#end(new Error(`the connection closed with ${event.code} ${event.reason}`));
    };
  }

  /** Connects and waits for the welcome. */
  static async connect(
    wsUrl: string,
    protocol: WsProtocol = "mts.msgpack.v1",
    options: UpgradeOptions = {},
  ): Promise<WsClient> {
    const client = WsClient.open(wsUrl, protocol, options);
    await client.#conditions.until(() => client.#welcome !== undefined);
    return client;
  }

  /** Begins to connect. A server that asks for a token says no welcome before it has one. */
  static open(wsUrl: string, protocol: WsProtocol, { token, offered = [], tls }: UpgradeOptions = {}): WsClient {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const init = { protocols: [protocol, ...offered], headers, ...(tls && { tls }) };
    return new WsClient(new WebSocket(wsUrl, init), protocol);
  }

  /** The `welcome` frame. */
  get welcome(): WireMap {
    if (this.#welcome === undefined) throw new Error("not connected");
    return this.#welcome;
  }

  /** Frames that no request or subscription took. */
  get stray(): readonly WireMap[] {
    return this.#stray;
  }

  /** Waits until the condition holds; it is looked at after every frame without a taker. */
  until(holds: () => boolean): Promise<void> {
    return this.#conditions.until(holds);
  }

  /** Sends a frame as it is, without an id of its own. */
  send(frame: Readonly<Record<string, unknown>>): void {
    this.#socket.send(this.#json ? JSON.stringify(frame) : new Uint8Array(packMsgpack(frame)));
  }

  /** Sends bytes or text as one frame. */
  sendRaw(frame: string | Uint8Array): void {
    this.#socket.send(typeof frame === "string" ? frame : new Uint8Array(frame));
  }

  /** Sends a request and waits for the frame with its id; an error frame rejects. */
  request(frame: Readonly<Record<string, unknown>>, id: unknown = this.#nextId++): Promise<WireMap> {
    const reply = Promise.withResolvers<WireMap>();
    this.#waiting.set(id, reply);
    if (this.#socket.readyState !== WebSocket.OPEN) reply.reject(new Error("the connection is closed"));
    else
      this.send({
        ...frame,
        id: typeof id === "number" && Math.abs(id) > 0x7fff_ffff && !this.#json ? BigInt(id) : id,
      });
    return reply.promise;
  }

  async publish(draft: Draft): Promise<Receipt> {
    return asCommitted(parsePublished(await this.#published({ ...this.draftFrame(draft) })));
  }

  async schedule(draft: Draft): Promise<Scheduled> {
    return asScheduled(parsePublished(await this.#published({ ...this.draftFrame(draft) })));
  }

  async publishWaiting(draft: Draft, wait: string, waitMs?: number): Promise<Acknowledged> {
    const fields = { ...this.draftFrame(draft), wait, ...defined({ wait_ms: waitMs }) };
    return parseAcknowledged(await this.#published(fields));
  }

  async publishBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | ClientError)[]> {
    return (await this.submitBatch(drafts)).map(asCommitted<Receipt | ClientError>);
  }

  async submitBatch(drafts: readonly Draft[]): Promise<readonly (Receipt | Scheduled | ClientError)[]> {
    const messages = drafts.map((draft) => this.draftFrame(draft));
    const reply = expectOp(await this.request({ op: "publish_batch", messages }), "published_batch");
    return parseResults(reply, "published_batch");
  }

  async read(subject: string, options: ReadOptions = {}): Promise<Page> {
    return this.#page(
      await this.request({ op: "fetch", subject, ...pageFields(options), ...defined({ from: options.from }) }),
    );
  }

  async fetch(subject: string, consumer: string, options: FetchOptions = {}): Promise<Page> {
    const auto = defined({ auto_ack: options.autoAck });
    return this.#page(await this.request({ op: "fetch", subject, consumer, ...pageFields(options), ...auto }));
  }

  async ack(subject: string, consumer: string, settled: Settled): Promise<{ ackedThrough: number; moved: boolean }> {
    const reply = expectOp(await this.request({ op: "ack", subject, consumer, ...settled }), "acked");
    return { ackedThrough: reply.integer("acked_through"), moved: reply.boolean("moved") };
  }

  async nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs?: number,
    error?: string,
  ): Promise<number> {
    const frame = { op: "nack", subject, consumer, sequences, ...defined({ delay_ms: delayMs, error }) };
    return expectOp(await this.request(frame), "nacked").integer("redeliver");
  }

  follow(subject: string, options: Pick<ReadOptions, "from" | "deliver"> = {}): Promise<Live> {
    return this.subscribe(subject, options);
  }

  /** Subscribes; pushes that follow the reply are never missed. */
  async subscribe(filter: string, options: SubscribeOptions = {}): Promise<WsSubscription> {
    const reply = expectOp(await this.request({ op: "subscribe", filter, ...options }), "subscribed");
    const subscription = this.#subscriptions.get(reply.fields["sid"]);
    if (subscription === undefined) throw new ContractError("subscribed: no sid");
    return subscription;
  }

  /** Gives credit; nothing is answered. */
  credit(subscription: WsSubscription, messages: number): void {
    this.send({ op: "credit", sid: subscription.sid, messages });
  }

  async unsubscribe(subscription: WsSubscription): Promise<void> {
    expectOp(await this.request({ op: "unsubscribe", sid: subscription.sid }), "unsubscribed");
  }

  async ping(): Promise<void> {
    expectOp(await this.request({ op: "ping" }), "pong");
  }

  async close(): Promise<void> {
    this.#socket.close(1000);
    await this.closed;
  }

  /** Subject, data and the rest of a draft as a frame carries them. */
  draftFrame(draft: Draft): Record<string, unknown> {
    return this.#json ? { ...draftFields(draft), ...textOrBase64(bodyBytes(draft.body)) } : msgpackDraft(draft);
  }

  async #published(fields: Readonly<Record<string, unknown>>): Promise<WireMap> {
    return expectOp(await this.request({ op: "publish", ...fields }), "published");
  }

  #decode(data: string | ArrayBuffer): WireMap {
    if (typeof data === "string") {
      if (!this.#json) throw new ContractError("a text frame under mts.msgpack.v1");
      return new WireMap(JSON.parse(data), "frame");
    }
    if (this.#json) throw new ContractError("a binary frame under mts.json.v1");
    return new WireMap(unpackMsgpack(new Uint8Array(data), "frame"), "frame");
  }

  #receive(frame: WireMap): void {
    const op = frame.string("op");
    if (op === "welcome") this.#welcome = frame;
    else if (frame.has("id")) this.#answer(frame, op);
    else if (frame.has("sid")) this.#push(frame, op);
    else this.#stray.push(frame);
    this.#conditions.changed();
  }

  #answer(frame: WireMap, op: string): void {
    const id = frame.fields["id"];
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      this.#stray.push(frame);
      return;
    }
    this.#waiting.delete(id);
    // Registered here, not after the await of the caller: pushes may come in the very next frame.
    if (op === "subscribed") this.#subscriptions.set(frame.fields["sid"], new WsSubscription(frame));
    if (op === "error") waiting.reject(parseError(frame.fields, "error frame"));
    else waiting.resolve(frame);
  }

  #push(frame: WireMap, op: string): void {
    const subscription = this.#subscriptions.get(frame.fields["sid"]);
    if (subscription === undefined) throw new ContractError("a push under an unknown sid");
    if (op === "messages") {
      const messages = frame.list("messages").map((raw) => this.#message(raw));
      if (messages.length === 0) throw new ContractError("a push without messages");
      subscription.add(messages);
    } else if (op === "notify") {
      subscription.notified.push({ subject: frame.string("subject"), sequence: frame.integer("sequence", 1) });
    } else if (op === "error") {
      subscription.errors.push(parseError(frame.fields, "error frame"));
    } else {
      throw new ContractError(`a push with op ${op}`);
    }
    subscription.conditions.changed();
  }

  #page(reply: WireMap): Page {
    expectOp(reply, "messages");
    return { ...parsePageEnds(reply), messages: reply.list("messages").map((raw) => this.#message(raw)) };
  }

  #message(raw: unknown): Received {
    const message = this.#json ? parseJsonMessage(raw) : parseMessageTuple(raw);
    if (message.deliveries === undefined) throw new ContractError("a message without deliveries");
    return message;
  }

  #end(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    for (const subscription of this.#subscriptions.values()) subscription.conditions.fail(error);
    this.#conditions.fail(error);
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(1000);
  }
}

/** Only the fields that have a value: `undefined` is nothing that msgpack can say. */
const defined = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

const pageFields = (options: Omit<ReadOptions, "from">): Record<string, unknown> =>
  defined({
    limit: options.limit,
    max_bytes: options.bodyBytesMax,
    wait_ms: options.waitMs,
    deliver: options.deliver,
  });

const expectOp = (reply: WireMap, op: string): WireMap => {
  if (reply.string("op") !== op) throw new ContractError(`answered with ${reply.string("op")}, not ${op}`);
  return reply;
};

/** A message of `mts.json.v1`: bytes always as base64. */
export const parseJsonMessage = (raw: unknown): Received => {
  const map = new WireMap(raw, "message");
  if (map.has("data")) throw new ContractError("mts.json.v1 writes data_base64 only");
  return parseMessage(map, () => base64Bytes(map.string("data_base64"), "message"));
};

/** A message of `mts.msgpack.v1`: `[subject, sequence, timestamp, headers, data or pointer, deliveries]`. */
export const parseMessageTuple = (raw: unknown): Received => {
  if (!Array.isArray(raw) || raw.length !== 6) throw new ContractError("a message is a tuple of six");
  const [subject, sequence, timestamp, headers, data, deliveries] = raw as unknown[];
  const map = new WireMap({ subject, sequence, timestamp, data, deliveries }, "message");
  const pointer = data instanceof Uint8Array ? undefined : parsePointer(data);
  return {
    subject: map.string("subject"),
    sequence: map.integer("sequence", 1),
    timestampMs: map.integer("timestamp", 1),
    headers: asHeaders(headers, "message.headers"),
    ...(pointer === undefined ? { body: map.bytes("data") } : { body: new Uint8Array(), pointer }),
    deliveries: map.integer("deliveries", 1),
  };
};
