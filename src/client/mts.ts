/**
 * The client: everything a caller can do.
 * @module
 */
import { type Endpoints, type Environment, endpoints, environment } from "./environment.ts";
import { errorFrom, type MtsError, toMtsError } from "./errors.ts";
import { type Consumer, HttpSide } from "./http.ts";
import { Link } from "./link.ts";
import { Message } from "./message.ts";
import { Notifications } from "./notifications.ts";
import type {
  BatchMessage,
  Body,
  CallOptions,
  ConnectOptions,
  ConsumerOptions,
  DelayedBatchMessage,
  DelayedPublishOptions,
  FetchOptions,
  NotifyOptions,
  PublishOptions,
  Receipt,
  ScheduledReceipt,
  SubscribeOptions,
} from "./options.ts";
import { Outstanding } from "./outstanding.ts";
import { Publisher } from "./publisher.ts";
import { untilAborted } from "./scope.ts";
import { type Acknowledged, Settler } from "./settler.ts";
import type { StreamTools } from "./stream.ts";
import { type PageFrame, Subscription } from "./subscription.ts";
import { wireFrom } from "./wire.ts";

/** What a fetch answers. */
export interface Page {
  readonly subject: string;
  readonly epoch: string;
  readonly messages: readonly Message[];
  /** Stored messages of this page that the server cannot read (`data_loss`), with `fields.sequence`. */
  readonly damaged: readonly MtsError[];
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Where to go on. */
  readonly nextSequence: number;
}

/** What is acknowledged: everything through a sequence, or, on `explicit` consumers, single ones. */
export type Settled = { readonly sequence: number } | { readonly sequences: readonly number[] };

/** A client of one server. */
export class Mts {
  readonly #tools: StreamTools;
  readonly #publisher: Publisher;
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(env: Environment, { wsUrl, httpUrl }: Endpoints, options: ConnectOptions) {
    const link = new Link(env, wsUrl, new HttpSide(httpUrl, env, options.token), options);
    // Streams that end, and acknowledgements.
    const busy = new Outstanding();
    this.#tools = { link, busy, settler: new Settler(link, busy), streams: new Set() };
    this.#publisher = new Publisher(link, options);
    link.connect();
  }

  /** The epoch of the store that the server has, as of the last connection; undefined before the first. */
  get epoch(): string | undefined {
    return this.#tools.link.epoch;
  }

  /**
   * Resolves when there is a connection; no call needs it, each waits by itself.
   * @throws MtsError `connection_refused` (or the server's own code), `timed_out`, `aborted`, `closed`
   */
  async connected(options: CallOptions = {}): Promise<void> {
    const { link } = this.#tools;
    await link.within(options, (signal) => link.session(signal));
  }

  /**
   * Publishes. Do not wait for one before the next: they are pipelined, and those of one subject are stored in the
   * order of the calls. A publish that was under way when the connection broke is sent again with the same id, which
   * stores it once.
   * @returns when it is on stable storage, also when it is to be committed later
   * @throws MtsError `wrong_last_sequence` with `fields.last_sequence`, `invalid_subject`, `body_too_large`,
   *   `overloaded`, `timed_out` (not sent), `outcome_unknown` (perhaps stored: repeat it with `fields.message_id`) …
   */
  publish(subject: string, body: Body, options?: PublishOptions): Promise<Receipt>;
  publish(subject: string, body: Body, options: DelayedPublishOptions): Promise<Receipt | ScheduledReceipt>;
  publish(subject: string, body: Body, options: DelayedPublishOptions = {}): Promise<Receipt | ScheduledReceipt> {
    return this.#publisher.publish(subject, body, options);
  }

  /**
   * Publishes many; not atomic.
   * @returns for each message its receipt or its error, in the order given; never rejects
   */
  publishBatch(messages: readonly BatchMessage[], options?: CallOptions): Promise<readonly (Receipt | MtsError)[]>;
  publishBatch(
    messages: readonly DelayedBatchMessage[],
    options?: CallOptions,
  ): Promise<readonly (Receipt | ScheduledReceipt | MtsError)[]>;
  publishBatch(
    messages: readonly DelayedBatchMessage[],
    options: CallOptions = {},
  ): Promise<readonly (Receipt | ScheduledReceipt | MtsError)[]> {
    return Promise.all(
      messages.map((message) =>
        this.publish(message.subject, message.body, { ...message, ...options }).catch(toMtsError),
      ),
    );
  }

