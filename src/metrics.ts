/**
 * The server's own numbers in Prometheus' text format. Names follow Prometheus' naming guide; no subject is a label unless
 * the operator asks for that. What is hot is counted in plain numbers where it happens and read when the page is asked
 * for; what costs a question to a store is looked at then, and not again for a while (`metrics/look.ts`).
 * @module
 */
import type { BrokerFigures, BrokerGauges } from "./broker/index.ts";
import { Durations } from "./core/durations.ts";
import { type EventType, eventTypes } from "./core/event.ts";
import type { MetadataStore } from "./metadata/contract.ts";
import type { StoreFigures } from "./metrics/calls.ts";
import { showConsumers } from "./metrics/consumers.ts";
import { Exposition, inSeconds } from "./metrics/exposition.ts";
import { HttpFigures } from "./metrics/http.ts";
import { Look } from "./metrics/look.ts";
import { showProcess } from "./metrics/process.ts";
import { labelled, showWebSockets, type WebSocketSources } from "./metrics/web-socket.ts";
import { noFigures, type SweepFigures } from "./upkeep/figures.ts";

/** How an application actor does on this node. */
export interface ActorGauge {
  readonly name: string;
  /** Messages that it has not worked off; undefined when it is not known here. */
  readonly lag?: number | undefined;
  readonly restarts: number;
  /** Whether this node owns it and it works. */
  readonly running: boolean;
}

/** Business events of one minute of event time. */
export interface EventMinute {
  readonly eventType: EventType;
  readonly count: number;
  readonly sumCents: bigint;
  readonly lateCount: number;
}

/** Where the numbers come from. */
export interface MetricsSources {
  readonly broker: {
    readonly figures: BrokerFigures;
    gauges(): BrokerGauges;
    readiness(): Promise<Readonly<Record<string, { readonly ready: boolean }>>>;
  };
  readonly metadata: Pick<MetadataStore, "consumerBacklogs" | "countDead">;
  readonly stores: StoreFigures;
  readonly webSocket: WebSocketSources;
  /** Bytes of requests that are not answered yet. */
  readonly requestBytes: () => number;
  readonly grpcConnections: () => number;
  readonly grpcCalls: () => number;
  readonly actors: () => readonly ActorGauge[];
  /** Sums over one minute of event time, by its start in Unix milliseconds. */
  readonly eventMinute: (minuteMs: number) => Promise<readonly EventMinute[]>;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Subjects and consumers may be labels. */
  readonly withSubjects: boolean;
  readonly version: string;
}

/** The metrics of one server. */
export interface ServerMetrics {
  /** Of the text. */
  readonly contentType: string;
  /** Prometheus text format. */
  text(): Promise<string>;
  actorFailed(): void;
  /** A pass of upkeep that did something. */
  swept(figures: SweepFigures, tookMs: number): void;
  sweepFailed(): void;
  /** A gRPC call that ended. */
  grpcCall(method: string, status: string): void;
  /** HTTP requests, as the transport sees them. */
  readonly http: HttpFigures;
  /** Ends what it does by itself. */
  close(): void;
}

/** Makes the page. */
export const createMetrics = (sources: MetricsSources): ServerMetrics => {
  const page = new Exposition();
  const [http, upkeep] = [new HttpFigures(), new Upkeep()];
  const grpcCalls = new Map<string, Map<string, number>>();
  const failures = { actors: 0 };
  showPublishing(page, sources);
  showDelivery(page, sources);
  const looks = [showConsumers(page, sources.metadata, sources.withSubjects)];
  showWebSockets(page, sources.webSocket);
  showRequests(page, sources, http, grpcCalls);
  looks.push(showStores(page, sources), upkeep.show(page, sources.metadata));
  showActors(page, sources, () => failures.actors);
  looks.push(showEvents(page, sources));
  const endProcess = showProcess(page, sources.version);
  return {
    contentType: page.contentType,
    async text() {
      await Promise.all(looks.map((look) => look.refresh()));
      return page.text();
    },
    actorFailed: () => failures.actors++,
    swept: (figures, tookMs) => upkeep.swept(figures, tookMs),
    sweepFailed: () => upkeep.failed(),
    grpcCall(method, status) {
      const calls = grpcCalls.get(method) ?? new Map<string, number>();
      grpcCalls.set(method, calls.set(status, (calls.get(status) ?? 0) + 1));
    },
    http,
    close: endProcess,
  };
};

