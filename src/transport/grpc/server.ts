/**
 * gRPC over HTTP/2: connections, routing, authentication, and a clean end.
 * Format: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 * @module
 */

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { Authenticator, Principal } from "../../auth/contract.ts";
import { bearerToken } from "../../codec/bearer.ts";
import { AddressCounts, type ByteBudget } from "../../core/admission.ts";
import { StreamError } from "../../core/errors.ts";
import { Call, type CallHost } from "./call.ts";
import { type ConnectionLimits, H2Connection, refuseConnection } from "./http2/connection.ts";
import type { RequestHeaders } from "./http2/request.ts";
import type { H2Stream } from "./http2/stream.ts";
import type { Route } from "./method.ts";
import { failureTrailers, GrpcFault, type StatusName, statusNameOf } from "./status.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Metadata of one call is at most as large as the headers of an HTTP request. */
const connectionLimits: ConnectionLimits = {
  // Clients hold back more.
  streamsMax: 1000,
  headerBytesMax: 16 * KiB,
  streamWindowBytes: 1 * MiB,
  connectionWindowBytes: 4 * MiB,
};
/**
 * Every connection is asked for a sign of life this often, which also keeps it open: load balancers drop those that are
 * silent for a minute.
 */
const pingMs = 25_000;
/** A client that has left so many without an answer is gone. */
const silentPingsMax = 2;
/** How long a request may lie half sent. */
const stallMsMax = 30_000;
const sweepMs = 5000;

const tlsOptions = { ALPNProtocols: ["h2"], minVersion: "TLSv1.2", handshakeTimeout: 10_000 } as const;

/** Certificate and key in PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What the server needs to know. */
export interface GrpcServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Undefined is no encryption. */
  readonly certificate: ServerCertificate | undefined;
  readonly authenticator: Authenticator;
  readonly messageBytesMax: number;
  readonly budget: ByteBudget;
  readonly connectionsPerAddressMax: number;
  /** Called for every call that ends. */
  readonly onCall: (path: string, status: StatusName) => void;
  /** Something that is no fault of a client. */
  readonly onFailure: (error: unknown, path: string) => void;
}

