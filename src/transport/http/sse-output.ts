/**
 * The body of an endless answer: server-sent events for as long as the client, the source and the server want. What is
 * unsent is bounded: while the client is slow nothing more is asked of the source.
 * @module
 */
import { errorView } from "../../codec/view.ts";
import type { StreamError } from "../../core/errors.ts";
import { pushPauseBytes } from "../../core/limits.ts";
import { mediaTypes } from "./accept.ts";
import { formatEvent, keepAliveComment } from "./sse.ts";
import type { OpenTail, TailSet } from "./tails.ts";

const utf8 = new TextEncoder();

/** Headers of an answer of events; HEAD gets them without opening anything. */
export const eventStreamHeaders = {
  "content-type": mediaTypes.events[0],
  "cache-control": "no-store",
  vary: "Accept",
  // Proxies that gather responses would hold events back.
  "x-accel-buffering": "no",
};

/** Where the events come from. */
export interface TailSource {
  /** The client has taken what there was; while a promise of it is pending it is not called again. */
  resume(): void | Promise<void>;
  /** Nobody wants more; called once. */
  close(): void;
}

/** When the client counts as slow: so many bytes are unsent. */
const bytesUnsent: QueuingStrategy<Uint8Array> = {
  highWaterMark: pushPauseBytes,
  size: (chunk?: Uint8Array) => chunk?.byteLength ?? 0,
};

/** See the module. Nothing of it throws. */
export class SseOutput implements OpenTail {
  readonly body: ReadableStream<Uint8Array>;
  readonly #tails: TailSet;
  /** Set while the stream is made. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #source: TailSource | undefined;
  #ended = false;

  /** @param strategy when the client counts as slow */
  constructor(tails: TailSet, strategy: QueuingStrategy<Uint8Array> = bytesUnsent) {
    this.#tails = tails;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#source?.resume(),
        cancel: () => this.#stop(),
      },
      strategy,
    );
  }

  /** From now on it is a tail that is open: silence is filled, and it ends when its client goes or the server stops. */
  open(source: TailSource, request: Request): void {
    if (this.#ended) {
      source.close();
      return;
    }
    this.#source = source;
    this.#tails.add(this, request);
    if (request.signal.aborted) this.end();
    else request.signal.addEventListener("abort", () => this.end(), { once: true });
  }

  /** False while the client is slow, and when it has ended. */
  writable(): boolean {
    return !this.#ended && (this.#controller?.desiredSize ?? 0) > 0;
  }

  /** Sends whole events; nothing once it has ended. */
  send(events: string | Uint8Array): void {
    // Bytes go on even when there are none: without a chunk nobody would ask for the next one.
    if (this.#ended || events === "") return;
    this.#controller?.enqueue(typeof events === "string" ? utf8.encode(events) : events);
  }

  /** Sends the error that ends it, as its last event. */
  fail(error: StreamError): void {
    this.send(formatEvent({ event: "error", data: errorView(error) }));
    this.end();
  }

  keepAlive(): void {
    if (this.writable()) this.send(keepAliveComment);
  }

  end(): void {
    if (this.#ended) return;
    this.#stop();
    this.#controller?.close();
  }

  #stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tails.delete(this);
    this.#source?.close();
  }
}
