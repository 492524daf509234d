/**
 * Bodies of 64 MiB over HTTP and WebSocket, as any client would send and fetch them.
 * @module
 */
import { decodeMsgpack, encodeMsgpack } from "../../src/codec/msgpack.ts";

/** The largest body by default. */
export const largeBytes = 64 * 1024 * 1024;

const answerMsMax = 60_000;

/** Bytes that do not compress. Made once: they are only read. */
export const largeBody = (): Uint8Array<ArrayBuffer> => {
  made ??= randomBytes(largeBytes);
  return made;
};

let made: Uint8Array<ArrayBuffer> | undefined;

const randomBytes = (length: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(length);
  // The most that one call gives.
  const step = 65_536;
  for (let at = 0; at < length; at += step) crypto.getRandomValues(bytes.subarray(at, at + step));
  return bytes;
};

/** Publishes one message over HTTP. @throws Error when it is refused */
export const uploadHttp = async (url: string, subject: string, body: Uint8Array<ArrayBuffer>): Promise<void> => {
  const target = new URL(`/v1/subjects/${subject}/messages`, url);
  const response = await fetch(target, { method: "POST", body, signal: AbortSignal.timeout(answerMsMax) });
  if (response.status !== 201) throw new Error(`publishing answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
};

/** Fetches one body over HTTP without keeping it and returns its length. */
export const downloadHttp = async (url: string, subject: string, sequence: number): Promise<number> => {
  const target = new URL(`/v1/subjects/${subject}/messages/${sequence}`, url);
  const response = await fetch(target, { signal: AbortSignal.timeout(answerMsMax) });
  if (response.status !== 200 || response.body === null) throw new Error(`fetching answered ${response.status}`);
  let bytes = 0;
  for await (const chunk of response.body as ReadableStream<Uint8Array>) bytes += chunk.length;
  return bytes;
};

/** A publisher over WebSocket with one message under way. */
export class WsUploader {
  #answer = Promise.withResolvers<undefined>();
  #id = 0;

  private constructor(private readonly socket: WebSocket) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#hear(data as ArrayBuffer);
    socket.onclose = ({ code }) => this.#answer.reject(new Error(`the server closed the WebSocket with ${code}`));
    this.#answer.promise.catch(() => undefined);
  }

  /** Connects. Rejects when the server does not let it. */
  static async connect(url: string): Promise<WsUploader> {
    const socket = new WebSocket(new URL("/v1/ws", url.replace(/^http/, "ws")), "mts.msgpack.v1");
    const uploader = new WsUploader(socket);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("the WebSocket does not open"));
    });
    return uploader;
  }

  /** Publishes one message. @throws Error when it is refused */
  async publish(subject: string, data: Uint8Array): Promise<void> {
    this.#answer = Promise.withResolvers();
    this.#id++;
    this.socket.send(encodeMsgpack({ op: "publish", id: this.#id, subject, data }));
    await this.#answer.promise;
  }

  close(): void {
    this.socket.close();
  }

  #hear(data: ArrayBuffer): void {
    const frame = decodeMsgpack(new Uint8Array(data)) as { op: string; id?: number; code?: string; detail?: string };
    if (frame.op === "published" && frame.id === this.#id) this.#answer.resolve(undefined);
    else if (frame.op === "error") this.#answer.reject(new Error(`${frame.code ?? ""}: ${frame.detail ?? ""}`));
  }
}
