/**
 * A plain TCP connection, for what no HTTP client would send or hide: exact request bytes, half requests, clients that
 * go away or stop reading.
 * @module
 */
import { connect, type Socket } from "node:net";

/** The connection. Everything received stays in `received` until it is taken. */
export class RawSocket {
  /** Resolves when the connection is closed by either side. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #changed: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const closed = Promise.withResolvers<undefined>();
    this.closed = closed.promise;
    socket.on("data", (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#changed?.();
    });
    // A reset by the server is an end like any other here.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#ended = true;
      closed.resolve(undefined);
      this.#changed?.();
    });
  }

  /**
   * Connects to the host and port of a URL.
   * @param localAddress where it comes from; every 127.x.y.z is one of this machine's own
   */
  static connect(url: string, localAddress?: string): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), ...(localAddress && { localAddress }) });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new RawSocket(socket)));
    });
  }

  write(data: string | Uint8Array): void {
    this.#socket.write(typeof data === "string" ? Buffer.from(data, "utf8") : data);
  }

  /** Stops reading: what the server sends piles up on its side. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Closes it: with a FIN, or at once with a reset. */
  destroy(how: "fin" | "reset" = "fin"): void {
    if (how === "reset") this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /**
   * Takes something from what was received as soon as `take` finds it: `take` answers a value and how many bytes it
   * used, or undefined for "not yet". Undefined when the connection ends before.
   */
  async take<T>(take: (received: Buffer) => { value: T; used: number } | undefined): Promise<T | undefined> {
    while (true) {
      const found = take(this.#received);
      if (found !== undefined) {
        this.#received = this.#received.subarray(found.used);
        return found.value;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<Buffer> {
    await this.closed;
    return this.#received;
  }
}

/** Head of a response, with header names in lower case and values as UTF-8. */
export interface RawHead {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Waits for the head of a response; undefined when the server closed without one. */
export const takeHead = (socket: RawSocket): Promise<RawHead | undefined> =>
  socket.take((received) => {
    const end = received.indexOf("\r\n\r\n");
    if (end === -1) return undefined;
    const [statusLine = "", ...lines] = received.toString("utf8", 0, end).split("\r\n");
    const headers = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    return { value: { status: Number(statusLine.split(" ")[1]), headers: new Map(headers) }, used: end + 4 };
  });

/** One request on a connection of its own. */
export const rawRequest = async (
  url: string,
  lines: readonly string[],
  body: string | Uint8Array = "",
): Promise<RawHead & { readonly body: Buffer }> => {
  const socket = await RawSocket.connect(url);
  socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`);
  if (body.length > 0) socket.write(body);
  const head = await takeHead(socket);
  if (head === undefined) throw new Error("the server closed the connection without an answer");
  const length = head.headers.get("content-length");
  const taken =
    length === undefined || lines[0]?.startsWith("HEAD")
      ? undefined
      : await socket.take((received) =>
          received.length < Number(length)
            ? undefined
            : { value: received.subarray(0, Number(length)), used: Number(length) },
        );
  if (taken !== undefined) socket.destroy();
  return { ...head, body: taken ?? (await socket.rest()) };
};
