/**
 * The WebSocket transport: `GET /v1/ws` on the HTTP port. The composition root gives it the requests for that path and
 * its handlers to `Bun.serve`.
 * @module
 */
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import type { Authenticator, Principal } from "../../auth/contract.ts";
import type { Broker } from "../../broker/contract.ts";
import { upgradeRefusal } from "../../codec/upgrade-refusal.ts";
import { AddressCounts, type ByteBudget } from "../../core/admission.ts";
import { StreamError, toStreamError } from "../../core/errors.ts";
import { frameBytesMax, outboxExtraBytesMax } from "../../core/limits.ts";
import type { Close } from "./close-codes.ts";
import { Connection } from "./connection.ts";
import type { ConnectionContext, WsLog, WsMetrics } from "./context.ts";
import { Expiry } from "./expiry.ts";
import { Heartbeat, processTimers, type WsTimers } from "./heartbeat.ts";
import type { Protocol } from "./protocol.ts";
import { JsonProtocol } from "./protocol-json.ts";
import { MsgpackProtocol } from "./protocol-msgpack.ts";
import { socketOptions } from "./socket-options.ts";
import { assertUpgraded, checkRequest, checkUpgrade, type Subprotocol, upgradeToken } from "./upgrade.ts";

export type { WsLog, WsMetrics } from "./context.ts";
export type { WsTimers } from "./heartbeat.ts";

const heartbeatMsDefault = 30_000;
const subscriptionsMax = 1000;
const requestsMax = 65_536;
/** Sockets without a valid token: each may be held for two seconds. */
const unknownMax = 1000;
/** Frames that may wait for their answers, in multiples of the largest one. */
const requestFramesMax = 4;
/** How long a close may wait for answers that are under way. */
const closeGraceMsDefault = 3000;
const closePollMs = 10;

/** What the transport works with. */
export interface WsOptions {
  /** For the welcome; everything else goes through the callers' principals. */
  readonly broker: Pick<Broker, "epoch">;
  readonly authenticator: Authenticator;
  /** Browser origins let in beside the server's own. */
  readonly allowedOrigins: readonly string[];
  /** Version of the server, for the welcome. */
  readonly version: string;
  /** Name of this node, for the welcome. */
  readonly node: string;
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;
  readonly log: WsLog;
  /** Bytes of requests under way, shared with the other transports. */
  readonly budget: ByteBudget;
  /** Sockets of one address; 0 is no limit. */
  readonly socketsPerAddressMax: number;
  /** Between two pings, in milliseconds; 30 s when not given. */
  readonly heartbeatMs?: number;
  /** How long `closeAll` waits for answers that are under way, in milliseconds; 3 s when not given. */
  readonly closeGraceMs?: number;
  readonly metrics?: WsMetrics;
  readonly timers?: WsTimers;
  /** Unix milliseconds now, for the expiry of tokens; the system's when not given. */
  readonly nowMs?: () => number;
}

/** What is kept with a socket. */
export interface SocketState {
  readonly subprotocol: Subprotocol;
  /** Undefined when the upgrade had no token and one is required. */
  readonly principal: Principal | undefined;
  /** Under which it is counted. */
  readonly address: string;
  /** Set when the socket opens. */
  connection?: Connection;
}

/** The transport. */
export interface WsTransport {
  /** Upgrades a request for the path; undefined when it did, else the answer to send. */
  upgrade(request: Request, server: Server<SocketState>): Response | undefined | Promise<Response | undefined>;
  /** For `Bun.serve({websocket})`. */
  readonly handlers: WebSocketHandler<SocketState>;
  /**
   * Refuses new requests and sockets, lets answers that are under way go out, then closes every socket. Drain the
   * broker first, so that waiting fetches are answered.
   */
  closeAll(code: number, reason: string): Promise<void>;
  /** Open sockets. */
  connections(): number;
  /** What has not reached the network, over all sockets and of the fullest one. */
  unsentBytes(): { readonly total: number; readonly max: number };
}

