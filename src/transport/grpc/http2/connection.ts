/**
 * One HTTP/2 connection, server side (RFC 9113): frames in, flow control both ways, frames out. Streams are in
 * `stream.ts`, what they mean is for whoever listens to them.
 *
 * Our own, because node:http2 in Bun (1.4) sets the window of a stream back when a client changes its initial window
 * size while messages flow, as Go's clients do all the time: the stream then stands still for ever.
 * @module
 */
import type { Socket } from "node:net";
import { Allowance } from "./allowance.ts";
import { ConnectionError, type H2ErrorName, StreamReset } from "./errors.ts";
import {
  type Frame,
  FrameSplitter,
  frameBytesCeiling,
  frameBytesMin,
  frameFlag,
  frameType,
  goawayFrame,
  pingFrame,
  rstStreamFrame,
  setting,
  settingsAckFrame,
  settingsFrame,
  unpadded,
  windowDefault,
  windowMax,
  windowUpdateFrame,
} from "./frames.ts";
import { type HeaderField, HpackDecoder } from "./hpack.ts";
import { checkTrailers, parseRequest } from "./request.ts";
import { Sender } from "./sender.ts";
import { H2Stream, type StreamOwner } from "./stream.ts";

const KiB = 1024;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Header blocks are put together from as much as this; a longer one is an attack (CVE-2024-27316). */
const headerBlockBytesMax = 64 * KiB;
/**
 * Frames that cost the server and carry nothing: pings, settings, resets, priorities, empty data. Go clients send a
 * ping a round trip while they measure the bandwidth; whoever cancels a thousand streams resets a thousand.
 */
const idleFramesBurst = 10_000;
const idleFramesPerSecond = 2000;
/** Streams whose end crossed frames on their way that are to be ignored; the oldest are forgotten. */
const resetStreamsMax = 1000;

/** Bounds of a connection. */
export interface ConnectionLimits {
  /** Streams at the same time. */
  readonly streamsMax: number;
  /** Headers of one request, counted as HTTP/2 counts them. */
  readonly headerBytesMax: number;
  /** What a client may send of one stream before it is read. */
  readonly streamWindowBytes: number;
  /** The same for all streams together. */
  readonly connectionWindowBytes: number;
}

/** Who is told. */
export interface ConnectionListener {
  /** A request; `isTooLarge` when its headers passed their limit and some are left out. */
  stream(stream: H2Stream, isTooLarge: boolean): void;
  closed(): void;
}

/** One connection. */
export class H2Connection implements StreamOwner {
  /** Pings without any sign of life since; the server's heartbeat counts them. */
  silentPings = 0;
  readonly #streams = new Map<number, H2Stream>();
  readonly #resets = new Set<number>();
  readonly #sender: Sender;
  readonly #splitter = new FrameSplitter();
  readonly #hpack = new HpackDecoder();
  readonly #idleFrames = new Allowance(idleFramesBurst, idleFramesPerSecond);
  #prefaceAt = 0;
  #hasSettings = false;
  #lastStreamId = 0;
  /** A header block that is not complete. */
  #block: { readonly streamId: number; readonly flags: number; readonly parts: Buffer[]; bytes: number } | undefined;
  #receiveWindow: number;
  #unacknowledged = 0;
  #peerInitialWindow = windowDefault;
  #isLeaving = false;
  #isOver = false;