const showPublishing = (page: Exposition, { broker, requestBytes }: MetricsSources): void => {
  const { published, refused, publishDurations, batches } = broker.figures;
  page.counter("mts_published_messages_total", "Messages committed for publishers.", () => published.committed);
  page.counter("mts_published_bytes_total", "Bytes of their bodies.", () => published.bytes);
  page.counter(
    "mts_duplicate_messages_total",
    "Messages that were there already under the same id.",
    () => published.duplicate,
  );
  page.counter("mts_scheduled_messages_total", "Messages taken to be committed later.", () => published.scheduled);
  page.counter("mts_refused_messages_total", "Messages that were not published, by the code of why.", () =>
    labelled("code", refused),
  );
  page.histogram("mts_publish_duration_seconds", "From the call of a publish to its answer.", () =>
    inSeconds(publishDurations),
  );
  page.histogram("mts_commit_batch_messages", "Messages in one publish transaction.", () => {
    return { bounds: batches.bounds, counts: batches.counts, sum: batches.messages };
  });
  page.gauge("mts_live_actors", "Subject actors in memory.", () => broker.gauges().liveActors);
  page.gauge("mts_mailbox_depth", "Publishes that wait in mailboxes.", () => broker.gauges().mailboxDepth);
  page.gauge("mts_in_flight_bytes", "Bytes of bodies not committed yet.", () => broker.gauges().inFlightBytes);
  page.gauge("mts_request_bytes", "Bytes of requests that are not answered yet.", requestBytes);
};

const showDelivery = (page: Exposition, { broker }: MetricsSources): void => {
  const { figures } = broker;
  const verbs = Object.entries(figures.delivered);
  page.counter("mts_delivered_messages_total", "Messages that went out, by how they were asked for.", () =>
    verbs.map(([verb, { messages }]) => [{ verb }, messages]),
  );
  page.counter("mts_delivered_bytes_total", "Bytes of their bodies.", () =>
    verbs.map(([verb, { bytes }]) => [{ verb }, bytes]),
  );
  page.counter(
    "mts_undeliverable_messages_total",
    "Times that a stored message could not be delivered as its bytes are damaged or gone.",
    () => figures.damaged,
  );
  page.gauge("mts_subscriptions", "Running subscriptions.", () => figures.subscriptions);
  page.gauge("mts_waiting_reads", "Reads and fetches that wait for messages to come.", () => figures.waiting);
  page.gauge("mts_tail_bytes", "Bytes of recent messages in memory.", () => broker.gauges().tailBytes);
};

const showRequests = (
  page: Exposition,
  { grpcConnections, grpcCalls }: MetricsSources,
  http: HttpFigures,
  ended: ReadonlyMap<string, ReadonlyMap<string, number>>,
): void => {
  page.counter("mts_http_requests_total", "HTTP requests by route and status.", () => http.counts());
  page.histogram(
    "mts_http_request_duration_seconds",
    "From an HTTP request to the beginning of its answer; long polls wait.",
    () => http.durations(),
  );
  page.counter("mts_grpc_calls_total", "gRPC calls that have ended, by method and status.", () =>
    [...ended].flatMap(([method, codes]) => [...codes].map(([code, calls]) => [{ method, code }, calls] as const)),
  );
  page.gauge("mts_grpc_connections", "Open gRPC connections.", grpcConnections);
  page.gauge("mts_grpc_open_calls", "gRPC calls that have not ended, streams included.", grpcCalls);
};

const showStores = (page: Exposition, { stores, broker }: MetricsSources): Look<unknown> => {
  const { metadata, bodies, tarantool, s3 } = stores.calls;
  page.counter("mts_metadata_calls_total", "Calls to the metadata store that have ended.", () =>
    metadata.counts("operation"),
  );
  page.histogram("mts_metadata_call_duration_seconds", "How long these calls took.", () =>
    metadata.durations("operation"),
  );
  page.counter("mts_body_calls_total", "Calls to the body store that have ended.", () => bodies.counts("operation"));
  page.histogram("mts_body_call_duration_seconds", "How long these calls took.", () => bodies.durations("operation"));
  page.counter("mts_tarantool_calls_total", "Calls sent to Tarantool, repeated ones included.", () =>
    tarantool.counts("function"),
  );
  page.histogram("mts_tarantool_call_duration_seconds", "How long these calls took.", () =>
    tarantool.durations("function"),
  );
  page.counter("mts_s3_requests_total", "Requests sent to S3, repeated ones included.", () => s3.counts("method"));
  page.histogram("mts_s3_request_duration_seconds", "How long these requests took.", () => s3.durations("method"));
  const look = new Look(() => broker.readiness());
  page.gauge("mts_store_ready", "Whether a store answers: 1, or 0.", () =>
    Object.entries(look.seen ?? {}).map(([store, { ready }]) => [{ store }, ready ? 1 : 0]),
  );
  return look;
};

