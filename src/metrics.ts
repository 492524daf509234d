/**
 * The server's own numbers in Prometheus' text format. Names follow Prometheus' naming guide; no subject is a label.
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { BrokerGauges } from "./broker/index.ts";

/** The metrics of one server. */
export interface ServerMetrics {
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>;
  /** One metadata transaction of publishes. */
  transaction(messages: number, bytes: number): void;
  actorFailed(): void;
}

/** Makes the registry; gauges are read when they are asked for. */
export const createMetrics = (sources: {
  readonly broker: () => BrokerGauges;
  readonly webSocketConnections: () => number;
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
  gauge("mts_live_actors", "Subject actors in memory.", () => sources.broker().liveActors);
  gauge("mts_mailbox_depth", "Publishes that wait in mailboxes.", () => sources.broker().mailboxDepth);
  gauge("mts_in_flight_bytes", "Bytes of bodies not committed yet.", () => sources.broker().inFlightBytes);
  gauge("mts_tail_bytes", "Bytes of recent messages in memory.", () => sources.broker().tailBytes);
  gauge("mts_websocket_connections", "Open WebSocket connections.", sources.webSocketConnections);
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
  };
};
