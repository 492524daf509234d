/**
 * Subscriptions over WebSocket: `GET /graphql` as an upgrade, subprotocol graphql-transport-ws. The composition root
 * gives it the upgrades of that path and what happens to their sockets.
 * @module
 */
import type { Server, ServerWebSocket } from "bun";
import type { GraphQLSchema } from "graphql";
import type { Authenticator, Principal } from "../../../auth/contract.ts";
import { bearerToken } from "../../../codec/bearer.ts";
import { upgradeRefusal } from "../../../codec/upgrade-refusal.ts";
import { AddressCounts, type ByteBudget } from "../../../core/admission.ts";
import { StreamError, toStreamError } from "../../../core/errors.ts";
import type { Documents } from "../documents.ts";
import type { GraphqlLog } from "../errors.ts";
import { Connection, type ConnectionContext, type GraphqlWsMetrics } from "./connection.ts";
import { Groups } from "./groups.ts";
import { assertUpgraded, checkRequest, checkUpgrade } from "./upgrade.ts";
import { type WatchedClock, Watchers } from "./watchers.ts";

const heartbeatMsDefault = 30_000;
/** How long a socket may stay without connection_init. */
const initMsDefault = 3000;
/** Sockets that have not said who they are. */
const unknownMax = 1000;

/** What the sockets work with. */
export interface SocketsOptions {
  readonly schema: GraphQLSchema;
  readonly documents: Documents;
  readonly authenticator: Authenticator;
  /** Browser origins let in beside the server's own. */
  readonly allowedOrigins: readonly string[];
  /** Bytes of requests under way, shared with the other transports. */
  readonly budget: ByteBudget;
  /** Sockets of one address; 0 is no limit. */
  readonly socketsPerAddressMax: number;
  /** Largest frame in bytes. */
  readonly frameBytesMax: number;
  readonly log: GraphqlLog;
  readonly metrics?: GraphqlWsMetrics;
  /** Unix milliseconds now. */
  readonly nowMs: () => number;
  /** Between two pings, in milliseconds; 30 s when not given. */
  readonly heartbeatMs?: number;
  readonly clock?: WatchedClock;
}

/** What is kept with a socket. */
export interface GraphqlSocketState {
  readonly kind: "graphql";
  /** Undefined when the upgrade had no token and one is required. */
  readonly principal: Principal | undefined;
  /** Under which it is counted. */
  readonly address: string;
  /** Set when the socket opens. */
  connection?: Connection;
}

type Socket = ServerWebSocket<GraphqlSocketState>;

const noMetrics: GraphqlWsMetrics = {
  opened: () => undefined,
  closed: () => undefined,
  received: () => undefined,
  sent: () => undefined,
};

/** All sockets of the path. */
export class GraphqlSockets {
  readonly #options: SocketsOptions;
  readonly #context: ConnectionContext;
  readonly #connections = new Set<Connection>();
  readonly #addresses: AddressCounts;
  readonly #watchers: Watchers;
  #stopping = false;

  constructor(options: SocketsOptions) {
    this.#options = options;
    this.#addresses = new AddressCounts(options.socketsPerAddressMax);
    this.#watchers = new Watchers({
      heartbeatMs: options.heartbeatMs ?? heartbeatMsDefault,
      initMs: initMsDefault,
      nowMs: options.nowMs,
      clock: options.clock,
    });
    this.#context = {
      documents: options.documents,
      groups: new Groups(options.schema, options.log),
      authenticator: options.authenticator,
      budget: options.budget,
      log: options.log,
      metrics: options.metrics ?? noMetrics,
      frameBytesMax: options.frameBytesMax,
      known: (connection, { expiresAt }) => this.#watchers.known(connection, expiresAt),
      stopping: () => this.#stopping,
    };
  }

  /** Open sockets. */
  connections(): number {
    return this.#connections.size;
  }

  /** Upgrades a request for the path; undefined when it did, else the answer to send. */
  upgrade(request: Request, server: Server<GraphqlSocketState>): Response | undefined | Promise<Response | undefined> {
    const refuse = (error: unknown): Response => upgradeRefusal(request, toStreamError(error));
    try {
      const found = this.#callerOf(request);
      if (!(found instanceof Promise)) return this.#upgradeAs(found, request, server);
      return found.then((principal) => this.#upgradeAs(principal, request, server)).catch(refuse);
    } catch (error) {
      return refuse(error);
    }
  }

  open(socket: Socket): void {
    const connection = new Connection(socket, this.#context, socket.data.principal);
    socket.data.connection = connection;
    this.#connections.add(connection);
    this.#watchers.add(connection);
    this.#context.metrics.opened();
  }

  message(socket: Socket, frame: string | Buffer): void {
    socket.data.connection?.receive(frame);
  }

  drain(socket: Socket): void {
    socket.data.connection?.drained();
  }

  /** A ping or a pong of WebSocket. */
  alive(socket: Socket): void {
    const { connection } = socket.data;
    if (connection !== undefined) connection.alive = true;
  }

  close(socket: Socket, code: number): void {
    const { connection, address } = socket.data;
    this.#addresses.remove(address);
    if (connection === undefined) return;
    connection.release();
    this.#connections.delete(connection);
    this.#watchers.remove(connection);
    this.#context.metrics.closed(code);
  }

  /** Refuses new operations and sockets, and closes every socket. */
  closeAll(code: number, reason: string): void {
    this.#stopping = true;
    this.#watchers.stop();
    for (const connection of this.#connections) connection.close({ code, reason });
  }

  /** @throws StreamError everything for which a request is not upgraded but the form of the upgrade itself */
  #callerOf(request: Request): Principal | undefined | Promise<Principal> {
    const { allowedOrigins, authenticator } = this.#options;
    checkRequest(request, allowedOrigins);
    if (this.#stopping) throw new StreamError("shutting_down", "The server is stopping; connect again later.");
    if (authenticator.anonymous !== undefined) return authenticator.anonymous;
    const header = request.headers.get("authorization");
    return header === null ? undefined : authenticator.authenticate(bearerToken(header));
  }

  /** @throws StreamError */
  #upgradeAs(
    principal: Principal | undefined,
    request: Request,
    server: Server<GraphqlSocketState>,
  ): Response | undefined {
    const headers = checkUpgrade(request);
    if (this.#watchers.unknown >= unknownMax) {
      throw new StreamError("overloaded", "Too many connections have not begun yet; try again a little later.");
    }
    const address = server.requestIP(request)?.address ?? "";
    if (!this.#addresses.add(address)) {
      throw new StreamError("too_many_connections", "This address has too many WebSockets open; close some first.");
    }
    const upgraded = server.upgrade(request, { data: { kind: "graphql", principal, address }, headers });
    if (!upgraded) this.#addresses.remove(address);
    assertUpgraded(upgraded);
    return undefined;
  }
}
