/**
 * The client: everything a caller can do.
 * @module
 */
import { type Endpoints, type Environment, endpoints, environment } from "./environment.ts";
import { errorFrom, MtsError, toMtsError } from "./errors.ts";
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
  FetchOptions,
  NotifyOptions,
  PublishOptions,
  Receipt,
  SubscribeOptions,
} from "./options.ts";
import { Publisher } from "./publisher.ts";
import { untilAborted, within } from "./scope.ts";
import { type Acknowledged, Settler } from "./settler.ts";
import type { StreamTools } from "./stream.ts";
import { type PageFrame, Subscription } from "./subscription.ts";
import { wireFrom } from "./wire.ts";

const timeoutMsDefault = 30_000;
const closeMsDefault = 5000;
const batchMessagesMax = 10_000;

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
  readonly #env: Environment;
  readonly #timeoutMs: number;
  readonly #tools: StreamTools;
  readonly #publisher: Publisher;
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(env: Environment, where: Endpoints, options: ConnectOptions) {
    this.#env = env;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    const http = new HttpSide(where.httpUrl, env);
    const link = new Link(env, where, http, options);
    this.#tools = { link, http, settler: new Settler(link, http, this.#timeoutMs), streams: new Set() };
    this.#publisher = new Publisher(link, options, this.#timeoutMs);
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
    await within(this.#env, this.#bounds(options), (signal) => this.#tools.link.session(signal));
  }

  /**
   * Publishes. Do not wait for one before the next: they are pipelined, and those of one subject are stored in the
   * order of the calls. A publish that was under way when the connection broke is sent again with the same id, which
   * stores it once.
   * @returns when it is on stable storage
   * @throws MtsError `wrong_last_sequence` with `fields.last_sequence`, `invalid_subject`, `body_too_large`,
   *   `overloaded`, `timed_out` (not sent), `outcome_unknown` (perhaps stored: repeat it with `fields.message_id`) …
   */
  publish(subject: string, body: Body, options: PublishOptions = {}): Promise<Receipt> {
    return this.#publisher.publish(subject, body, options);
  }

  /**
   * Publishes up to 10,000 messages; not atomic.
   * @returns for each message its receipt or its error, in the order given
   * @throws MtsError `too_many_messages`
   */
  async publishBatch(
    messages: readonly BatchMessage[],
    options: CallOptions = {},
  ): Promise<readonly (Receipt | MtsError)[]> {
    if (messages.length > batchMessagesMax) {
      throw new MtsError("too_many_messages", `A batch has at most ${batchMessagesMax} messages.`);
    }
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
    const { epoch, firstSequence, lastSequence, nextSequence, ...page } = await link.call<PageFrame & Page>(
      { op: "fetch", ...request, from: wireFrom(from) },
      { signal, timeoutMs: timeoutMs ?? this.#timeoutMs + waitMs, once: autoAck },
    );
    const settling = consumer && !autoAck ? settler.line(subject, consumer, epoch) : undefined;
    const messages = page.messages.map((tuple) => new Message(tuple, settling));
    const damaged = (page.errors ?? []).map((error) => errorFrom({ ...error, subject }));
    return { subject, epoch, messages, damaged, firstSequence, lastSequence, nextSequence };
  }

  /**
   * Acknowledges by number; a message that came from here has `ack()`.
   * @throws MtsError `consumer_not_found`, `sequence_out_of_range`, `wrong_ack_mode` …
   */
  async ack(subject: string, consumer: string, settled: Settled, options: CallOptions = {}): Promise<Acknowledged> {
    const frame = { op: "ack", subject, consumer, ...settled };
    const { ackedThrough, moved } = await this.#tools.link.call<Acknowledged>(frame, this.#bounds(options));
    return { ackedThrough, moved };
  }

  /** Gives leased messages of an `explicit` consumer back; they come again after `delayMs`. Answers how many will. */
  async nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs = 0,
    options: CallOptions = {},
  ): Promise<number> {
    const frame = { op: "nack", subject, consumer, sequences, delayMs };
    return (await this.#tools.link.call<{ readonly redeliver: number }>(frame, this.#bounds(options))).redeliver;
  }

  /** Makes a consumer. @throws MtsError `consumer_exists` when it is there with another configuration */
  putConsumer(subject: string, name: string, options: ConsumerOptions = {}): Promise<Consumer> {
    return this.#tools.http.consumer("PUT", subject, name, options);
  }

  /** @throws MtsError `consumer_not_found` */
  consumer(subject: string, name: string): Promise<Consumer> {
    return this.#tools.http.consumer("GET", subject, name);
  }

  /** Ends its subscriptions too. Answers the state it had. @throws MtsError `consumer_not_found` */
  deleteConsumer(subject: string, name: string): Promise<Consumer> {
    return this.#tools.http.consumer("DELETE", subject, name);
  }

  /** How long the server takes to answer, in milliseconds. @throws MtsError */
  async ping(options: CallOptions = {}): Promise<number> {
    await this.connected(options);
    const startMs = this.#env.nowMs();
    await this.#tools.link.call({ op: "ping" }, this.#bounds(options));
    return this.#env.nowMs() - startMs;
  }

  /**
   * Ends all subscriptions, waits for publishes and acknowledgements that are under way, and closes the connection.
   * What is not answered by then fails: `outcome_unknown` when it was sent, `closed` when not.
   * @param options `timeoutMs`: how long it may wait; default 5000
   */
  close({ timeoutMs = closeMsDefault }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    const { link, settler, streams } = this.#tools;
    for (const stream of streams) stream.close();
    const flushed = (): Promise<unknown> => Promise.all([this.#publisher.idle(), settler.idle()]);
    // What did not get through in time is told so by the end of the link.
    await within(this.#env, { timeoutMs }, (signal) => Promise.race([flushed(), untilAborted(signal)]));
    link.close();
  }

  #bounds({ signal, timeoutMs = this.#timeoutMs }: CallOptions): {
    signal: AbortSignal | undefined;
    timeoutMs: number;
  } {
    return { signal, timeoutMs };
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
 * @throws MtsError `invalid_parameter` for the URL, `no_websocket`
 */
export const connect = (url: string | URL, options: ConnectOptions = {}): Mts => {
  const { webSocket, fetch } = options;
  const env = environment({ ...options.environment, ...(webSocket && { webSocket }), ...(fetch && { fetch }) });
  return new Mts(env, endpoints(url), options);
};
