/**
 * The WebSocket transport: `GET /v1/ws` on the HTTP port. The composition root gives it the requests for that path and
 * its handlers to `Bun.serve`.
 * @module
 */
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import type { Broker } from "../../broker/contract.ts";
import { StreamError, toStreamError } from "../../core/errors.ts";
import { frameBytesMax, outboxExtraBytesMax } from "../../core/limits.ts";
import type { Close } from "./close-codes.ts";
import { Connection } from "./connection.ts";
import type { ConnectionContext, WsLog, WsMetrics } from "./context.ts";
import { Heartbeat, processTimers, type WsTimers } from "./heartbeat.ts";
import type { Protocol } from "./protocol.ts";
import { JsonProtocol } from "./protocol-json.ts";
import { MsgpackProtocol } from "./protocol-msgpack.ts";
import { assertUpgraded, checkUpgrade, refusal, type Subprotocol } from "./upgrade.ts";

export type { WsLog, WsMetrics } from "./context.ts";
export type { WsTimers } from "./heartbeat.ts";

const heartbeatMsDefault = 30_000;
const subscriptionsMax = 1000;
const requestsMax = 65_536;
/** Frames that may wait for their answers, in multiples of the largest one. */
const requestFramesMax = 4;
/** How long a close may wait for answers that are under way. */
const closeGraceMsDefault = 3000;
const closePollMs = 10;
/** What Bun may queue for one socket; the transport ends a connection long before. */
const backpressureBytesMax = 2 ** 31 - 1;

/** What the transport works with. */
export interface WsOptions {
  readonly broker: Broker;
  /** Browser origins let in beside the server's own. */
  readonly allowedOrigins: readonly string[];
  /** Version of the server, for the welcome. */
  readonly version: string;
  /** Name of this node, for the welcome. */
  readonly node: string;
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;
  readonly log: WsLog;
  /** Between two pings, in milliseconds; 30 s when not given. */
  readonly heartbeatMs?: number;
  /** How long `closeAll` waits for answers that are under way, in milliseconds; 3 s when not given. */
  readonly closeGraceMs?: number;
  readonly metrics?: WsMetrics;
  readonly timers?: WsTimers;
}

/** What is kept with a socket. */
export interface SocketState {
  readonly subprotocol: Subprotocol;
  /** Set when the socket opens. */
  connection?: Connection;
}

/** The transport. */
export interface WsTransport {
  /** Upgrades a request for the path; undefined when it did, else the answer to send. */
  upgrade(request: Request, server: Server<SocketState>): Response | undefined;
  /** For `Bun.serve({websocket})`. */
  readonly handlers: WebSocketHandler<SocketState>;
  /**
   * Refuses new requests and sockets, lets answers that are under way go out, then closes every socket. Drain the
   * broker first, so that waiting fetches are answered.
   */
  closeAll(code: number, reason: string): Promise<void>;
  /** Open sockets. */
  connections(): number;
}

const noMetrics: WsMetrics = {
  opened: () => undefined,
  closed: () => undefined,
  received: () => undefined,
  sent: () => undefined,
};

/** Makes the transport. */
export const createWsTransport = (options: WsOptions): WsTransport => new Transport(options);

class Transport implements WsTransport {
  readonly handlers: WebSocketHandler<SocketState>;
  private readonly open = new Set<Connection>();
  private readonly heartbeat: Heartbeat;
  private readonly heartbeatMs: number;
  private readonly timers: WsTimers;
  private readonly context: ConnectionContext;
  private readonly protocols: Readonly<Record<Subprotocol, Protocol>>;
  private stopping = false;

  constructor(private readonly options: WsOptions) {
    const frameBytes = frameBytesMax(options.bodyBytesMax);
    this.heartbeatMs = options.heartbeatMs ?? heartbeatMsDefault;
    this.timers = options.timers ?? processTimers;
    this.heartbeat = new Heartbeat(this.heartbeatMs, this.timers);
    this.protocols = { "mts.msgpack.v1": new MsgpackProtocol(), "mts.json.v1": new JsonProtocol() };
    this.context = {
      broker: options.broker,
      limits: {
        bodyBytesMax: options.bodyBytesMax,
        frameBytesMax: frameBytes,
        unsentBytesMax: frameBytes + outboxExtraBytesMax,
        subscriptionsMax,
        requestsMax,
        requestBytesMax: requestFramesMax * frameBytes,
      },
      log: options.log,
      metrics: options.metrics ?? noMetrics,
      stopping: () => this.stopping,
    };
    this.handlers = {
      // Bun closes with 1009 what is larger.
      maxPayloadLength: frameBytes,
      backpressureLimit: backpressureBytesMax,
      closeOnBackpressureLimit: false,
      // The heartbeat below decides who is gone.
      idleTimeout: 0,
      sendPings: false,
      perMessageDeflate: false,
      open: (socket) => this.opened(socket),
      message: (socket, frame) => socket.data.connection?.receive(frame),
      drain: (socket) => socket.data.connection?.drained(),
      ping: (socket) => markAlive(socket),
      pong: (socket) => markAlive(socket),
      close: (socket, code) => this.closed(socket, code),
    };
  }

  upgrade(request: Request, server: Server<SocketState>): Response | undefined {
    try {
      if (this.stopping) throw new StreamError("shutting_down", "The server is stopping; connect again later.");
      const { subprotocol, headers } = checkUpgrade(request, this.options.allowedOrigins);
      assertUpgraded(server.upgrade(request, { data: { subprotocol }, headers }));
      return undefined;
    } catch (error) {
      return refusal(toStreamError(error));
    }
  }

  connections(): number {
    return this.open.size;
  }

  async closeAll(code: number, reason: string): Promise<void> {
    this.stopping = true;
    this.heartbeat.stop();
    await this.settled();
    const close: Close = { code, reason };
    // Bun counts a socket as closed from here on, sends what is left, and cuts off who does not read within seconds.
    for (const connection of this.open) connection.close(close);
  }

  /** Resolves when no request waits for its answer, or the grace is over. */
  private async settled(): Promise<void> {
    const idle = (): boolean => [...this.open].every(({ requests }) => requests === 0);
    if (idle()) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const cancelPoll = this.timers.every(closePollMs, () => {
      if (idle()) resolve(undefined);
    });
    const cancelGrace = this.timers.after(this.options.closeGraceMs ?? closeGraceMsDefault, () => resolve(undefined));
    await promise;
    cancelPoll();
    cancelGrace();
  }

  private opened(socket: ServerWebSocket<SocketState>): void {
    const connection = new Connection(socket, this.protocols[socket.data.subprotocol], this.context);
    socket.data.connection = connection;
    this.open.add(connection);
    this.heartbeat.add(connection);
    this.context.metrics.opened();
    connection.reply("welcome", undefined, {
      server: "minitoolstream",
      version: this.options.version,
      node: this.options.node,
      epoch: this.options.broker.epoch,
      max_frame_bytes: this.context.limits.frameBytesMax,
      max_body_bytes: this.options.bodyBytesMax,
      heartbeat_ms: this.heartbeatMs,
    });
  }

  private closed(socket: ServerWebSocket<SocketState>, code: number): void {
    const { connection } = socket.data;
    if (connection === undefined) return;
    connection.release();
    this.open.delete(connection);
    this.heartbeat.remove(connection);
    this.context.metrics.closed(code);
  }
}

const markAlive = (socket: ServerWebSocket<SocketState>): void => {
  const { connection } = socket.data;
  if (connection !== undefined) connection.alive = true;
};
