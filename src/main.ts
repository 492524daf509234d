/**
 * The composition root: it puts the server together, runs it, and ends it cleanly.
 * @module
 */
import { ActorLoadError, loadActors } from "../actors/application/load.ts";
import type { ActorDefinition } from "../actors/define.ts";
import { createAuthenticator } from "./auth/authenticator.ts";
import { createBroker } from "./broker/index.ts";
import { readCertificate, watchCertificate } from "./certificate.ts";
import { loadConfig, serverVersion } from "./config.ts";
import { openToOthers } from "./config-auth.ts";
import type { Config } from "./config-shape.ts";
import { ByteBudget } from "./core/admission.ts";
import { frameBytesMax } from "./core/limits.ts";
import { openDataFolder } from "./data-folder.ts";
import { createEventHub } from "./hub/index.ts";
import { Listener } from "./listener.ts";
import { createLogger, type Logger } from "./log.ts";
import { StoreFigures } from "./metrics/calls.ts";
import { WebSocketFigures } from "./metrics/web-socket.ts";
import { createMetrics } from "./metrics.ts";
import { multiplex } from "./multiplex.ts";
import { needsDataFolder, openStores, type StoreSeams, type Stores } from "./stores.ts";
import { consoleMounts } from "./transport/console/index.ts";
import {
  asksForUpgrade,
  createGraphqlTransport,
  type GraphqlSocketState,
  graphqlPath,
} from "./transport/graphql/index.ts";
import { type GrpcOptions, type GrpcTransport, startGrpcTransport } from "./transport/grpc/index.ts";
import { createHttpApp } from "./transport/http/index.ts";
import { createWsTransport, type SocketState } from "./transport/ws/index.ts";
import { lingerMsOf } from "./upkeep/removed.ts";
import { Sweeper, timedPause } from "./upkeep/sweeper.ts";

/** WebSocket close code for "the server stops, connect again". */
const closeShuttingDown = 3001;
/** Between two looks for orphans, in milliseconds: they are rare, and listing a large bucket is not cheap. */
const orphansMs = 60 * 60 * 1000;
/** How long a clean stop may take, in milliseconds. */
const stopMsMax = 10_000;

/** Where a test entry may put itself between the server and the outside world; the product uses none of them. */
export type Seams = StoreSeams;

/** A server that accepts requests. */
export interface RunningServer {
  /** Where it listens, one URL each. */
  readonly urls: readonly string[];
  /** Stops accepting, answers what waits, closes sockets with 3001, lets go of the stores. */
  stop(): Promise<void>;
}

/**
 * Starts a server.
 * @throws DataFolderLockedError when another server has the data folder; whatever the stores or the port refuse with
 */
export const startServer = async (config: Config, log: Logger, seams: Seams = {}): Promise<RunningServer> => {
  const held = new AsyncDisposableStack();
  try {
    if (needsDataFolder(config)) {
      const folder = await openDataFolder(config.dataDir);
      held.defer(() => folder.close());
    }
    const storeFigures = new StoreFigures();
    const stores = await openStores(config, seams, storeFigures);
    held.defer(() => stores.bodies.close());
    held.defer(() => stores.metadata.close());
    for (const warning of stores.metadata.warnings) log.error("metadata_damaged", { detail: warning });
    const { eventsLatenessMs } = config;
    const actors = await loadActors(config.actors, { eventsLatenessMs });
    return await serve(config, log, { ...stores, storeFigures, actors }, seams.clock ?? Date.now, held);
  } catch (error) {
    await held.disposeAsync();
    throw error;
  }
};

/** Hosts that stand for all addresses of the machine. */
const everyInterface: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