/** What upkeep did. */
class Upkeep {
  #done: SweepFigures = noFigures;
  #failures = 0;
  readonly #durations = new Durations(2);

  swept(figures: SweepFigures, tookMs: number): void {
    const done: SweepFigures = this.#done;
    const sum = (key: keyof SweepFigures): number => done[key] + figures[key];
    this.#done = {
      expired: sum("expired"),
      objects: sum("objects"),
      bytes: sum("bytes"),
      left: sum("left"),
      orphans: sum("orphans"),
      orphanBytes: sum("orphanBytes"),
      rewritten: sum("rewritten"),
      moved: sum("moved"),
      movedBytes: sum("movedBytes"),
      damaged: sum("damaged"),
    };
    this.#durations.add(tookMs);
  }

  failed(): void {
    this.#failures++;
  }

  show(page: Exposition, metadata: Pick<MetadataStore, "countDead">): Look<number> {
    const count = (name: string, help: string, key: keyof SweepFigures): void =>
      page.counter(name, help, () => this.#done[key]);
    count("mts_expired_messages_total", "Messages deleted because a policy no longer keeps them.", "expired");
    count("mts_deleted_objects_total", "Objects of the body store deleted by upkeep.", "objects");
    count("mts_deleted_object_bytes_total", "Bytes of these objects.", "bytes");
    count("mts_orphan_objects_total", "Objects found that belonged to no message.", "orphans");
    count("mts_rewritten_objects_total", "Objects whose bodies were copied together with others.", "rewritten");
    count("mts_moved_messages_total", "Messages whose bodies were copied.", "moved");
    count("mts_moved_body_bytes_total", "Bytes of these copies.", "movedBytes");
    count("mts_damaged_bodies_total", "Bodies that upkeep found to be other than they were written.", "damaged");
    page.counter(
      "mts_sweep_failures_total",
      "Rounds of upkeep that failed and were tried again.",
      () => this.#failures,
    );
    page.histogram("mts_sweep_duration_seconds", "Rounds of upkeep that did something, rests included.", () =>
      inSeconds(this.#durations),
    );
    const look = new Look(() => metadata.countDead());
    page.gauge("mts_dead_objects", "Objects of the body store that wait for their deletion.", () => look.seen);
    return look;
  }
}

const showActors = (page: Exposition, { actors }: MetricsSources, failures: () => number): void => {
  page.counter("mts_actor_failures_total", "Subject actors that failed and restarted.", failures);
  page.gauge("mts_application_actor_running", "Whether this node runs an application actor: 1, or 0.", () =>
    actors().map(({ name, running }) => [{ actor: name }, running ? 1 : 0]),
  );
  page.gauge("mts_application_actor_lag_messages", "Messages that an actor of this node has not worked off.", () =>
    actors().flatMap(({ name, lag }) => (lag === undefined ? [] : [[{ actor: name }, lag] as const])),
  );
  page.counter("mts_application_actor_restarts_total", "Failures of an application actor on this node.", () =>
    actors().map(({ name, restarts }) => [{ actor: name }, restarts]),
  );
};

const minuteMs = 60_000;

const showEvents = (page: Exposition, { broker, eventMinute, clock }: MetricsSources): Look<unknown> => {
  const { events } = broker.figures;
  const look = new Look(async () => {
    const found = await eventMinute((Math.floor(clock() / minuteMs) - 1) * minuteMs);
    return new Map(found.map((minute) => [minute.eventType, minute]));
  });
  const last = (read: (minute: EventMinute) => number) => () => {
    const { seen } = look;
    return seen && eventTypes.map((type) => [{ type }, read(seen.get(type) ?? noEvents(type))] as const);
  };
  page.counter("mts_events_total", "Business events that this node stored, by type.", () =>
    eventTypes.map((type) => [{ type }, events[type]]),
  );
  page.gauge(
    "mts_event_minute_events",
    "Business events of the last whole minute by the time at which they happened.",
    last(({ count }) => count),
  );
  page.gauge(
    "mts_event_minute_amount",
    "The sum of their amounts.",
    last(({ sumCents }) => Number(sumCents) / 100),
  );
  page.gauge(
    "mts_event_minute_late_events",
    "Business events of the same minute that came later than the set lateness.",
    last(({ lateCount }) => lateCount),
  );
  return look;
};

const noEvents = (eventType: EventType): EventMinute => ({ eventType, count: 0, sumCents: 0n, lateCount: 0 });