  /**
   * Messages of all subjects that match, in the order of each subject, once each, over reconnects.
   * @example
   * ```ts
   * for await (const m of mts.subscribe("sensors.>", { from: "first" })) console.log(m.subject, m.sequence, m.text());
   * ```
   * @throws MtsError `invalid_parameter`; the iterator: `invalid_filter`, `epoch_changed`, `aborted`, `closed` …
   */
  subscribe(filter: string, options: SubscribeOptions = {}): Subscription {
    return new Subscription(this.#tools, filter, options);
  }

  /** The latest sequence of every subject that matches and moves; hints, coalesced, never backwards. */
  notify(filter: string, options: NotifyOptions = {}): Notifications {
    return new Notifications(this.#tools, filter, options);
  }

  /** A page of messages, under a consumer's name or from a position. @throws MtsError */
  async fetch({ signal, timeoutMs, ...request }: FetchOptions): Promise<Page> {
    const { subject, consumer, from, waitMs = 0, autoAck } = request;
    const { link, settler } = this.#tools;
    const { errors = [], ...page } = await link.call<PageFrame & Page>(
      { op: "fetch", ...request, from: wireFrom(from) },
      { signal, timeoutMs: timeoutMs ?? link.timeoutMs + waitMs, once: autoAck },
    );
    const settling = consumer && !autoAck ? settler.line(subject, consumer, page.epoch) : undefined;
    const messages = page.messages.map((tuple) => new Message(tuple, settling));
    return { ...page, subject, messages, damaged: errors.map((error) => errorFrom({ ...error, subject })) };
  }

  /**
   * Acknowledges by number; a message that came from here has `ack()`.
   * @throws MtsError `consumer_not_found`, `sequence_out_of_range`, `wrong_ack_mode` …
   */
  ack(subject: string, consumer: string, settled: Settled, options: CallOptions = {}): Promise<Acknowledged> {
    return this.#tools.link.call({ op: "ack", subject, consumer, ...settled }, options);
  }

  /**
   * Gives leased messages of an `explicit` consumer back; they come again after `delayMs`. Answers how many will.
   * @param options `error`: why, for the dead letters of those whose deliveries are used up
   */
  async nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs = 0,
    { error, ...options }: CallOptions & { readonly error?: string | undefined } = {},
  ): Promise<number> {
    const frame = { op: "nack", subject, consumer, sequences, delayMs, error };
    return (await this.#tools.link.call<{ readonly redeliver: number }>(frame, options)).redeliver;
  }

  /** Makes a consumer. @throws MtsError `consumer_exists` when it is there with another configuration */
  putConsumer(subject: string, name: string, options: ConsumerOptions = {}): Promise<Consumer> {
    return this.#tools.link.http.consumer("PUT", subject, name, options);
  }

  /** @throws MtsError `consumer_not_found` */
  consumer(subject: string, name: string): Promise<Consumer> {
    return this.#tools.link.http.consumer("GET", subject, name);
  }

  /** Ends its subscriptions too. Answers the state it had. @throws MtsError `consumer_not_found` */
  deleteConsumer(subject: string, name: string): Promise<Consumer> {
    return this.#tools.link.http.consumer("DELETE", subject, name);
  }

  /** How long the server takes to answer, in milliseconds; without a connection, from now on. @throws MtsError */
  async ping(options: CallOptions = {}): Promise<number> {
    const { link } = this.#tools;
    const startMs = link.env.nowMs();
    await link.call({ op: "ping" }, options);
    return link.env.nowMs() - startMs;
  }

  /**
   * Ends all subscriptions, waits for publishes and acknowledgements that are under way, and closes the connection.
   * What is not answered by then fails: `outcome_unknown` when it was sent, `closed` when not.
   * @param options `timeoutMs`: how long it may wait; default 5000
   */
  close({ timeoutMs = 5000 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    const { link, streams, busy } = this.#tools;
    for (const stream of streams) stream.close();
    const flush = (): Promise<unknown> => Promise.all([this.#publisher.busy.idle(), busy.idle()]);
    // What does not get through in time is told so by the end of the link.
    await link.within({ timeoutMs }, (signal) => Promise.race([flush(), untilAborted(signal)]));
    link.close();
  }
}

/**
 * A client; it begins to connect at once, and every call waits for the connection by itself.
 * @param url `http(s)://` or `ws(s)://`
 * @example
 * ```ts
 * const mts = connect("http://127.0.0.1:8000");
 * const { sequence } = await mts.publish("sensors.kitchen", { celsius: 21 });
 * ```
 * @throws MtsError `invalid_parameter` for the URL, `no_websocket`; what the WebSocket class throws
 */
export const connect = (url: string | URL, options: ConnectOptions = {}): Mts =>
  new Mts(environment(options), endpoints(url), options);
