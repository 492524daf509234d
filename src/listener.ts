/**
 * The port of HTTP and WebSocket, plain or under TLS, whose certificate can be replaced while connections stay open.
 * @module
 */
import type { Server, WebSocketHandler } from "bun";
import type { Certificate } from "./certificate.ts";

/** What listens. */
export interface ListenerOptions<State> {
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Undefined is no encryption. */
  readonly certificate: Certificate | undefined;
  readonly fetch: (request: Request, server: Server<State>) => Response | undefined | Promise<Response | undefined>;
  readonly websocket: WebSocketHandler<State>;
  /** What the request's own handling did not catch. */
  readonly error: (error: unknown) => Response;
}

/** Seconds of silence after which a connection without a request is closed. */
const idleSecondsMax = 60;

/**
 * A listening port. Bun (1.4) gives a running server no new certificate, so a second one takes over the port, which
 * `SO_REUSEPORT` lets both hold for a moment; the first accepts no more and serves what it has to the end.
 */
export class Listener<State> {
  #server: Server<State>;
  /** Those that were replaced and may still have connections. */
  #retired: Server<State>[] = [];
  readonly #options: ListenerOptions<State>;

  /** @throws Error with code EADDRINUSE when the port is taken; what Bun refuses the certificate with */
  constructor(options: ListenerOptions<State>) {
    this.#options = options;
    // Shared ports are for this server's own successor: one that somebody else has must be refused all the same.
    if (options.certificate !== undefined && options.port !== 0) void serve(options, options.port, false).stop(true);
    this.#server = serve(options, options.port, options.certificate !== undefined);
  }

  /** The port that it got. */
  get port(): number {
    return this.#server.port ?? this.#options.port;
  }

  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  get url(): string {
    const { hostname, certificate } = this.#options;
    const scheme = certificate === undefined ? "http" : "https";
    return `${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${this.port}`;
  }

  /** New connections get this certificate; those that are open stay. @throws what Bun refuses it with; nothing changes */
  replaceCertificate(certificate: Certificate): void {
    const successor = serve({ ...this.#options, certificate }, this.port, true);
    void this.#server.stop(false);
    this.#retired = this.#retired.filter((server) => server.pendingRequests > 0 || server.pendingWebSockets > 0);
    this.#retired.push(this.#server);
    this.#server = successor;
  }

  /** Accepts no more. Resolves when the requests under way are answered. */
  async drain(): Promise<void> {
    await Promise.all(this.#all().map((server) => server.stop(false)));
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await Promise.all(this.#all().map((server) => server.stop(true)));
  }

  #all(): readonly Server<State>[] {
    return [this.#server, ...this.#retired];
  }
}

const serve = <State>(options: ListenerOptions<State>, port: number, reusePort: boolean): Server<State> => {
  const { hostname, certificate, fetch, websocket, error } = options;
  return Bun.serve<State>({
    hostname,
    port,
    reusePort,
    // The limits of bodies are the transport's: Bun's own 413 has no body to explain it.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    idleTimeout: idleSecondsMax,
    fetch,
    websocket,
    error,
    ...(certificate && { tls: { cert: certificate.cert, key: certificate.key } }),
  });
};
