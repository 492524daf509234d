/**
 * HTTP/2 frames by hand, for what no library would send.
 * @module
 */
import { connect, type Socket } from "node:net";

/** A frame of the server. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Types of frames that the tests look at. */
export const type = {
  DATA: 0,
  HEADERS: 1,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const initialWindowSize = 4;

/** A frame on its way to the server. */
export const frame = (
  frameType: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = frameType;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
};

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** SETTINGS with an initial window size. */
export const windowSettings = (bytes: number): Buffer =>
  frame(type.SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, initialWindowSize]), uint32(bytes)]));

/** Opens a window. */
export const windowUpdate = (streamId: number, bytes: number): Buffer =>
  frame(type.WINDOW_UPDATE, 0, streamId, uint32(bytes));

const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);

/** The header block of a gRPC call. */
export const callHeaders = (path: string): Buffer =>
  Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal(":authority", "test"),
    literal("content-type", "application/grpc"),
    literal("te", "trailers"),
  ]);

/** A whole call with one message. */
export const callFrames = (streamId: number, path: string, message: Uint8Array): Buffer => {
  const prefix = Buffer.concat([Buffer.from([0]), uint32(message.length)]);
  return Buffer.concat([
    frame(type.HEADERS, 4, streamId, callHeaders(path)),
    frame(type.DATA, 1, streamId, Buffer.concat([prefix, message])),
  ]);
};

/** A connection. */
export class RawH2 {
  readonly frames: RawFrame[] = [];
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #waiting = new Set<() => void>();
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    void this.closed.then(() => this.#changed());
  }

  /** Connects and sends the preface and empty settings. */
  static async open(target: string): Promise<RawH2> {
    const [host = "", port = ""] = target.split(":");
    const socket = connect(Number(port), host);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    const connection = new RawH2(socket);
    connection.send(Buffer.from(preface), frame(type.SETTINGS, 0, 0));
    return connection;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(parts));
  }

  /** Bytes of the data of a stream that have come. */
  dataBytes(streamId: number): number {
    return this.frames
      .filter((received) => received.type === type.DATA && received.streamId === streamId)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  }

  /** Waits until it holds; looked at after every frame, and a last time when the connection is closed. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#socket.closed) throw new Error("the connection closed before it came true");
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Code and text of the GOAWAY that ends the connection. */
  async goaway(): Promise<{ readonly code: number; readonly text: string }> {
    const find = (): RawFrame | undefined => this.frames.find((received) => received.type === type.GOAWAY);
    await this.until(() => find() !== undefined);
    const payload = find()?.payload ?? Buffer.alloc(8);
    return { code: payload.readUInt32BE(4), text: payload.toString("utf8", 8) };
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) break;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        streamId: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(9, end),
      });
      this.#rest = this.#rest.subarray(end);
    }
    this.#changed();
  }

  #changed(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
