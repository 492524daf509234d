/**
 * What one connection has to send: answers and pushes in one line, written once per turn inside a cork, so that many
 * small frames cost one system call.
 * @module
 */
import type { ServerWebSocket } from "bun";
import type { Delivery } from "../../broker/contract.ts";
import type { EncodedFrame, Outgoing, Protocol } from "./protocol.ts";

/** Queued bytes (as announced) at which the line is written at once instead of at the end of the turn. */
const flushBytesMin = 256 * 1024;

/** What surrounds a body in a frame, and what a pointer takes in its place. */
const overheadBytes = 128;
const pointerBytes = 1024;

/** About what one message takes in a frame. */
export const messageBytes = ({ body, pointer }: Delivery): number =>
  overheadBytes + (pointer === undefined ? body.length : pointerBytes);

/** How a connection sends. */
export interface OutboxOptions {
  /** Unsent bytes at which `overflowed` is called. */
  readonly unsentBytesMax: number;
  /** Called after a write, at most once; the outbox takes nothing more. */
  readonly overflowed: () => void;
  /** Called after a write; there may be room again. */
  readonly written: () => void;
  /** Counts frames and their bytes. */
  readonly sent: (bytes: number) => void;
}

/** The line of one connection. Its bound is `unsentBytesMax`: past it the connection is given up. */
export class Outbox {
  #queue: Outgoing[] = [];
  #queuedBytes = 0;
  #scheduled = false;
  #open = true;

  constructor(
    private readonly socket: ServerWebSocket<unknown>,
    private readonly protocol: Protocol,
    private readonly options: OutboxOptions,
  ) {}

  /** Bytes that have not reached the network: queued here (roughly) or in the socket. */
  get unsentBytes(): number {
    return this.#queuedBytes + this.socket.getBufferedAmount();
  }

  /** @param bytes about how large it will be */
  push(outgoing: Outgoing, bytes: number): void {
    if (!this.#open) return;
    this.#queue.push(outgoing);
    this.#queuedBytes += bytes;
    if (this.#queuedBytes >= flushBytesMin) {
      this.flush();
      return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A microtask: answers that are settled together (one commit) are all in the queue before it runs.
    queueMicrotask(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Writes what is queued. */
  flush(): void {
    if (!this.#open || this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.socket.cork(() => {
      for (const outgoing of queue) this.protocol.encode(outgoing, this.#send);
    });
    if (this.socket.getBufferedAmount() > this.options.unsentBytesMax) {
      this.close();
      this.options.overflowed();
    } else this.options.written();
  }

  /** Drops what is queued and takes nothing more. */
  close(): void {
    this.#open = false;
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  readonly #send = (frame: EncodedFrame): void => {
    // The result says whether it was queued in the socket; `unsentBytes` tells the same, and 0 means a closed socket.
    if (typeof frame === "string") this.socket.sendText(frame);
    else this.socket.sendBinary(frame);
    this.options.sent(frame.length);
  };
}
