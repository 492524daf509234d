/**
 * A TCP proxy in front of a real server, for the faults of a network: cut, silent, slow, refused. It knows nothing of
 * the protocol; what needs to know one is in a file of its own, such as `s3-proxy.ts`.
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Where the connections go. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** Seen from the client: what it sends goes up, what it is answered comes down. */
export type Direction = "up" | "down";

/** Bytes that wait to be written before reading stops. */
const unwrittenBytesMax = 256 * 1024;
/** Forwarded at a time while it is slowed down, so that the pace is even. */
const slowPieceBytes = 4 * 1024;

/** Both halves of one connection. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** A proxy under a test's control; the faults hold for the connections there are and those that come. */
export class TcpProxy {
  readonly #target: ProxyTarget;
  readonly #pairs = new Set<Pair>();
  #listener: Server | undefined;
  #port = 0;
  #accepted = 0;
  #paused: PromiseWithResolvers<undefined> | undefined;
  #bytesPerSecond: number | undefined;
  #quota: { readonly direction: Direction; left: number; readonly reached: () => void } | undefined;

  constructor(target: ProxyTarget) {
    this.#target = target;
  }

  /** On 127.0.0.1; stays the same while it refuses. */
  get port(): number {
    return this.#port;
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Connections there ever were. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Lets connections in; the first call chooses the port. */
  async listen(): Promise<void> {
    // Half-open connections are kept: one side may have said all while the other still answers.
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    this.#listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.#port, "127.0.0.1", resolve);
    });
    const address = listener.address();
    if (address !== null && typeof address !== "string") this.#port = address.port;
  }

  /** Turns new connections away and cuts the ones there are, until `listen`. */
  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    const closed = new Promise<void>((resolve) =>
      listener === undefined ? resolve() : listener.close(() => resolve()),
    );
    this.cut();
    await closed;
  }

  /** Resets every open connection. */
  cut(): void {
    for (const pair of this.#pairs) this.#cutPair(pair);
  }

  /** Connections stay open, and new ones are taken, but nothing passes any more. */
  pause(): void {
    this.#paused ??= Promise.withResolvers<undefined>();
  }

  /** Ends `pause`; what was held back passes. */
  resume(): void {
    this.#paused?.resolve(undefined);
    this.#paused = undefined;
  }

  /** Each direction of each connection passes at most this many bytes a second; undefined: as fast as it goes. */
  slowTo(bytesPerSecond: number | undefined): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Lets this many more bytes pass in one direction, all connections together, then resets all; resolves then. */
  cutAfter(bytes: number, direction: Direction): Promise<void> {
    const reached = Promise.withResolvers<undefined>();
    this.#quota = { direction, left: bytes, reached: () => reached.resolve(undefined) };
    return reached.promise;
  }

  /** Ends it and its connections. */
  async stop(): Promise<void> {
    this.resume();
    await this.refuse();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #accept(client: Socket): void {
    this.#accepted++;
    const server = connect({ host: this.#target.host, port: this.#target.port, allowHalfOpen: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => this.#cutPair(pair));
      socket.on("close", () => this.#cutPair(pair));
    }
    const cutPair = (): void => this.#cutPair(pair);
    this.#forward(client, server, "up").catch(cutPair);
    this.#forward(server, client, "down").catch(cutPair);
  }

  #cutPair(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }

  /** The iterator reads only when asked, which is the back-pressure. */
  async #forward(from: Socket, to: Socket, direction: Direction): Promise<void> {
    for await (const chunk of from as AsyncIterable<Uint8Array>) {
      for (let start = 0; start < chunk.length; ) {
        await this.#paused?.promise;
        const pace = this.#bytesPerSecond;
        const piece = chunk.subarray(start, pace === undefined ? undefined : start + slowPieceBytes);
        await this.#pass(piece, to, direction);
        if (pace !== undefined) await Bun.sleep((piece.length / pace) * 1000);
        start += piece.length;
      }
    }
    await this.#paused?.promise;
    to.end();
  }

  async #pass(piece: Uint8Array, to: Socket, direction: Direction): Promise<void> {
    const quota = this.#quota?.direction === direction ? this.#quota : undefined;
    const allowed = quota === undefined ? piece : piece.subarray(0, quota.left);
    if (allowed.length > 0) await write(to, allowed);
    if (quota === undefined) return;
    quota.left -= allowed.length;
    if (quota.left > 0) return;
    this.#quota = undefined;
    this.cut();
    quota.reached();
  }
}

/** Resolves when there is room for more, rejects when the connection is gone. */
const write = (to: Socket, piece: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    to.write(piece, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
    if (to.writableLength < unwrittenBytesMax && !to.destroyed) resolve();
  });

/** Starts one on a free port; `await using` ends it with the block. */
export const startTcpProxy = async (target: ProxyTarget): Promise<TcpProxy> => {
  const proxy = new TcpProxy(target);
  await proxy.listen();
  return proxy;
};