/** Serves routes. */
export class GrpcServer implements CallHost {
  readonly messageBytesMax: number;
  readonly #server: Server | TlsServer;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #connections = new Set<H2Connection>();
  readonly #calls = new Set<Call>();
  readonly #addresses: AddressCounts;
  readonly #budget: ByteBudget;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(
    routes: readonly Route[],
    private readonly options: GrpcServerOptions,
  ) {
    this.messageBytesMax = options.messageBytesMax;
    this.#routes = new Map(routes.map((route) => [route.path, route]));
    this.#addresses = new AddressCounts(options.connectionsPerAddressMax);
    this.#budget = options.budget;
    const opened = (socket: Socket): void => this.#opened(socket);
    const { certificate } = options;
    this.#server =
      certificate === undefined
        ? createServer(opened)
        : createTlsServer({ ...tlsOptions, cert: certificate.cert, key: certificate.key }, opened);
  }

  /** New connections get this certificate; those that are open stay. */
  replaceCertificate({ cert, key }: ServerCertificate): void {
    if ("setSecureContext" in this.#server) this.#server.setSecureContext({ ...tlsOptions, cert, key });
  }

  /** Open connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Calls that have not ended. */
  get calls(): number {
    return this.#calls.size;
  }

  /** Answers the port. @throws Error with code EADDRINUSE when it is taken */
  async listen(): Promise<number> {
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      if ("setSecureContext" in this.#server) this.#server.on("tlsClientError", () => undefined);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error: unknown) => this.options.onFailure(error, ""));
        resolve();
      });
    });
    this.#timers.push(
      setInterval(() => this.#ping(), pingMs),
      setInterval(() => this.#sweep(), sweepMs),
    );
    for (const timer of this.#timers) timer.unref();
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  }

  /** Refuses new calls and connections; those under way go on. */
  drain(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#server.close();
    for (const connection of this.#connections) connection.leave();
  }

  /** Ends what is still open: calls with UNAVAILABLE, then the connections, after `graceMs` at the latest. */
  async close(graceMs: number): Promise<void> {
    this.drain();
    const stopping = new StreamError("shutting_down", "The server is stopping; call again, another or later.");
    for (const call of this.#calls) call.fail(stopping);
    if (this.#connections.size > 0) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      this.#onEmpty = () => resolve(undefined);
      const timer = setTimeout(() => resolve(undefined), graceMs);
      await promise;
      clearTimeout(timer);
    }
    for (const connection of this.#connections) connection.destroy();
  }

  reserve(bytes: number, own: number): void {
    if (this.#budget.take(bytes, own)) return;
    throw new StreamError("overloaded", "Too many bytes of requests are on their way in; try again a little later.");
  }

  release(bytes: number): void {
    this.#budget.release(bytes);
  }

  ended(path: string, status: StatusName): void {
    this.options.onCall(path, status);
  }

  closed(call: Call): void {
    this.#calls.delete(call);
  }

  failed(error: unknown, path: string): void {
    this.options.onFailure(error, path);
  }

  #opened(socket: Socket): void {
    const address = socket.remoteAddress ?? "";
    if (this.#isStopping || !this.#addresses.add(address)) {
      refuseConnection(socket, this.#isStopping ? "NO_ERROR" : "ENHANCE_YOUR_CALM");
      return;
    }
    const connection: H2Connection = new H2Connection(socket, connectionLimits, {
      stream: (stream, isTooLarge) => this.#accept(stream, isTooLarge),
      closed: () => {
        this.#connections.delete(connection);
        this.#addresses.remove(address);
        if (this.#connections.size === 0) this.#onEmpty?.();
      },
    });
    this.#connections.add(connection);
  }

  #accept(stream: H2Stream, isTooLarge: boolean): void {
    const { headers } = stream;
    const path = headers[":path"] ?? "";
    if (isTooLarge) {
      const detail = `The metadata of a call takes at most ${connectionLimits.headerBytesMax} bytes.`;
      this.#refuse(stream, new GrpcFault("RESOURCE_EXHAUSTED", detail));
      return;
    }
    const refused = httpRefusal(headers);
    if (refused !== undefined) {
      refusePlainly(stream, refused);
      return;
    }
    const route = this.#routes.get(path);
    if (route === undefined) {
      this.#refuse(stream, new GrpcFault("UNIMPLEMENTED", "There is no such method."));
      return;
    }
    if (this.#isStopping) {
      this.#refuse(stream, new StreamError("shutting_down", "The server is stopping; call again, another or later."));
      return;
    }
    const call = new Call(stream, route, this);
    this.#calls.add(call);
    try {
      const principal = route.open === true ? undefined : this.#callerOf(headers);
      if (principal instanceof Promise) {
        principal.then((caller) => call.start(caller)).catch((error: unknown) => call.fail(error));
      } else call.start(principal);
    } catch (error) {
      call.fail(error);
    }
  }

  #callerOf({ authorization }: RequestHeaders): Principal | Promise<Principal> {
    const { authenticator } = this.options;
    if (authenticator.anonymous !== undefined) return authenticator.anonymous;
    if (authorization === undefined) {
      throw new StreamError("unauthenticated", "Send a token in the metadata: authorization: Bearer TOKEN.");
    }
    return authenticator.authenticate(bearerToken(authorization));
  }

  #refuse(stream: H2Stream, failure: StreamError | GrpcFault): void {
    stream.respond({ ":status": "200", "content-type": "application/grpc+proto", ...failureTrailers(failure) }, true);
    this.options.onCall("unknown", statusNameOf(failure));
  }

  #ping(): void {
    for (const connection of this.#connections) {
      if (connection.silentPings >= silentPingsMax) connection.destroy();
      else connection.ping();
    }
  }

  /** Requests that lie half sent hold memory for nothing. */
  #sweep(): void {
    const before = performance.now() - stallMsMax;
    for (const call of this.#calls) {
      if (call.receiving && call.receivedAt < before) {
        call.fail(new GrpcFault("DEADLINE_EXCEEDED", "The request did not come in time."));
      }
    }
  }
}

/** Answers what is no gRPC call in plain words, when the client has said all it has to say. */
const refusePlainly = (stream: H2Stream, status: number): void => {
  const ignore = (): void => undefined;
  const answer = (): void => {
    stream.respond({ ":status": String(status), "content-type": "text/plain" }, false);
    stream.write(Buffer.from("This port speaks gRPC.\n"));
    stream.finish({});
  };
  stream.listener = { data: ignore, halfClosed: answer, drained: ignore, closed: ignore };
};

/** The HTTP status for what is no gRPC at all. */
const httpRefusal = (headers: RequestHeaders): number | undefined => {
  if (headers[":method"] !== "POST") return 405;
  return /^application\/grpc(?:\+proto)?(?:;|$)/.test(headers["content-type"] ?? "") ? undefined : 415;
};
