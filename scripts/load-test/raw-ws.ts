/**
 * A WebSocket client (RFC 6455) for load: frames are packed into the connection's output buffer and read where they
 * arrived. It masks with the key 0, which changes no byte: the mask protects proxies from scripts in browsers, and
 * there are none here.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { LeanSocket } from "./lean-socket.ts";

/** What happens on a connection after the handshake. */
export interface WsEvents {
  /** A binary message; the bytes are the callee's only until it returns. */
  message(bytes: Buffer, start: number, end: number): void;
  /** All messages of one read were handed out; the moment to send what they make room for. */
  turn(): void;
  /** There is room in the output buffer again. */
  writable(): void;
  /** It is over. @param reason `closed_` and the close code, or `connection_closed`, `connection_failed` */
  closed(reason: string, detail?: string): void;
}

const handshakeGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const handshakeBytesMax = 16 * 1024;
const opcodes = { continuation: 0, binary: 2, close: 8, ping: 9, pong: 10 } as const;
/** Head of a client's frame at its longest: 2, a 64-bit length, the mask. */
export const frameHeadBytesMax = 14;
/** Control frames carry up to 125 bytes. */
const controlBytesMax = 125;

/** Writes the head of a binary frame of a client and returns where its payload starts. */
export const writeFrameHead = (out: Buffer, start: number, opcode: number, payloadBytes: number): number => {
  let at = start;
  out[at++] = 0x80 | opcode;
  if (payloadBytes < 126) out[at++] = 0x80 | payloadBytes;
  else if (payloadBytes < 0x10000) {
    out[at++] = 0x80 | 126;
    out[at++] = payloadBytes >>> 8;
    out[at++] = payloadBytes;
  } else {
    out[at++] = 0x80 | 127;
    out.writeUInt32BE(Math.floor(payloadBytes / 2 ** 32), at);
    out.writeUInt32BE(payloadBytes >>> 0, at + 4);
    at += 8;
  }
  out[at] = 0;
  out[at + 1] = 0;
  out[at + 2] = 0;
  out[at + 3] = 0;
  return at + 4;
};

/** Gets a whole frame: its opcode, whether it is the last of its message, and where its payload is. */
type FrameSink = (opcode: number, final: boolean, bytes: Buffer, start: number, end: number) => void;

/** Cuts a stream of bytes into frames. Only a frame that arrives in pieces is copied. */
export class FrameReader {
  #part: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #partBytes = 0;

  constructor(private readonly sink: FrameSink) {}

  /** @throws Error when the server breaks the protocol */
  read(chunk: Buffer): void {
    let at = 0;
    while (this.#partBytes > 0 && at < chunk.length) at = this.#complete(chunk, at);
    while (at < chunk.length) {
      const bytes = frameBytes(chunk, at, chunk.length);
      if (bytes === 0 || bytes > chunk.length - at) {
        this.#keep(chunk, at, chunk.length, bytes);
        return;
      }
      this.#hand(chunk, at, at + bytes);
      at += bytes;
    }
  }

  /** Adds to the frame that came in part, hands it out when it is whole, and returns where the chunk goes on. */
  #complete(chunk: Buffer, start: number): number {
    const known = frameBytes(this.#part, 0, this.#partBytes);
    // As long as the head itself is not whole, byte by byte.
    const missing = known === 0 ? 1 : known - this.#partBytes;
    const end = Math.min(chunk.length, start + missing);
    this.#keep(chunk, start, end, known);
    if (known > 0 && this.#partBytes === known) {
      this.#partBytes = 0;
      this.#hand(this.#part, 0, known);
    } else if (known === 0 && frameBytes(this.#part, 0, this.#partBytes) === this.#partBytes) {
      const whole = this.#partBytes;
      this.#partBytes = 0;
      this.#hand(this.#part, 0, whole);
    }
    return end;
  }

  #keep(chunk: Buffer, start: number, end: number, frameBytesKnown: number): void {
    const wanted = Math.max(frameBytesKnown, this.#partBytes + end - start);
    if (wanted > this.#part.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(wanted, this.#part.length * 2));
      this.#part.copy(larger, 0, 0, this.#partBytes);
      this.#part = larger;
    }
    this.#partBytes += chunk.copy(this.#part, this.#partBytes, start, end);
  }

  #hand(bytes: Buffer, start: number, end: number): void {
    const first = bytes[start] ?? 0;
    this.sink(first & 0x0f, (first & 0x80) !== 0, bytes, start + headBytes(bytes[start + 1] ?? 0), end);
  }
}

const headBytes = (second: number): number => (second === 126 ? 4 : second === 127 ? 10 : 2);

/** Bytes of the frame that starts here; 0 when its head is not whole. */
const frameBytes = (bytes: Buffer, start: number, end: number): number => {
  if (end - start < 2) return 0;
  if (((bytes[start] ?? 0) & 0x70) !== 0) throw new Error("the server set a reserved bit of a frame");
  const second = bytes[start + 1] ?? 0;
  if ((second & 0x80) !== 0) throw new Error("the server masked a frame");
  const head = headBytes(second);
  if (end - start < head) return 0;
  if (second < 126) return head + second;
  if (second === 126) return head + bytes.readUInt16BE(start + 2);
  return head + bytes.readUInt32BE(start + 2) * 2 ** 32 + bytes.readUInt32BE(start + 6);
};

/** One connection. */
export class RawWebSocket {
  readonly #reader = new FrameReader((...frame) => this.#frame(...frame));
  #parts: Buffer[] = [];
  #closeReason: string | undefined;

