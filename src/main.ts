/**
 * The composition root: it puts the server together, runs it, and ends it cleanly.
 * @module
 */
import { createBroker } from "./broker/index.ts";
import { loadConfig, serverVersion } from "./config.ts";
import type { Config } from "./config-shape.ts";
import { frameBytesMax } from "./core/limits.ts";
import { openDataFolder } from "./data-folder.ts";
import { createLogger, type Logger } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { needsDataFolder, openStores, type StoreSeams, type Stores } from "./stores.ts";
import { createHttpApp } from "./transport/http/index.ts";
import { createWsTransport } from "./transport/ws/index.ts";

/** WebSocket close code for "the server stops, connect again". */
const closeShuttingDown = 3001;
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
    const stores = await openStores(config, seams);
    held.defer(() => stores.bodies.close());
    held.defer(() => stores.metadata.close());
    for (const warning of stores.metadata.warnings) log.error("metadata_damaged", { detail: warning });
    return await serve(config, log, stores, seams.clock ?? Date.now, () => held.disposeAsync());
  } catch (error) {
    await held.disposeAsync();
    throw error;
  }
};

const serve = async (
  config: Config,
  log: Logger,
  { metadata, bodies }: Stores,
  clock: () => number,
  release: () => Promise<void>,
): Promise<RunningServer> => {
  const broker = createBroker({
    metadata,
    bodies,
    bodyBytesMax: config.bodyBytesMax,
    clock,
    onActorFailure: (error, restarts) => {
      metrics.actorFailed();
      log.error("actor_failed", { error, restarts });
    },
    onStoreFailure: (error) => log.warn("store_failed", { error }),
    onTransaction: (messages, bytes) => metrics.transaction(messages, bytes),
  });
  const { allowedOrigins, bodyBytesMax } = config;
  const node = crypto.randomUUID();
  const ws = createWsTransport({ broker, allowedOrigins, version: serverVersion, node, bodyBytesMax, log });
  const metrics = createMetrics({
    broker: () => broker.gauges(),
    webSocketConnections: () => ws.connections(),
    version: serverVersion,
  });
  const http = createHttpApp({
    broker,
    allowedOrigins,
    version: serverVersion,
    log,
    metrics: () => metrics.text(),
  });

  await broker.start();
  const server = Bun.serve({
    hostname: config.httpHost,
    port: config.httpPort,
    // The limits of bodies are the transport's: Bun's own 413 has no body to explain it.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    idleTimeout: 60,
    fetch: (request, bunServer) => {
      const path = pathOf(request.url);
      return path === "/v1/ws" ? ws.upgrade(request, bunServer) : http.fetch(request, bunServer);
    },
    error: (error) => {
      log.error("request_failed", { error });
      return new Response(null, { status: 500 });
    },
    websocket: ws.handlers,
  });
  const url = `http://${config.httpHost.includes(":") ? `[${config.httpHost}]` : config.httpHost}:${server.port}`;
  log.info("listening", { url, epoch: metadata.epoch, node, max_frame_bytes: frameBytesMax(bodyBytesMax) });

  return {
    urls: [url],
    async stop() {
      // Stop accepting; requests under way go on until they are answered.
      const stopped = server.stop(false);
      await broker.drain();
      await ws.closeAll(closeShuttingDown, "shutting down");
      http.close();
      await Promise.race([stopped, Bun.sleep(stopMsMax / 2)]);
      await server.stop(true);
      await release();
      log.info("stopped");
    },
  };
};

const pathOf = (url: string): string => {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const query = url.indexOf("?", start);
  return query === -1 ? url.slice(start) : url.slice(start, query);
};

/** Runs the server as a process: prints its URLs when it is ready, ends cleanly on SIGTERM and SIGINT. */
export const runProcess = async (argv: readonly string[], seams: Seams = {}): Promise<void> => {
  const loaded = loadConfig({ argv, env: process.env, cwd: process.cwd() });
  if ("errors" in loaded) {
    for (const error of loaded.errors) process.stderr.write(`minitoolstream: ${error}\n`);
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
    process.exit(1);
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
  for (const url of server.urls) process.stdout.write(`${url}\n`);
};

const startFailure = (error: unknown, config: Config): string => {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return `port ${config.httpPort} on ${config.httpHost} is taken; stop what uses it or give another with --http-port.`;
  }
  return error instanceof Error ? error.message : String(error);
};

if (import.meta.main) await runProcess(Bun.argv.slice(2));
