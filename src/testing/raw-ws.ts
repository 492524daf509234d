/**
 * A WebSocket client on a plain TCP connection: shows the handshake as it is, can stop reading, and sends frames that
 * a real client would not.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { type RawHead, RawSocket, takeHead } from "./raw-socket.ts";

/** One frame of the server. */
export interface RawFrame {
  /** 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  readonly opcode: number;
  readonly payload: Buffer;
}

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Sends the upgrade request and answers the head of the response and the connection. */
export const rawUpgrade = async (
  wsUrl: string,
  headers: readonly string[] = [],
): Promise<{ readonly head: RawHead; readonly socket: RawSocket }> => {
  const url = new URL(wsUrl);
  const socket = await RawSocket.connect(wsUrl);
  const key = randomBytes(16).toString("base64");
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: ${url.host}`];
  const lines = [
    `GET ${url.pathname} HTTP/1.1`,
    ...host,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...headers,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  const head = await takeHead(socket);
  if (head === undefined) throw new Error("no answer to the upgrade");
  const accept = createHash("sha1")
    .update(key + guid)
    .digest("base64");
  if (head.status === 101 && head.headers.get("sec-websocket-accept") !== accept) throw new Error("wrong accept key");
  return { head, socket };
};

/** An open connection. */
export class RawWs {
  readonly socket: RawSocket;

  private constructor(socket: RawSocket) {
    this.socket = socket;
  }

  static async connect(wsUrl: string, protocol: string): Promise<RawWs> {
    const { head, socket } = await rawUpgrade(wsUrl, [`Sec-WebSocket-Protocol: ${protocol}`]);
    if (head.status !== 101) throw new Error(`the upgrade was answered with ${head.status}`);
    return new RawWs(socket);
  }

  /** On a connection whose upgrade was answered already. */
  static over(socket: RawSocket): RawWs {
    return new RawWs(socket);
  }

  /** Sends one frame; the mask is zero, which is a mask like any other. */
  send(payload: string | Uint8Array, opcode = typeof payload === "string" ? 1 : 2, final = true): void {
    const bytes = typeof payload === "string" ? Buffer.from(payload, "utf8") : payload;
    const length = bytes.length;
    const head = length < 126 ? Buffer.alloc(6) : length < 65_536 ? Buffer.alloc(8) : Buffer.alloc(14);
    head[0] = (final ? 0x80 : 0) | opcode;
    if (length < 126) head[1] = 0x80 | length;
    else if (length < 65_536) {
      head[1] = 0x80 | 126;
      head.writeUInt16BE(length, 2);
    } else {
      head[1] = 0x80 | 127;
      head.writeBigUInt64BE(BigInt(length), 2);
    }
    this.socket.write(head);
    if (length > 0) this.socket.write(bytes);
  }

  /** The next frame; undefined when the connection has ended. The server does not fragment. */
  next(): Promise<RawFrame | undefined> {
    return this.socket.take((received) => {
      if (received.length < 2) return undefined;
      const opcode = (received[0] ?? 0) & 0x0f;
      const short = (received[1] ?? 0) & 0x7f;
      const start = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (received.length < start) return undefined;
      const length =
        short === 127 ? Number(received.readBigUInt64BE(2)) : short === 126 ? received.readUInt16BE(2) : short;
      if (received.length < start + length) return undefined;
      const payload = Buffer.from(received.subarray(start, start + length));
      return { value: { opcode, payload }, used: start + length };
    });
  }

  /** The next frame with a message in it; pings are answered. Undefined at the end or at a close frame. */
  async nextMessage(): Promise<Buffer | undefined> {
    while (true) {
      const frame = await this.next();
      if (frame === undefined || frame.opcode === 8) return undefined;
      if (frame.opcode === 9) this.send(frame.payload, 10);
      else if (frame.opcode === 1 || frame.opcode === 2) return frame.payload;
    }
  }

  /** Reads on to the close frame; answers its code, or undefined when the connection ended without one. */
  async closeCode(): Promise<number | undefined> {
    while (true) {
      const frame = await this.next();
      if (frame === undefined) return undefined;
      if (frame.opcode === 8) return frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : 1005;
    }
  }
}
