/**
 * One stream of a connection: what waits to be sent on it, and how much of it the peer takes.
 * @module
 */
import type { H2ErrorName } from "./errors.ts";
import type { RequestHeaders } from "./request.ts";

/** Above it `write` answers false; below the half of it there is room again. */
const pendingBytesHigh = 256 * 1024;

/** Who is told of what comes on a stream. */
export interface StreamListener {
  data(bytes: Buffer): void;
  /** The client has sent all it will. */
  halfClosed(): void;
  /** After `write` answered false: there is room again. */
  drained(): void;
  /** Nothing comes or goes any more. `reset` when the client, or the end of its connection, cut it short. */
  closed(reset: boolean): void;
}

/** What a stream asks of its connection. */
export interface StreamOwner {
  sendHeaders(stream: H2Stream, headers: Readonly<Record<string, string>>, isEnd: boolean): void;
  /** The stream has something to send. */
  ready(stream: H2Stream): void;
  reset(stream: H2Stream, code: H2ErrorName): void;
  /** The stream may take more than its window had room for. */
  giveBack(stream: H2Stream): void;
}

/** One stream. The fields are its connection's business, the methods are for who answers. */
export class H2Stream {
  listener: StreamListener | undefined;
  /** The client has ended its half. */
  isHalfClosed = false;
  isClosed = false;
  /** Bytes that may be received before the client is told to go on. */
  receiveWindow: number;
  /** Received and not yet given back to the client's window. */
  unacknowledged = 0;
  /** `content-length` of the request, and what has come. */
  announcedBytes: number | undefined;
  receivedBytes = 0;
  isAnswered = false;
  /** Its window is not opened again for the time being. */
  isHeld = false;
  #chunks: Uint8Array[] = [];
  #head = 0;
  #pendingBytes = 0;
  #isFull = false;
  #end: { readonly trailers: Readonly<Record<string, string>> } | undefined;

  constructor(
    readonly id: number,
    readonly headers: RequestHeaders,
    private readonly owner: StreamOwner,
    /** Bytes that the client takes. */
    public sendWindow: number,
    windowBytes: number,
  ) {
    this.receiveWindow = windowBytes;
  }

  /** Bytes that were given to `write` and are not on their way. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get needsDrain(): boolean {
    return this.#isFull;
  }

  /** Nothing more will be written. */
  get isEnding(): boolean {
    return this.#end !== undefined;
  }

  /** The end that is due when nothing is pending. */
  get end(): { readonly trailers: Readonly<Record<string, string>> } | undefined {
    return this.#pendingBytes === 0 ? this.#end : undefined;
  }

  respond(headers: Readonly<Record<string, string>>, isEnd: boolean): void {
    if (this.isClosed || this.isAnswered) return;
    this.isAnswered = true;
    this.owner.sendHeaders(this, headers, isEnd);
  }

  /** Takes bytes to send; false when more should wait for `drained`. */
  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.#end !== undefined || bytes.length === 0) return !this.#isFull;
    this.#chunks.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= pendingBytesHigh) this.#isFull = true;
    this.owner.ready(this);
    return !this.#isFull;
  }

  /** Ends the answer, behind what is pending. */
  finish(trailers: Readonly<Record<string, string>>): void {
    if (this.isClosed || this.#end !== undefined) return;
    this.#end = { trailers };
    this.owner.ready(this);
  }

  /** Lets the window of the client run out, or opens it again. */
  hold(isHeld: boolean): void {
    if (this.isHeld === isHeld) return;
    this.isHeld = isHeld;
    if (!isHeld && !this.isClosed && !this.isHalfClosed) this.owner.giveBack(this);
  }

  /** Drops what is pending and tells the client that it is over. */
  reset(code: H2ErrorName): void {
    if (!this.isClosed) this.owner.reset(this, code);
  }

  /** The next bytes to send, `bytesMax` at most. */
  take(bytesMax: number): Uint8Array {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return new Uint8Array(0);
    const taken = chunk.length <= bytesMax ? chunk : chunk.subarray(0, bytesMax);
    if (taken === chunk) {
      this.#head++;
      if (this.#head === this.#chunks.length) {
        this.#chunks = [];
        this.#head = 0;
      }
    } else this.#chunks[this.#head] = chunk.subarray(bytesMax);
    this.#pendingBytes -= taken.length;
    return taken;
  }

  /** Tells the listener of new room, if it waits for it. */
  relieve(): void {
    if (!this.#isFull || this.#pendingBytes > pendingBytesHigh / 2) return;
    this.#isFull = false;
    this.listener?.drained();
  }

  /** The end of the stream. */
  close(reset: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#chunks = [];
    this.#head = 0;
    this.#pendingBytes = 0;
    this.listener?.closed(reset);
  }
}
