/**
 * The client: everything a caller can do.
 * @module
 */
import { type Endpoints, type Environment, endpoints, environment } from "./environment.ts";
import { closed, errorFrom, MtsError, toMtsError } from "./errors.ts";
import { type Consumer, HttpSide } from "./http.ts";
import { type CallBounds, Link } from "./link.ts";
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
import { within } from "./scope.ts";
import { type Acknowledged, Settler } from "./settler.ts";
import { type StreamTools, Subscription } from "./subscription.ts";
import { type Frame, integerField, isFrame, textField, tuples, wireFrom } from "./wire.ts";

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

/** A client of one server. */
export class Mts {
  readonly #link: Link;
  readonly #publisher: Publisher;
  readonly #settler: Settler;
  readonly #http: HttpSide;
  readonly #tools: StreamTools;
  readonly #streams = new Set<Subscription | Notifications>();
  readonly #timeoutMs: number;
  readonly #environment: Environment;
  #closing: Promise<void> | undefined;

  /** Use `connect`. */
  constructor(where: Endpoints, outside: Environment, options: ConnectOptions) {
    this.#environment = outside;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#http = new HttpSide(where.httpUrl, outside);
    const onStatus: ConnectOptions["onStatus"] = (status) => {
      if (status.state === "closed") this.#publisher.close(status.error ?? closed());
      options.onStatus?.(status);
    };
    this.#link = new Link(where, outside, this.#http, { ...options, onStatus });
    this.#publisher = new Publisher(this.#link, options, this.#timeoutMs);
    this.#settler = new Settler(this.#link, this.#http, this.#timeoutMs);
    this.#tools = { link: this.#link, http: this.#http, settler: this.#settler };
  }

  /** The epoch of the store that the server has, as of the last connection; undefined before the first. */
  get epoch(): string | undefined {
    return this.#link.epoch;
  }

  /** Begins to connect; `connect()` does it. */
  open(): void {
    this.#link.connect();
  }

  /**
   * Resolves when there is a connection; no call needs it, each waits by itself.
   * @throws MtsError `connection_refused` (or the server's own code), `timed_out`, `aborted`, `closed`
   */
  async connected(options: CallOptions = {}): Promise<void> {
    await within(this.#environment, this.#bounds(options), (signal) => this.#link.session(signal));
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
      messages.map(({ subject, body, ...rest }) =>
        this.publish(subject, body, { ...rest, ...options }).catch(toMtsError),
      ),
    );
  }

  /**
   * Messages of all subjects that match, in the order of each subject, once each, over reconnects.
   * @example
   * ```ts
   * for await (const m of mts.subscribe("sensors.>", { from: "first" })) console.log(m.subject, m.sequence, m.text());
   * ```
   * @throws MtsError `invalid_parameter`, `closed`; the iterator: `invalid_filter`, `epoch_changed`, `aborted` …
   */
  subscribe(filter: string, options: SubscribeOptions = {}): Subscription {
    return this.#stream(new Subscription(this.#tools, filter, options, (stream) => this.#streams.delete(stream)));
  }

  /** The latest sequence of every subject that matches and moves; hints, coalesced, never backwards. */
  notify(filter: string, options: NotifyOptions = {}): Notifications {
    return this.#stream(new Notifications(this.#tools, filter, options, (stream) => this.#streams.delete(stream)));
  }

  /** A page of messages, under a consumer's name or from a position. @throws MtsError */
  async fetch(options: FetchOptions): Promise<Page> {
    const { subject, consumer, from, limit, maxBytes, waitMs, autoAck } = options;
    const request = {
      op: "fetch",
      subject,
      consumer,
      from: from === undefined ? undefined : wireFrom(from),
      limit,
      max_bytes: maxBytes,
      wait_ms: waitMs,
      auto_ack: autoAck,
    };
    const bounds = this.#bounds({ ...options, timeoutMs: options.timeoutMs ?? this.#timeoutMs + (waitMs ?? 0) });
    const page = await this.#link.call(request, { ...bounds, repeat: autoAck !== true });
    return this.#page(page, subject, autoAck === true ? undefined : consumer);
  }