const serve = async (
  config: Config,
  log: Logger,
  {
    metadata,
    bodies,
    storeFigures,
    actors,
  }: Stores & { readonly storeFigures: StoreFigures; readonly actors: readonly ActorDefinition[] },
  clock: () => number,
  held: AsyncDisposableStack,
): Promise<RunningServer> => {
  const running: { grpc?: GrpcTransport | undefined; url?: string } = {};
  const node = crypto.randomUUID();
  const broker = createBroker({
    metadata,
    bodies,
    bodyBytesMax: config.bodyBytesMax,
    pointerLifetimeMs: config.pointerLifetimeMs,
    ownAddress: () => config.publicUrl ?? running.url ?? "",
    clock,
    actors: { definitions: actors, node, log },
    onActorFailure: (error, restarts) => {
      metrics.actorFailed();
      log.error("actor_failed", { error, restarts });
    },
    onStoreFailure: (error) => log.warn("store_failed", { error }),
  });
  const { allowedOrigins, bodyBytesMax } = config;
  const authenticator = createAuthenticator({ auth: config.auth, broker, audit: config.audit, log, clock });
  const budget = new ByteBudget(config.inFlightBytesMax);
  const webSocketFigures = new WebSocketFigures();
  const ws = createWsTransport({
    broker,
    budget,
    socketsPerAddressMax: config.connectionsPerAddressMax,
    authenticator,
    allowedOrigins,
    version: serverVersion,
    node,
    bodyBytesMax,
    log,
    nowMs: clock,
    metrics: webSocketFigures,
  });
  const hub = createEventHub();
  const graphql = createGraphqlTransport({
    hub,
    nowMs: clock,
    authenticator,
    allowedOrigins,
    budget,
    socketsPerAddressMax: config.connectionsPerAddressMax,
    log,
    metrics: webSocketFigures,
  });
  const metrics = createMetrics({
    broker,
    metadata,
    stores: storeFigures,
    webSocket: {
      figures: webSocketFigures,
      connections: () => ws.connections() + graphql.sockets.connections(),
      unsentBytes: () => ws.unsentBytes(),
    },
    requestBytes: () => budget.bytes,
    grpcConnections: () => running.grpc?.connections() ?? 0,
    grpcCalls: () => running.grpc?.calls() ?? 0,
    actors: () => broker.actorGauges(),
    eventMinute: async (fromMs) =>
      (await hub.metrics(broker, { fromMs, toMs: fromMs + 60_000 })).flatMap(({ minutes }) => minutes),
    clock,
    withSubjects: config.metricsLabels === "subjects",
    version: serverVersion,
  });
  held.defer(() => metrics.close());
  const http = createHttpApp({
    broker,
    hub,
    budget,
    requestsPerAddressMax: config.connectionsPerAddressMax,
    authenticator,
    allowedOrigins,
    version: serverVersion,
    log,
    metrics,
    meter: metrics.http,
    mounts: [...graphql.mounts, ...consoleMounts()],
  });

  const certificate = config.tls && (await readCertificate(config.tls));
  await broker.start();
  // When the rest of the start fails, actors must have let go of the stores before these are closed; a stop sees to it.
  const started = held.use(new AsyncDisposableStack());
  started.defer(() => broker.drain());
  for (const { filter, policy } of config.policies) await broker.putPolicy(filter, policy);
  const listener = new Listener<SocketState | GraphqlSocketState>({
    hostname: config.httpHost,
    port: config.httpPort,
    certificate,
    fetch: (request, server) => {
      const path = pathOf(request.url);
      // A browser's question before a request is the same on all paths.
      if (path === "/v1/ws" && request.method !== "OPTIONS") return ws.upgrade(request, server);
      if (path === graphqlPath && asksForUpgrade(request)) return graphql.sockets.upgrade(request, server);
      return http.fetch(request, server);
    },
    error: (error) => {
      log.error("request_failed", { error });
      return new Response(null, { status: 500 });
    },
    websocket: multiplex(ws.handlers, graphql.sockets, isGraphql),
  });
  held.defer(() => listener.close());
  // Every interface is no address that anybody could ask.
  if (!everyInterface.has(config.httpHost)) running.url = listener.url;
  const grpc = await startGrpc(config, {
    broker,
    eventHub: hub,
    budget,
    authenticator,
    certificate,
    log,
    onCall: (method, status) => metrics.grpcCall(method, status),
  });
  running.grpc = grpc;
  if (config.tls !== undefined && certificate !== undefined) {
    const onChange = (changed: typeof certificate): void => {
      listener.replaceCertificate(changed);
      grpc?.replaceCertificate(changed);
    };
    held.defer(watchCertificate({ files: config.tls, current: certificate, log, onChange }));
  }
  const { sweepIntervalMs: intervalMs, sweepGraceMs: graceMs } = config;
  const sweeper =
    intervalMs === undefined
      ? undefined
      : new Sweeper({
          stores: { metadata, bodies },
          intervalMs,
          graceMs,
          lingerMs: lingerMsOf(bodyBytesMax),
          orphansMs,
          compaction: {
            aliveShareMax: config.compactShare,
            tinyBytes: config.compactBelowBytes,
            pointerLifetimeMs: config.pointerLifetimeMs,
          },
          clock,
          elapsedMs: () => performance.now(),
          random: Math.random,
          published: () => broker.figures.transactions,
          // Elsewhere upkeep works beside publishes, of which some are always under way.
          isPublishing: needsDataFolder(config) ? () => broker.gauges().inFlightBytes > 0 : undefined,
          pause: timedPause,
          onPass: (figures, tookMs) => {
            metrics.swept(figures, tookMs);
            const { expired, objects, bytes, left, orphans, rewritten, moved, damaged } = figures;
            const copies = { rewritten, moved, moved_bytes: figures.movedBytes, damaged };
            log.info("swept", { expired, objects, bytes, left, orphans, ...copies, took_ms: Math.round(tookMs) });
          },
          onDamaged: (body) => log.error("body_damaged", { ...body }),
          onFailure: (error) => {
            metrics.sweepFailed();
            log.warn("sweep_failed", { error });
          },
        });
  sweeper?.start();
  const { url } = listener;
  log.info("listening", {
    url,
    grpc: grpc?.url,
    epoch: metadata.epoch,
    node,
    max_frame_bytes: frameBytesMax(bodyBytesMax),
  });
  started.move();

  return {
    urls: grpc === undefined ? [url] : [url, grpc.url],
    async stop() {
      const startedAt = performance.now();
      // Stop accepting; requests under way go on until they are answered, for half of the time that there is.
      const drained = listener.drain();
      const halfTime = Bun.sleep(stopMsMax / 2);
      const rested = sweeper?.stop();
      grpc?.drain();
      await broker.drain();
      const grpcClosed = grpc?.close(Math.max(0, stopMsMax / 2 - (performance.now() - startedAt)));
      graphql.sockets.closeAll(closeShuttingDown, "shutting down");
      await ws.closeAll(closeShuttingDown, "shutting down");
      http.close();
      await Promise.race([drained, halfTime]);
      await listener.close();
      await grpcClosed;
      await rested;
      await held.disposeAsync();
      log.info("stopped");
    },
  };
};