  constructor(
    private readonly socket: Socket,
    private readonly limits: ConnectionLimits,
    private readonly listener: ConnectionListener,
  ) {
    this.#receiveWindow = limits.connectionWindowBytes;
    this.#sender = new Sender(socket, {
      answered: (stream) => this.#answered(stream),
      overflowed: () => setImmediate(() => this.destroy()),
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => this.#ended());
    socket.on("close", () => this.#ended());
    this.#sender.push(
      settingsFrame([
        [setting.ENABLE_PUSH, 0],
        [setting.MAX_CONCURRENT_STREAMS, limits.streamsMax],
        [setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
        [setting.MAX_HEADER_LIST_SIZE, limits.headerBytesMax],
      ]),
    );
    this.#sender.push(windowUpdateFrame(0, limits.connectionWindowBytes - windowDefault));
  }

  /** Asks the client for a sign of life. */
  ping(): void {
    this.silentPings++;
    this.#sender.push(pingFrame(0, Buffer.alloc(8)));
  }

  /** Takes no new streams, and closes when the last one is over. */
  leave(): void {
    if (this.#isLeaving || this.#isOver) return;
    this.#isLeaving = true;
    this.#sender.push(goawayFrame(this.#lastStreamId, "NO_ERROR", ""));
    this.#leaveWhenIdle();
  }

  /** Cuts it off. */
  destroy(): void {
    this.socket.destroy();
    this.#ended();
  }

  sendHeaders(stream: H2Stream, headers: Readonly<Record<string, string>>, isEnd: boolean): void {
    this.#sender.headers(stream, headers, isEnd);
  }

  ready(stream: H2Stream): void {
    this.#sender.ready(stream);
  }

  reset(stream: H2Stream, code: H2ErrorName): void {
    this.#sendReset(stream.id, code);
    this.#drop(stream, false);
  }

  /** The whole answer has been handed out. */
  #answered(stream: H2Stream): void {
    // A client that is still sending is told that nobody reads it (RFC 9113 section 8.1).
    if (!stream.isHalfClosed) this.#sendReset(stream.id, "NO_ERROR");
    this.#drop(stream, false);
  }

  #drop(stream: H2Stream, isReset: boolean): void {
    this.#streams.delete(stream.id);
    this.#sender.forget(stream);
    stream.close(isReset);
    if (this.#isLeaving) this.#leaveWhenIdle();
  }

  #leaveWhenIdle(): void {
    if (this.#streams.size > 0) return;
    this.#sender.flush();
    this.socket.end();
  }

  #ended(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sender.stop();
    for (const stream of this.#streams.values()) stream.close(true);
    this.#streams.clear();
    this.listener.closed();
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    this.silentPings = 0;
    try {
      const rest = this.#prefaceAt < preface.length ? this.#checkPreface(chunk) : chunk;
      this.#splitter.push(rest, (frame) => this.#frame(frame));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const code = error instanceof ConnectionError ? error.code : "INTERNAL_ERROR";
    const detail = error instanceof ConnectionError ? error.message : "";
    if (this.#isOver) return;
    this.#sender.finish(goawayFrame(this.#lastStreamId, code, detail));
    this.socket.end();
    this.#ended();
    // What else the client sends is read and thrown away, so that the GOAWAY is not lost in a reset of the connection.
    const cut = setTimeout(() => this.socket.destroy(), lingerMs);
    this.socket.on("close", () => clearTimeout(cut));
  }

  #checkPreface(chunk: Buffer): Buffer {
    const taken = Math.min(chunk.length, preface.length - this.#prefaceAt);
    if (chunk.compare(preface, this.#prefaceAt, this.#prefaceAt + taken, 0, taken) !== 0) {
      throw new ConnectionError("PROTOCOL_ERROR", "This port speaks gRPC over HTTP/2.");
    }
    this.#prefaceAt += taken;
    return chunk.subarray(taken);
  }

  #frame(frame: Frame): void {
    if (this.#isOver) return;
    if (!this.#hasSettings && frame.type !== frameType.SETTINGS) {
      throw new ConnectionError("PROTOCOL_ERROR", "The first frame must be SETTINGS.");
    }
    if (this.#block !== undefined && frame.type !== frameType.CONTINUATION) {
      throw new ConnectionError("PROTOCOL_ERROR", "A header block was not ended.");
    }
    try {
      this.#dispatch(frame);
    } catch (error) {
      if (!(error instanceof StreamReset)) throw error;
      const stream = this.#streams.get(error.streamId);
      this.#sendReset(error.streamId, error.code);
      if (stream !== undefined) this.#drop(stream, true);
      this.#idle();
    }
  }

  #dispatch(frame: Frame): void {
    switch (frame.type) {
      case frameType.DATA:
        this.#data(frame);
        break;
      case frameType.HEADERS:
        this.#headers(frame);
        break;
      case frameType.CONTINUATION:
        this.#continuation(frame);
        break;
      case frameType.WINDOW_UPDATE:
        this.#windowUpdate(frame);
        break;
      case frameType.SETTINGS:
        this.#settings(frame);
        break;
      case frameType.PING:
        this.#ping(frame);
        break;
      case frameType.RST_STREAM:
        this.#rstStream(frame);
        break;
      case frameType.PRIORITY:
        this.#priority(frame);
        break;
      case frameType.GOAWAY:
        if (frame.streamId !== 0) throw protocolError("GOAWAY belongs to the connection.");
        break;
      case frameType.PUSH_PROMISE:
        throw protocolError("Clients do not push.");
      default:
        // Unknown frames are ignored, but not without end.
        this.#idle();
    }
  }

  /** Counts a frame that carries nothing. */
  #idle(): void {
    if (!this.#idleFrames.take()) throw new ConnectionError("ENHANCE_YOUR_CALM", "too_many_pings");
  }

  #data(frame: Frame): void {
    const { streamId, flags } = frame;
    if (streamId === 0) throw protocolError("DATA belongs to a stream.");
    if (streamId > this.#lastStreamId) throw protocolError("DATA comes on a stream that was never opened.");
    const size = frame.payload.length;
    this.#receiveWindow -= size;
    if (this.#receiveWindow < 0) throw new ConnectionError("FLOW_CONTROL_ERROR", "More came than was asked for.");
    this.#giveBack(size);
    const stream = this.#streams.get(streamId);
    const bytes = unpadded(frame);
    if (stream === undefined) {
      if (this.#resets.has(streamId)) return;
      throw new StreamReset(streamId, "STREAM_CLOSED", "The stream is closed.");
    }
    if (stream.isHalfClosed) throw new StreamReset(streamId, "STREAM_CLOSED", "The stream was ended.");
    stream.receiveWindow -= size;
    if (stream.receiveWindow < 0)
      throw new StreamReset(streamId, "FLOW_CONTROL_ERROR", "More came than was asked for.");
    const isEnd = (flags & frameFlag.END_STREAM) !== 0;
    if (size === 0 && !isEnd) this.#idle();
    stream.receivedBytes += bytes.length;
    stream.unacknowledged += size;
    if (!isEnd) this.giveBack(stream);
    if (bytes.length > 0) stream.listener?.data(bytes);
    if (isEnd) this.#halfClose(stream);
  }

  #halfClose(stream: H2Stream): void {
    if (stream.isClosed) return;
    if (stream.announcedBytes !== undefined && stream.announcedBytes !== stream.receivedBytes) {
      throw new StreamReset(stream.id, "PROTOCOL_ERROR", "The body is not as long as content-length says.");
    }
    stream.isHalfClosed = true;
    stream.listener?.halfClosed();
  }

  #giveBack(bytes: number): void {
    this.#unacknowledged += bytes;
    if (this.#unacknowledged < this.limits.connectionWindowBytes / 2) return;
    this.#sender.push(windowUpdateFrame(0, this.#unacknowledged));
    this.#receiveWindow += this.#unacknowledged;
    this.#unacknowledged = 0;
  }

  giveBack(stream: H2Stream): void {
    if (stream.isHeld || stream.unacknowledged < this.limits.streamWindowBytes / 2) return;
    this.#sender.push(windowUpdateFrame(stream.id, stream.unacknowledged));
    stream.receiveWindow += stream.unacknowledged;
    stream.unacknowledged = 0;
  }

  #headers(frame: Frame): void {
    const { streamId, flags } = frame;
    if (streamId % 2 === 0) throw protocolError("Clients open streams with odd numbers.");
    let block = unpadded(frame);
    if ((flags & frameFlag.PRIORITY) !== 0) {
      if (block.length < 5) throw new ConnectionError("FRAME_SIZE_ERROR", "A priority is cut off.");
      if ((block.readUInt32BE(0) & 0x7fff_ffff) === streamId) throw protocolError("A stream depends on itself.");
      block = block.subarray(5);
    }
    if ((flags & frameFlag.END_HEADERS) !== 0) this.#headerBlock(streamId, flags, block);
    else this.#block = { streamId, flags, parts: [Buffer.from(block)], bytes: block.length };
  }

  #continuation({ streamId, flags, payload }: Frame): void {
    const block = this.#block;
    if (block === undefined || block.streamId !== streamId) throw protocolError("CONTINUATION continues nothing.");
    if (payload.length === 0) this.#idle();
    block.bytes += payload.length;
    if (block.bytes > headerBlockBytesMax) throw new ConnectionError("ENHANCE_YOUR_CALM", "Headers have no end.");
    block.parts.push(Buffer.from(payload));
    if ((flags & frameFlag.END_HEADERS) === 0) return;
    this.#block = undefined;
    this.#headerBlock(streamId, block.flags, Buffer.concat(block.parts));
  }

  /** Every block is decoded, also one that nobody wants: the tables go on from it. */
  #headerBlock(streamId: number, flags: number, block: Buffer): void {
    const { fields, isTooLarge } = this.#hpack.decode(block, this.limits.headerBytesMax);
    const isEnd = (flags & frameFlag.END_STREAM) !== 0;
    const open = this.#streams.get(streamId);
    if (open !== undefined) {
      this.#trailers(open, fields, isEnd);
      return;
    }
    if (streamId <= this.#lastStreamId) {
      if (this.#resets.has(streamId)) return;
      throw new ConnectionError("STREAM_CLOSED", "The stream is closed.");
    }
    this.#lastStreamId = streamId;
    if (this.#isLeaving || this.#streams.size >= this.limits.streamsMax) {
      throw new StreamReset(streamId, "REFUSED_STREAM", "There are too many streams.");
    }
    const headers = isTooLarge ? Object.fromEntries(fields) : parseRequest(streamId, fields);
    const stream = new H2Stream(streamId, headers, this, this.#peerInitialWindow, this.limits.streamWindowBytes);
    const length = headers["content-length"];
    if (length !== undefined) stream.announcedBytes = Number(length);
    if (isEnd && (stream.announcedBytes ?? 0) !== 0) {
      throw new StreamReset(streamId, "PROTOCOL_ERROR", "The body is not as long as content-length says.");
    }
    // Known before the first answer, which depends on it.
    stream.isHalfClosed = isEnd;
    this.#streams.set(streamId, stream);
    this.listener.stream(stream, isTooLarge);
    if (isEnd && !stream.isClosed) stream.listener?.halfClosed();
  }

  #trailers(stream: H2Stream, fields: readonly HeaderField[], isEnd: boolean): void {
    if (stream.isHalfClosed) throw new StreamReset(stream.id, "STREAM_CLOSED", "The stream was ended.");
    if (!isEnd) throw new StreamReset(stream.id, "PROTOCOL_ERROR", "Trailers do not end their stream.");
    checkTrailers(stream.id, fields);
    this.#halfClose(stream);
  }

  #windowUpdate({ streamId, payload }: Frame): void {
    if (payload.length !== 4) throw new ConnectionError("FRAME_SIZE_ERROR", "WINDOW_UPDATE has four bytes.");
    const increment = payload.readUInt32BE(0) & 0x7fff_ffff;
    if (streamId === 0) {
      if (increment === 0) throw protocolError("A window is opened by nothing.");
      this.#sender.window += increment;
      if (this.#sender.window > windowMax) throw new ConnectionError("FLOW_CONTROL_ERROR", "A window is too large.");
    } else {
      if (streamId > this.#lastStreamId) throw protocolError("WINDOW_UPDATE for a stream that was never opened.");
      if (increment === 0) throw new StreamReset(streamId, "PROTOCOL_ERROR", "A window is opened by nothing.");
      const stream = this.#streams.get(streamId);
      if (stream === undefined) return;
      stream.sendWindow += increment;
      if (stream.sendWindow > windowMax) {
        throw new StreamReset(streamId, "FLOW_CONTROL_ERROR", "A window is too large.");
      }
    }
    this.#sender.opened();
  }

  #settings({ streamId, flags, payload }: Frame): void {
    if (streamId !== 0) throw protocolError("SETTINGS belong to the connection.");
    if ((flags & frameFlag.ACK) !== 0) {
      if (payload.length > 0) throw new ConnectionError("FRAME_SIZE_ERROR", "An acknowledgement of settings is empty.");
      return;
    }
    if (payload.length % 6 !== 0) throw new ConnectionError("FRAME_SIZE_ERROR", "A setting has six bytes.");
    this.#hasSettings = true;
    for (let at = 0; at < payload.length; at += 6)
      this.#setting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.#sender.push(settingsAckFrame());
    this.#idle();
    this.#sender.opened();
  }

  #setting(name: number, value: number): void {
    if (name === setting.ENABLE_PUSH && value > 1) throw protocolError("ENABLE_PUSH is 0 or 1.");
    if (name === setting.MAX_FRAME_SIZE) {
      if (value < frameBytesMin || value > frameBytesCeiling) throw protocolError("MAX_FRAME_SIZE is out of range.");
      this.#sender.frameBytesMax = value;
    }
    if (name !== setting.INITIAL_WINDOW_SIZE) return;
    if (value > windowMax) throw new ConnectionError("FLOW_CONTROL_ERROR", "INITIAL_WINDOW_SIZE is too large.");
    const change = value - this.#peerInitialWindow;
    this.#peerInitialWindow = value;
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > windowMax) throw new ConnectionError("FLOW_CONTROL_ERROR", "A window is too large.");
    }
  }

  #ping({ streamId, flags, payload }: Frame): void {
    if (streamId !== 0) throw protocolError("PING belongs to the connection.");
    if (payload.length !== 8) throw new ConnectionError("FRAME_SIZE_ERROR", "A ping has eight bytes.");
    if ((flags & frameFlag.ACK) !== 0) return;
    this.#idle();
    this.#sender.push(pingFrame(frameFlag.ACK, Buffer.from(payload)));
  }

  #rstStream({ streamId, payload }: Frame): void {
    if (streamId === 0) throw protocolError("RST_STREAM belongs to a stream.");
    if (payload.length !== 4) throw new ConnectionError("FRAME_SIZE_ERROR", "RST_STREAM has four bytes.");
    if (streamId > this.#lastStreamId) throw protocolError("RST_STREAM for a stream that was never opened.");
    this.#idle();
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#drop(stream, true);
  }

  /** Priorities are deprecated; they are only checked. */
  #priority({ streamId, payload }: Frame): void {
    if (streamId === 0) throw protocolError("PRIORITY belongs to a stream.");
    if (payload.length !== 5) throw new StreamReset(streamId, "FRAME_SIZE_ERROR", "PRIORITY has five bytes.");
    if ((payload.readUInt32BE(0) & 0x7fff_ffff) === streamId) {
      throw new StreamReset(streamId, "PROTOCOL_ERROR", "A stream depends on itself.");
    }
    this.#idle();
  }

  #sendReset(streamId: number, code: H2ErrorName): void {
    this.#sender.push(rstStreamFrame(streamId, code));
    this.#resets.add(streamId);
    if (this.#resets.size <= resetStreamsMax) return;
    for (const oldest of this.#resets) {
      this.#resets.delete(oldest);
      break;
    }
  }
}

/** Tells a client that it may not connect now, and why. */
export const refuseConnection = (socket: Socket, code: "NO_ERROR" | "ENHANCE_YOUR_CALM"): void => {
  const detail = code === "NO_ERROR" ? "shutting_down" : "too_many_connections";
  socket.on("error", () => undefined);
  socket.resume();
  socket.end(Buffer.concat([settingsFrame([]), goawayFrame(0, code, detail)]));
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  socket.on("close", () => clearTimeout(cut));
};

/** How long an ended connection is still read. */
const lingerMs = 1000;

const protocolError = (detail: string): ConnectionError => new ConnectionError("PROTOCOL_ERROR", detail);