const noMetrics: WsMetrics = {
  opened: () => undefined,
  closed: () => undefined,
  received: () => undefined,
  sent: () => undefined,
  requested: () => undefined,
  failed: () => undefined,
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
  private readonly addresses: AddressCounts;
  private stopping = false;

  constructor(private readonly options: WsOptions) {
    const frameBytes = frameBytesMax(options.bodyBytesMax);
    this.heartbeatMs = options.heartbeatMs ?? heartbeatMsDefault;
    this.timers = options.timers ?? processTimers;
    this.heartbeat = new Heartbeat(this.heartbeatMs, this.timers);
    this.protocols = { "mts.msgpack.v1": new MsgpackProtocol(), "mts.json.v1": new JsonProtocol() };
    this.addresses = new AddressCounts(options.socketsPerAddressMax);
    this.context = {
      budget: options.budget,
      authenticator: options.authenticator,
      timers: this.timers,
      expiry: new Expiry(this.timers, options.nowMs ?? Date.now),
      unknown: new Set(),
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
      welcome: (connection) => this.welcome(connection),
      stopping: () => this.stopping,
    };
    this.handlers = {
      ...socketOptions(options.bodyBytesMax),
      open: (socket) => this.opened(socket),
      message: (socket, frame) => socket.data.connection?.receive(frame),
      drain: (socket) => socket.data.connection?.drained(),
      ping: (socket) => markAlive(socket),
      pong: (socket) => markAlive(socket),
      close: (socket, code) => this.closed(socket, code),
    };
  }

  upgrade(request: Request, server: Server<SocketState>): Response | undefined | Promise<Response | undefined> {
    const refuse = (error: unknown): Response => upgradeRefusal(request, toStreamError(error));
    try {
      const token = this.checkToken(request);
      if (!(token instanceof Promise)) return this.upgradeAs(token, request, server);
      return token.then((principal) => this.upgradeAs(principal, request, server)).catch(refuse);
    } catch (error) {
      return refuse(error);
    }
  }

  /** @throws StreamError everything for which a request is not upgraded but the form of the upgrade itself */
  private checkToken(request: Request): Principal | undefined | Promise<Principal> {
    const { allowedOrigins, authenticator } = this.options;
    checkRequest(request, allowedOrigins);
    if (this.stopping) throw new StreamError("shutting_down", "The server is stopping; connect again later.");
    if (authenticator.anonymous !== undefined) return authenticator.anonymous;
    const token = upgradeToken(request);
    return token === undefined ? undefined : authenticator.authenticate(token);
  }

  /** Upgrades a request whose caller is known, or may still show a token; no answer is needed then. @throws StreamError */
  private upgradeAs(
    principal: Principal | undefined,
    request: Request,
    server: Server<SocketState>,
  ): Response | undefined {
    const { subprotocol, headers } = checkUpgrade(request);
    if (principal === undefined && this.context.unknown.size >= unknownMax) {
      throw new StreamError("overloaded", "Too many connections have shown no token yet; send it with the upgrade.");
    }
    const address = server.requestIP(request)?.address ?? "";
    if (!this.addresses.add(address)) {
      throw new StreamError("too_many_connections", "This address has too many WebSockets open; close some first.");
    }
    const upgraded = server.upgrade(request, { data: { subprotocol, principal, address }, headers });
    if (!upgraded) this.addresses.remove(address);
    assertUpgraded(upgraded);
    return undefined;
  }

  connections(): number {
    return this.open.size;
  }

  unsentBytes(): { readonly total: number; readonly max: number } {
    let [total, max] = [0, 0];
    for (const { outbox } of this.open) {
      const bytes = outbox.unsentBytes;
      total += bytes;
      if (bytes > max) max = bytes;
    }
    return { total, max };
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
    const { subprotocol, principal } = socket.data;
    const connection = new Connection(socket, this.protocols[subprotocol], this.context, principal);
    socket.data.connection = connection;
    this.open.add(connection);
    this.heartbeat.add(connection);
    this.context.metrics.opened();
    // Who is not known yet learns nothing about the server.
    if (principal !== undefined) this.welcome(connection);
  }

  private welcome(connection: Connection): void {
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
    const { connection, address } = socket.data;
    this.addresses.remove(address);
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
