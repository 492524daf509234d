/**
 * The gRPC transport: the services of the original system, one of our own, health and reflection, on one port.
 * @module
 */

import type { Authenticator } from "../../auth/contract.ts";
import type { Broker } from "../../broker/contract.ts";
import type { ByteBudget } from "../../core/admission.ts";
import { frameOverheadBytes } from "../../core/limits.ts";
import type { EventHub } from "../../hub/contract.ts";
import { GrpcServer, type ServerCertificate } from "./server.ts";
import { egressRoutes } from "./services/egress.ts";
import { eventHubRoutes } from "./services/event-hub.ts";
import { Health } from "./services/health.ts";
import { ingressRoutes } from "./services/ingress.ts";
import { reflectionRoutes } from "./services/reflection.ts";
import { streamRoutes } from "./services/stream.ts";

/** What the transport works with. */
export interface GrpcOptions {
  /** For health alone; every other call speaks to its principal's broker. */
  readonly broker: Broker;
  readonly authenticator: Authenticator;
  readonly eventHub: EventHub;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Undefined is no encryption. */
  readonly certificate: ServerCertificate | undefined;
  /** Fetches acknowledge what they deliver unless their metadata says otherwise. */
  readonly autoAck: boolean;
  /** Bytes of requests under way, shared with the other transports. */
  readonly budget: ByteBudget;
  /** 0 is no limit. */
  readonly connectionsPerAddressMax: number;
  readonly log: GrpcLog;
  /** Told of every call that ended: the method, `unknown` for one that is not there, and the name of its status. */
  readonly onCall?: (method: string, status: string) => void;
}

/** Where failures go that no client is to blame for. */
export interface GrpcLog {
  error(event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** The running transport. */
export interface GrpcTransport {
  /** `grpc://HOST:PORT`, or `grpcs://` under TLS. */
  readonly url: string;
  connections(): number;
  /** Calls that have not ended. */
  calls(): number;
  /** New connections get this certificate; those that are open stay. */
  replaceCertificate(certificate: ServerCertificate): void;
  /** Refuses new calls and tells who watches the health; those under way go on. */
  drain(): void;
  /** Ends open streams with UNAVAILABLE and closes the connections, after `graceMs` at the latest. */
  close(graceMs: number): Promise<void>;
}

/** Starts it. @throws Error with code EADDRINUSE when the port is taken */
export const startGrpcTransport = async (options: GrpcOptions): Promise<GrpcTransport> => {
  const { broker, host, certificate, log, onCall } = options;
  const routes = [
    ...ingressRoutes,
    ...egressRoutes({ autoAck: options.autoAck }),
    ...streamRoutes,
    ...eventHubRoutes(options.eventHub),
  ];
  const health = new Health(broker, serviceNames(routes));
  const server = new GrpcServer([...routes, ...health.routes, ...reflectionRoutes], {
    host,
    port: options.port,
    certificate,
    authenticator: options.authenticator,
    messageBytesMax: broker.bodyBytesMax + frameOverheadBytes,
    budget: options.budget,
    connectionsPerAddressMax: options.connectionsPerAddressMax,
    onCall: (method, status) => onCall?.(method, status),
    onFailure: (error, method) => log.error("grpc_call_failed", { method, error }),
  });
  const port = await server.listen();
  return {
    url: `${certificate === undefined ? "grpc" : "grpcs"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    connections: () => server.connections,
    calls: () => server.calls,
    replaceCertificate: (changed) => server.replaceCertificate(changed),
    drain() {
      health.stop();
      server.drain();
    },
    close: (graceMs) => server.close(graceMs),
  };
};

/** Full names of the services behind routes. */
const serviceNames = (routes: readonly { readonly path: string }[]): readonly string[] => [
  ...new Set(routes.map(({ path }) => path.slice(1, path.indexOf("/", 1)))),
];
