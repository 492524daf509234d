/**
 * A subscriber over WebSocket: scans the pushed messages where they arrived and gives each to its check.
 * @module
 */
import { MsgpackWriter } from "../../src/codec/msgpack-writer.ts";
import { nowUs } from "./clock.ts";
import type { DeliveryCheck } from "./delivery-check.ts";
import type { Latency } from "./latency.ts";
import { RawWebSocket } from "./raw-ws.ts";
import { Scanner, word } from "./scan.ts";
import { wsUrl } from "./target.ts";

/** What the subscribers of a process count together. */
export class DeliveryTally {
  /** Deliveries of messages that were sent at or after `measureFromUs`. */
  delivered = 0;
  deliveredBytes = 0;
  /** All deliveries, the warm-up included. */
  deliveredEver = 0;
  lastUs = 0;
  /** Messages sent from this moment on are measured; -Infinity: all, also those of others. */
  measureFromUs = Infinity;
  readonly errors = new Map<string, number>();
  /** Connections or subscriptions that ended before their time. */
  broken = 0;
  /** The first failure in words. */
  detail: string | undefined;

  constructor(readonly latency: Latency) {}

  error(code: string, detail?: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
    this.detail ??= detail;
  }
}

/** The one request of a subscriber. */
const subscribeId = 1;

/** One connection with one subscription. */
export class Subscriber {
  readonly #scanner = new Scanner();
  readonly #subscribed = Promise.withResolvers<undefined>();
  #ws: RawWebSocket | undefined;
  #ended = false;
  /** When the read that is being worked on arrived. */
  #arrivedUs = 0;

  private constructor(
    readonly check: DeliveryCheck,
    private readonly tally: DeliveryTally,
  ) {}

  /** Connects and subscribes without a limit of credit. Rejects when the server does not let it. */
  static async connect(
    url: string,
    subscription: { readonly filter: string; readonly from: "first" | "new" },
    check: DeliveryCheck,
    tally: DeliveryTally,
  ): Promise<Subscriber> {
    const subscriber = new Subscriber(check, tally);
    const ws = await RawWebSocket.connect(wsUrl(url), "mts.msgpack.v1", {
      message: (bytes, start, end) => subscriber.#message(bytes, start, end),
      turn: () => {
        subscriber.#arrivedUs = 0;
      },
      writable: () => undefined,
      closed: (reason, detail) => subscriber.#over(reason, detail),
    });
    subscriber.#ws = ws;
    const writer = new MsgpackWriter();
    writer.value({ op: "subscribe", id: subscribeId, ...subscription, credit: -1 });
    ws.send(writer.view());
    await subscriber.#subscribed.promise;
    return subscriber;
  }

  /** No more messages will come. */
  get ended(): boolean {
    return this.#ended;
  }

  close(): void {
    this.#ended = true;
    this.#ws?.close();
  }

  #message(bytes: Buffer, start: number, end: number): void {
    if (this.#arrivedUs === 0) this.#arrivedUs = nowUs();
    const scanner = this.#scanner;
    scanner.over(bytes, start, end);
    let op = 0;
    let messagesAt = -1;
    let code = "";
    let detail: string | undefined;
    for (let pairs = scanner.mapHead(); pairs > 0; pairs--) {
      const key = scanner.word();
      if (key === word.op) op = scanner.word();
      else if (key === word.messages && op === word.messages) {
        this.#messages(bytes);
        messagesAt = -1;
      } else if (key === word.messages) {
        messagesAt = scanner.at;
        scanner.skip();
      } else if (key === word.code) code = scanner.text();
      else if (key === word.detail) detail = scanner.text();
      else scanner.skip();
    }
    if (op === word.messages && messagesAt >= 0) {
      scanner.at = messagesAt;
      this.#messages(bytes);
    } else if (op === word.subscribed) this.#subscribed.resolve(undefined);
    else if (op === word.error) this.#over(code, detail);
  }

  /** The array of tuples `[subject, sequence, timestamp, headers, data, deliveries]` at the scanner. */
  #messages(bytes: Buffer): void {
    const scanner = this.#scanner;
    const { check, tally } = this;
    for (let messages = scanner.arrayHead(); messages > 0; messages--) {
      const fields = scanner.arrayHead();
      const subjectBytes = scanner.bytes();
      const subjectEnd = scanner.at;
      const sequence = scanner.integer();
      const timestampMs = scanner.integer();
      scanner.skip();
      const bodyBytes = scanner.bytes();
      const bodyEnd = scanner.at;
      for (let rest = fields - 5; rest > 0; rest--) scanner.skip();
      check.message(bytes, subjectEnd - subjectBytes, subjectEnd, sequence, timestampMs, bodyEnd - bodyBytes, bodyEnd);
      tally.deliveredEver++;
      this.#measure(check.sentUs, bodyBytes);
    }
  }

  #measure(sentUs: number, bodyBytes: number): void {
    const { tally } = this;
    if (tally.measureFromUs !== -Infinity) {
      // Also false for NaN: what is not ours, or came before, has no time.
      if (!(sentUs >= tally.measureFromUs)) return;
      tally.latency.record(this.#arrivedUs - sentUs);
    }
    tally.delivered++;
    tally.deliveredBytes += bodyBytes;
    tally.lastUs = this.#arrivedUs;
  }

  #over(code: string, detail: string | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.tally.broken++;
    this.tally.error(code, detail);
    this.#subscribed.reject(
      new Error(`the subscription ended with ${code}${detail === undefined ? "" : `: ${detail}`}`),
    );
  }
}