  private constructor(
    readonly socket: LeanSocket,
    private readonly events: WsEvents,
  ) {}

  /**
   * Connects and speaks the handshake.
   * @param url `ws:` or `http:`, with the path
   * @throws Error when nobody answers, or the answer is no upgrade
   */
  static async connect(url: URL, subprotocol: string, events: WsEvents): Promise<RawWebSocket> {
    const key = randomBytes(16).toString("base64");
    const { promise, resolve, reject } = Promise.withResolvers<RawWebSocket>();
    let head = Buffer.alloc(0);
    let ws: RawWebSocket | undefined;
    const socket = await LeanSocket.connect(url, {
      data(chunk) {
        if (ws !== undefined) {
          ws.#read(chunk);
          return;
        }
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0 && head.length <= handshakeBytesMax) return;
        const refusal = upgradeRefusal(head.toString("latin1", 0, Math.max(end, 0)), key);
        if (refusal !== undefined) {
          reject(new Error(refusal));
          socket.end();
          return;
        }
        ws = new RawWebSocket(socket, events);
        resolve(ws);
        ws.#read(head.subarray(end + 4));
      },
      writable: () => {
        if (ws !== undefined) events.writable();
      },
      closed(reason, detail) {
        if (ws === undefined) reject(new Error(detail ?? "the connection was closed during the handshake"));
        else events.closed(ws.#closeReason ?? reason, detail);
      },
    });
    const request =
      `GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`;
    socket.outEnd += socket.out.write(request, socket.outEnd, "latin1");
    socket.flush();
    return promise;
  }

  /** Sends one small message at once. */
  send(payload: Uint8Array): void {
    this.#send(opcodes.binary, payload);
  }

  /** Says goodbye and closes. */
  close(): void {
    if (this.socket.closed) return;
    this.#send(opcodes.close, Buffer.from([1000 >>> 8, 1000 & 0xff]));
    this.socket.end();
  }

  #send(opcode: number, payload: Uint8Array): void {
    const { socket } = this;
    // Only replies to pings can find no room: those are repeated by the server.
    if (!socket.reserve(frameHeadBytesMax + payload.length)) return;
    const at = writeFrameHead(socket.out, socket.outEnd, opcode, payload.length);
    socket.out.set(payload, at);
    socket.outEnd = at + payload.length;
    socket.flush();
  }

  #read(chunk: Buffer): void {
    this.#reader.read(chunk);
    this.events.turn();
  }

  #frame(opcode: number, final: boolean, bytes: Buffer, start: number, end: number): void {
    if (opcode === opcodes.binary && final) {
      this.events.message(bytes, start, end);
    } else if (opcode === opcodes.binary || opcode === opcodes.continuation) {
      this.#fragment(final, bytes, start, end);
    } else if (opcode === opcodes.ping) {
      this.#send(opcodes.pong, Buffer.from(bytes.subarray(start, Math.min(end, start + controlBytesMax))));
    } else if (opcode === opcodes.close) {
      this.#closeReason = `closed_${end - start >= 2 ? bytes.readUInt16BE(start) : 1005}`;
      this.socket.end();
    }
  }

  /** The server sends messages whole, something between it and us may not. */
  #fragment(final: boolean, bytes: Buffer, start: number, end: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    if (!final) return;
    const whole = Buffer.concat(this.#parts);
    this.#parts = [];
    this.events.message(whole, 0, whole.length);
  }
}

/** Why an answer to the handshake is no upgrade, or undefined. */
const upgradeRefusal = (head: string, key: string): string | undefined => {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
  if (status !== "101") return `the server answered ${status ?? "no HTTP"} instead of upgrading to WebSocket`;
  const accept = /\r\nsec-websocket-accept: *(\S+)/i.exec(head)?.[1];
  const expected = createHash("sha1")
    .update(key + handshakeGuid)
    .digest("base64");
  return accept === expected ? undefined : "the server's Sec-WebSocket-Accept does not belong to our key";
};