const isGraphql = (state: SocketState | GraphqlSocketState): state is GraphqlSocketState => "kind" in state;

/** What gRPC is started with beside the configuration. */
type GrpcParts = Pick<
  GrpcOptions,
  "broker" | "eventHub" | "budget" | "authenticator" | "certificate" | "log" | "onCall"
>;

/**
 * Starts gRPC. A default port that somebody else has is no reason to serve nothing at all: then there is a warning and
 * no gRPC.
 * @throws GrpcPortTakenError when the port was given and is taken
 */
const startGrpc = async (config: Config, parts: GrpcParts & { log: Logger }): Promise<GrpcTransport | undefined> => {
  const { grpcHost: host, grpcPort: port } = config;
  try {
    return await startGrpcTransport({
      ...parts,
      host,
      port,
      autoAck: config.grpcAutoAck,
      connectionsPerAddressMax: config.connectionsPerAddressMax,
    });
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw error;
    if (config.isGrpcPortGiven) throw new GrpcPortTakenError(host, port);
    const fix = "Give another with --grpc-port.";
    parts.log.warn("grpc_port_taken", { host, port, detail: `The server runs without gRPC. ${fix}` });
    return undefined;
  }
};

/** Somebody else listens on the port for gRPC. */
class GrpcPortTakenError extends Error {
  override readonly name = "GrpcPortTakenError";

  constructor(host: string, port: number) {
    super(`port ${port} on ${host} is taken; stop what uses it or give another with --grpc-port.`);
  }
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

const pathOf = (url: string): string => {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const query = url.indexOf("?", start);
  return query === -1 ? url.slice(start) : url.slice(start, query);
};

/** Runs the server as a process: prints its URLs when it is ready, ends cleanly on SIGTERM and SIGINT. */
export const runProcess = async (argv: readonly string[], seams: Seams = {}): Promise<void> => {
  const loaded = loadConfig({ argv, env: process.env, cwd: process.cwd() });
  const open = "config" in loaded ? openToOthers(loaded.config) : undefined;
  if ("errors" in loaded || open !== undefined) {
    for (const error of "errors" in loaded ? loaded.errors : [open]) process.stderr.write(`minitoolstream: ${error}\n`);
    process.stderr.write("Run with --help for all settings.\n");
    process.exit(2);
  }
  if (!("config" in loaded)) {
    process.stdout.write("help" in loaded ? loaded.help : `${loaded.version}\n`);
    process.exit(0);
  }
  const { config } = loaded;
  const log = createLogger({ level: config.logLevel, format: config.logFormat });
  let server: RunningServer;
  try {
    server = await startServer(config, log, seams);
  } catch (error) {
    process.stderr.write(`minitoolstream: ${startFailure(error, config)}\n`);
    // An actor that cannot be loaded is a wrong setting.
    process.exit(error instanceof ActorLoadError ? 2 : 1);
  }
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) {
      // A second Ctrl-C means now.
      process.exit(130);
    }
    stopping = true;
    log.info("stopping", { signal });
    const deadline = setTimeout(() => {
      log.error("stop_timed_out", { after_ms: stopMsMax });
      process.exit(1);
    }, stopMsMax);
    server.stop().then(
      () => {
        clearTimeout(deadline);
        process.exit(0);
      },
      (error: unknown) => {
        log.error("stop_failed", { error });
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  // In one piece, so that whoever reads the first line has them all.
  process.stdout.write(server.urls.map((url) => `${url}\n`).join(""));
};

const startFailure = (error: unknown, config: Config): string => {
  if (codeOf(error) === "EADDRINUSE") {
    return `port ${config.httpPort} on ${config.httpHost} is taken; stop what uses it or give another with --http-port.`;
  }
  return error instanceof Error ? error.message : String(error);
};

if (import.meta.main) await runProcess(Bun.argv.slice(2));
