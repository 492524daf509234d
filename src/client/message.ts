/**
 * A message as the caller gets it.
 * @module
 */
import { MtsError } from "./errors.ts";
import type { BodyPointer } from "./options.ts";
import { fromWire, type Tuple, utf8 } from "./wire.ts";

/** Acknowledges a message, or with `delayMs` gives it back. */
export type Settling = (sequence: number, delayMs?: number, error?: string) => Promise<void>;

/** A message. */
export class Message {
  declare readonly subject: string;
  /** 1, 2, 3 … within the subject. */
  declare readonly sequence: number;
  /** Unix milliseconds, given by the server when it stored the message. */
  declare readonly timestamp: number;
  declare readonly headers: Readonly<Record<string, string>>;
  /** The body; a view of what came with it, so copy it if you keep a small one of many. Empty beside a pointer. */
  declare readonly data: Uint8Array;
  /** Where the body is, when it was asked for by `deliver: "pointer"`. */
  declare readonly pointer: BodyPointer | undefined;
  /** Which delivery under the consumer's name this is; 1 without a consumer. */
  declare readonly deliveries: number;
  readonly #settling: Settling | undefined;
  #settled: Promise<void> | undefined;

  constructor(tuple: Tuple, settling?: Settling) {
    let data: Tuple[4];
    [this.subject, this.sequence, this.timestamp, this.headers, data, this.deliveries] = tuple;
    if (!(data instanceof Uint8Array)) {
      this.pointer = fromWire(data) as BodyPointer;
      data = new Uint8Array();
    }
    this.data = data;
    this.#settling = settling;
  }

  /** The body as UTF-8 text. */
  text(): string {
    return utf8(this.data);
  }

  /** The body as JSON. @throws SyntaxError */
  json(): unknown {
    return JSON.parse(this.text());
  }

  /**
   * Acknowledges it; with a consumer of the kind `all` everything before it too. Need not be awaited: an
   * acknowledgement that fails means that the message comes again.
   * @returns resolves when the server has it; rejects with `epoch_changed`, `consumer_not_found`, `timed_out` …
   * @throws MtsError `wrong_ack_mode` when the message did not come by way of a consumer
   */
  ack(): Promise<void> {
    return this.#settle();
  }

  /**
   * Gives it back, on a consumer of the kind `explicit`: it comes again after `delayMs`, to whoever asks next. Need not
   * be awaited.
   * @param error why, at most 1024 bytes of UTF-8: its dead letter says so, if this was the last delivery
   * @returns rejects with `wrong_ack_mode` on a consumer of the kind `all`
   * @throws MtsError `wrong_ack_mode` when the message did not come by way of a consumer
   */
  nack(delayMs = 0, error?: string): Promise<void> {
    return this.#settle(delayMs, error);
  }

  #settle(delayMs?: number, error?: string): Promise<void> {
    if (!this.#settling) throw new MtsError("wrong_ack_mode", "It came without a consumer.");
    this.#settled ??= this.#settling(this.sequence, delayMs, error);
    return this.#settled;
  }
}
