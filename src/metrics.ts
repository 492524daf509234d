/**
 * The server's own numbers in Prometheus' text format. Names follow Prometheus' naming guide; no subject is a label.
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { BrokerGauges } from "./broker/index.ts";
import type { SweepFigures } from "./upkeep/figures.ts";

/** Close codes from 3000 on that the server itself gives. */
const serverCodes: ReadonlySet<number> = new Set([3001, 3005, 3008, 3501, 3507]);

/** The metrics of one server. */
export interface ServerMetrics {
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>;
  /** One metadata transaction of publishes. */
  transaction(messages: number, bytes: number): void;
  actorFailed(): void;
  /** A pass of upkeep that did something. */
  swept(figures: SweepFigures): void;
  sweepFailed(): void;
  /** A gRPC call that ended. */
  grpcCall(method: string, status: string): void;
  /** WebSocket connections and their frames, as the transport sees them. */
  readonly webSocket: {
    opened(): void;
    closed(code: number): void;
    received(bytes: number): void;
    sent(bytes: number): void;
  };
}

/** Makes the registry; gauges are read when they are asked for. */
export const createMetrics = (sources: {
  readonly broker: () => BrokerGauges;
  readonly webSocketConnections: () => number;
  /** Bytes of requests that are not answered yet. */
  readonly requestBytes: () => number;
  readonly grpcConnections: () => number;
  readonly grpcCalls: () => number;
  readonly version: string;
}): ServerMetrics => {
  const registry = new Registry();
  const registers = [registry];
  const messages = new Counter({
    name: "mts_published_messages_total",
    help: "Messages in publish transactions, refused and repeated ones included.",
    registers,
  });
  const bytes = new Counter({ name: "mts_published_bytes_total", help: "Bytes of committed bodies.", registers });
  const batch = new Histogram({
    name: "mts_commit_batch_messages",
    help: "Messages a publish transaction.",
    buckets: [1, 4, 16, 64, 256, 1024, 4096],
    registers,
  });
  const failures = new Counter({
    name: "mts_actor_failures_total",
    help: "Actors that failed and restarted.",
    registers,
  });
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  // Counted a hundred thousand times a second, so in plain numbers that are looked at when the page is asked for.
  const count = (name: string, help: string, read: () => number): Counter =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  const frames = { opened: 0, received: 0, receivedBytes: 0, sent: 0, sentBytes: 0 };
  count("mts_websocket_connections_opened_total", "WebSocket connections since the start.", () => frames.opened);
  count("mts_websocket_frames_received_total", "WebSocket frames from clients.", () => frames.received);
  count("mts_websocket_received_bytes_total", "Bytes of these frames.", () => frames.receivedBytes);
  count("mts_websocket_frames_sent_total", "WebSocket frames to clients.", () => frames.sent);
  count("mts_websocket_sent_bytes_total", "Bytes of these frames.", () => frames.sentBytes);
  const closed = new Counter({
    name: "mts_websocket_connections_closed_total",
    help: "WebSocket connections that have ended, by close code.",
    labelNames: ["code"],
    registers,
  });
  const grpcCalls = new Map<string, number>();
  new Counter({
    name: "mts_grpc_calls_total",
    help: "gRPC calls that have ended, by method and status.",
    labelNames: ["method", "code"],
    registers,
    collect() {
      this.reset();
      for (const [key, calls] of grpcCalls) {
        const [method = "", code = ""] = key.split(" ");
        this.inc({ method, code }, calls);
      }
    },
  });
  const upkeep = (name: string, help: string): Counter => new Counter({ name, help, registers });
  const expired = upkeep("mts_expired_messages_total", "Messages deleted because a policy no longer keeps them.");
  const deleted = upkeep("mts_deleted_objects_total", "Objects of the body store deleted by upkeep.");
  const deletedBytes = upkeep("mts_deleted_object_bytes_total", "Bytes of these objects.");
  const orphans = upkeep("mts_orphan_objects_total", "Objects found that belonged to no message.");
  const rewritten = upkeep("mts_rewritten_objects_total", "Objects whose bodies were copied together with others.");
  const moved = upkeep("mts_moved_messages_total", "Messages whose bodies were copied.");
  const movedBytes = upkeep("mts_moved_body_bytes_total", "Bytes of these copies.");
  const damaged = upkeep("mts_damaged_bodies_total", "Bodies that upkeep found to be other than they were written.");
  const sweepFailures = upkeep("mts_sweep_failures_total", "Rounds of upkeep that failed and were tried again.");
  gauge("mts_live_actors", "Subject actors in memory.", () => sources.broker().liveActors);
  gauge("mts_mailbox_depth", "Publishes that wait in mailboxes.", () => sources.broker().mailboxDepth);
  gauge("mts_in_flight_bytes", "Bytes of bodies not committed yet.", () => sources.broker().inFlightBytes);
  gauge("mts_request_bytes", "Bytes of requests that are not answered yet.", sources.requestBytes);
  gauge("mts_tail_bytes", "Bytes of recent messages in memory.", () => sources.broker().tailBytes);
  gauge("mts_websocket_connections", "Open WebSocket connections.", sources.webSocketConnections);
  gauge("mts_grpc_connections", "Open gRPC connections.", sources.grpcConnections);
  gauge("mts_grpc_open_calls", "gRPC calls that have not ended, streams included.", sources.grpcCalls);
  gauge("process_resident_memory_bytes", "Resident memory in bytes.", () => process.memoryUsage.rss());
  new Gauge({ name: "mts_build_info", help: "1, with the version.", labelNames: ["version"], registers }).set(
    { version: sources.version },
    1,
  );
  return {
    text: () => registry.metrics(),
    transaction(count, bodyBytes) {
      messages.inc(count);
      bytes.inc(bodyBytes);
      batch.observe(count);
    },
    actorFailed: () => failures.inc(),
    swept(figures) {
      expired.inc(figures.expired);
      deleted.inc(figures.objects);
      deletedBytes.inc(figures.bytes);
      orphans.inc(figures.orphans);
      rewritten.inc(figures.rewritten);
      moved.inc(figures.moved);
      movedBytes.inc(figures.movedBytes);
      damaged.inc(figures.damaged);
    },
    sweepFailed: () => sweepFailures.inc(),
    grpcCall(method, status) {
      const key = `${method} ${status}`;
      grpcCalls.set(key, (grpcCalls.get(key) ?? 0) + 1);
    },
    webSocket: {
      opened() {
        frames.opened++;
      },
      closed: (code) => closed.inc({ code: codeLabel(code) }),
      received(bytes) {
        frames.received++;
        frames.receivedBytes += bytes;
      },
      sent(bytes) {
        frames.sent++;
        frames.sentBytes += bytes;
      },
    },
  };
};

/** A client may close with any code from 3000 on; a label for each would be memory without end. */
const codeLabel = (code: number): string => (code < 3000 || serverCodes.has(code) ? String(code) : "other");
