/**
 * The sending half of a connection: frames that wait for the socket, and the data of streams as far as the client takes
 * it. All that is sent in one turn leaves in one write.
 * @module
 */
import type { Socket } from "node:net";
import { frameBytesMin, frameFlag, frameHead, frameType, windowDefault } from "./frames.ts";
import { encodeHeaders } from "./hpack.ts";
import type { H2Stream } from "./stream.ts";

const KiB = 1024;
/** Frames that are gathered for one write to the socket. */
const writeBytes = 256 * KiB;
/** Answers of the protocol itself that a client leaves unread. */
const outBytesMax = 4096 * KiB;

/** Who is told by the sender. */
export interface SenderListener {
  /** The answer of a stream has been handed out to its end. */
  answered(stream: H2Stream): void;
  /** The client reads too little of what it asks for. */
  overflowed(): void;
}

/** Sends frames over one socket. */
export class Sender {
  /** Bytes that the client takes on all streams together. */
  window = windowDefault;
  /** Largest frame that the client takes. */
  frameBytesMax = frameBytesMin;
  #out: Uint8Array[] = [];
  #outBytes = 0;
  #isBlocked = false;
  #isScheduled = false;
  #isOver = false;
  /** Streams with something to send, in turn. */
  readonly #ready = new Set<H2Stream>();

  constructor(
    private readonly socket: Socket,
    private readonly listener: SenderListener,
  ) {
    socket.on("drain", () => {
      this.#isBlocked = false;
      this.flush();
    });
  }

  /** Sends frames as they are. */
  push(...parts: readonly Uint8Array[]): void {
    if (this.#isOver) return;
    for (const part of parts) {
      this.#out.push(part);
      this.#outBytes += part.length;
    }
    this.schedule();
    if (this.#outBytes > outBytesMax) this.listener.overflowed();
  }

  /** Sends headers, in as many frames as they need. */
  headers(stream: H2Stream, headers: Readonly<Record<string, string>>, isEnd: boolean): void {
    const block = encodeHeaders(headers);
    const first = block.subarray(0, this.frameBytesMax);
    const flags = (isEnd ? frameFlag.END_STREAM : 0) | (first.length === block.length ? frameFlag.END_HEADERS : 0);
    this.push(frameHead(frameType.HEADERS, flags, stream.id, first.length), first);
    for (let at = first.length; at < block.length; at += this.frameBytesMax) {
      const part = block.subarray(at, at + this.frameBytesMax);
      const isLast = at + part.length === block.length;
      this.push(frameHead(frameType.CONTINUATION, isLast ? frameFlag.END_HEADERS : 0, stream.id, part.length), part);
    }
    if (isEnd) this.listener.answered(stream);
  }

  /** The stream has something to send. */
  ready(stream: H2Stream): void {
    this.#ready.add(stream);
    this.schedule();
  }

  forget(stream: H2Stream): void {
    this.#ready.delete(stream);
  }

  /** A window was opened. */
  opened(): void {
    if (this.#ready.size > 0) this.schedule();
  }

  /** At the end of the turn: the answers of all calls that came back together leave in one piece. */
  schedule(): void {
    if (this.#isScheduled || this.#isBlocked || this.#isOver) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Hands the socket what it takes. */
  flush(): void {
    while (!this.#isBlocked && !this.#isOver) {
      this.#fill();
      if (this.#out.length === 0) return;
      this.#write();
    }
  }

  /** Sends these last frames whatever waits before them, and nothing after. */
  finish(...parts: readonly Uint8Array[]): void {
    this.push(...parts);
    if (!this.#isOver) this.#write();
    this.stop();
  }

  /** Sends nothing more. */
  stop(): void {
    this.#isOver = true;
    this.#out = [];
    this.#ready.clear();
  }

  #write(): void {
    const bytes = this.#out.length === 1 && this.#out[0] !== undefined ? this.#out[0] : Buffer.concat(this.#out);
    this.#out = [];
    this.#outBytes = 0;
    if (bytes.length > 0 && !this.socket.write(bytes)) this.#isBlocked = true;
  }

  /** Frames of data for one write, the streams taking turns. */
  #fill(): void {
    while (this.#ready.size > 0 && this.#outBytes < writeBytes) {
      let hasMoved = false;
      for (const stream of this.#ready) {
        if (this.#fillFrom(stream)) hasMoved = true;
        if (this.#outBytes >= writeBytes) break;
      }
      if (!hasMoved) return;
    }
  }

  /** One frame of a stream, or its end; false when it has to wait for its client. */
  #fillFrom(stream: H2Stream): boolean {
    const { end } = stream;
    if (end !== undefined) {
      this.headers(stream, end.trailers, true);
      return true;
    }
    if (stream.pendingBytes === 0) {
      this.#ready.delete(stream);
      return false;
    }
    // Never a frame of megabytes, though C++ clients take them: it would pass outBytesMax by itself.
    const room = Math.min(stream.sendWindow, this.window, this.frameBytesMax, writeBytes);
    if (room <= 0) return false;
    const bytes = stream.take(room);
    stream.sendWindow -= bytes.length;
    this.window -= bytes.length;
    this.push(frameHead(frameType.DATA, 0, stream.id, bytes.length), bytes);
    // At the back of the line.
    this.#ready.delete(stream);
    if (stream.pendingBytes > 0 || stream.isEnding) this.#ready.add(stream);
    stream.relieve();
    return true;
  }
}