  /**
   * Acknowledges by number: `sequence` and all before it, or, on `explicit` consumers, single `sequences`. A message
   * that came from here has `ack()`.
   * @throws MtsError `consumer_not_found`, `sequence_out_of_range`, `wrong_ack_mode` …
   */
  ack(
    subject: string,
    consumer: string,
    settled: { readonly sequence: number } | { readonly sequences: readonly number[] },
    options: CallOptions = {},
  ): Promise<Acknowledged> {
    return this.#settler.ack(subject, consumer, settled, this.#bounds(options));
  }

  /** Gives leased messages of an `explicit` consumer back; they come again after `delayMs`. Answers how many will. */
  nack(
    subject: string,
    consumer: string,
    sequences: readonly number[],
    delayMs = 0,
    options: CallOptions = {},
  ): Promise<number> {
    return this.#settler.nack(subject, consumer, sequences, delayMs, this.#bounds(options));
  }

  /** Makes a consumer. @throws MtsError `consumer_exists` when it is there with another configuration */
  putConsumer(subject: string, name: string, options: ConsumerOptions = {}): Promise<Consumer> {
    return this.#http.putConsumer(subject, name, options);
  }

  /** @throws MtsError `consumer_not_found` */
  consumer(subject: string, name: string): Promise<Consumer> {
    return this.#http.consumer(subject, name);
  }

  /** Ends its subscriptions too. Answers the state it had. @throws MtsError `consumer_not_found` */
  deleteConsumer(subject: string, name: string): Promise<Consumer> {
    return this.#http.deleteConsumer(subject, name);
  }

  /** How long the server takes to answer, in milliseconds. @throws MtsError */
  async ping(options: CallOptions = {}): Promise<number> {
    await this.connected(options);
    const startMs = this.#environment.nowMs();
    await this.#link.call({ op: "ping" }, this.#bounds(options));
    return this.#environment.nowMs() - startMs;
  }

  /**
   * Ends all subscriptions, waits for publishes and acknowledgements that are under way, and closes the connection.
   * What is not answered by then fails: `outcome_unknown` when it was sent, `closed` when not.
   * @param timeoutMs how long it may wait; default 5000
   */
  close({ timeoutMs = closeMsDefault }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    for (const stream of [...this.#streams]) stream.close();
    const flushed = async (): Promise<void> => {
      await Promise.all([this.#publisher.idle(), this.#settler.idle()]);
    };
    await new Promise<void>((resolve) => {
      const cancel = this.#environment.after(timeoutMs, resolve);
      void flushed().finally(() => {
        cancel();
        resolve();
      });
    });
    this.#link.close();
  }

  #stream<T extends Subscription | Notifications>(stream: T): T {
    if (this.#closing !== undefined) {
      stream.close();
      throw closed();
    }
    this.#streams.add(stream);
    return stream;
  }

  #bounds({ signal, timeoutMs = this.#timeoutMs }: CallOptions): CallBounds {
    return { signal, timeoutMs };
  }

  #page(page: Frame, subject: string, consumer: string | undefined): Page {
    const epoch = textField(page, "epoch");
    const settling = consumer === undefined ? undefined : this.#settler.line(subject, consumer, epoch);
    const errors = page["errors"];
    return {
      subject,
      epoch,
      messages: tuples(page).map((tuple) => new Message(tuple, settling)),
      damaged: Array.isArray(errors) ? errors.filter(isFrame).map((error) => errorFrom({ ...error, subject })) : [],
      firstSequence: integerField(page, "first_sequence"),
      lastSequence: integerField(page, "last_sequence"),
      nextSequence: integerField(page, "next_sequence"),
    };
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
  const outside = environment({
    ...options.environment,
    ...(webSocket && { webSocket }),
    ...(fetch && { fetch }),
  });
  const mts = new Mts(endpoints(url), outside, options);
  mts.open();
  return mts;
};
