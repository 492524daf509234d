/**
 * How the body of one request comes in: counted while it is read, so that nothing larger than its limit is ever held;
 * within the bytes that all requests may hold together; and not slower than the pace.
 * @module
 */
import type { ByteBudget } from "../../core/admission.ts";
import { StreamError } from "../../core/errors.ts";
import { bodyTooLarge, contentLength } from "./body.ts";
import type { Pace, PacedBody } from "./pace.ts";

/** Up to here a body is read in one step: it comes in a few packets, and reading it in pieces costs more. */
const oneStepBytesMax = 64 * 1024;
/** A body that goes on into the store as it comes holds about this much, however large it is. */
const streamBytesMax = 1024 * 1024;

/** What all requests share. */
export interface IntakeShared {
  readonly budget: ByteBudget;
  readonly pace: Pace;
}

/** A client that stops in the middle of its body is no fault of the server. */
const cutShort = (cause: unknown): StreamError =>
  cause instanceof StreamError ? cause : new StreamError("malformed_request", "The body ended early.", {}, cause);

const tooSlow = (): StreamError => new StreamError("body_too_slow", "The body came too slowly; send it again.");

/** The body of one request. */
export class Intake {
  #held = 0;

  constructor(
    private readonly request: Request,
    private readonly shared: IntakeShared,
  ) {}

  /** Gives back what the body held, when the request is answered. */
  release(): void {
    if (this.#held === 0) return;
    this.shared.budget.release(this.#held);
    this.#held = 0;
  }

  /**
   * A whole body in memory.
   * @throws StreamError `body_too_large` (by `Content-Length` before anything is read), `body_too_slow`, `overloaded`,
   *   `malformed_request` (cut short)
   */
  async bytes(bytesMax: number): Promise<Uint8Array> {
    const length = contentLength(this.request);
    if (length !== undefined && length > bytesMax) throw bodyTooLarge(bytesMax);
    if (length !== undefined && length <= oneStepBytesMax) {
      const body = await this.#oneStep(length);
      this.#hold(body.length);
      return body;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#read(bytesMax, Number.POSITIVE_INFINITY)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /**
   * The chunks of a body that goes on as it comes; reading stops at the first byte too many.
   * @throws StreamError `body_too_large`, `body_too_slow`, `overloaded`, `malformed_request` (cut short)
   */
  chunks(bytesMax: number): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#read(bytesMax, streamBytesMax);
  }

  #hold(bytes: number): void {
    if (!this.shared.budget.take(bytes, this.#held)) {
      throw new StreamError("overloaded", "Too many bytes are under way; try again a little later.");
    }
    this.#held += bytes;
  }

  /** Bun shows nothing of it before it is whole, so its time is that of its length. */
  #oneStep(length: number): Promise<Uint8Array> {
    const { pace } = this.shared;
    return new Promise((resolve, reject) => {
      const paced: PacedBody = { bytes: length, waiting: true, tooSlow: () => reject(tooSlow()) };
      pace.watch(paced);
      this.request
        .bytes()
        .then(resolve, (thrown: unknown) => reject(cutShort(thrown)))
        .finally(() => pace.forget(paced));
    });
  }

  async *#read(bytesMax: number, heldBytesMax: number): AsyncGenerator<Uint8Array, void, undefined> {
    const { body } = this.request;
    if (body === null) return;
    const { pace } = this.shared;
    const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    const found = { slow: false };
    const leave = (): void => void reader.cancel().catch(() => undefined);
    const paced: PacedBody = {
      bytes: 0,
      waiting: false,
      tooSlow: () => {
        found.slow = true;
        leave();
      },
    };
    pace.watch(paced);
    let ended = false;
    try {
      while (true) {
        paced.waiting = true;
        const { done, value } = await reader.read();
        paced.waiting = false;
        if (found.slow) throw tooSlow();
        if (done) break;
        paced.bytes += value.length;
        if (paced.bytes > bytesMax) throw bodyTooLarge(bytesMax);
        const held = Math.min(value.length, heldBytesMax - this.#held);
        if (held > 0) this.#hold(held);
        yield value;
      }
      ended = true;
    } catch (thrown) {
      throw cutShort(thrown);
    } finally {
      pace.forget(paced);
      if (!ended && !found.slow) leave();
    }
  }
}
