/**
 * Load that goes on through faults: every message is published until it is acknowledged, under one message id, first on
 * the lane's own node and then on whichever answers. How long each answer took is booked.
 * @module
 */
import type { ClientError, StreamClient } from "../client.ts";
import type { Entry, Fate, Ledger } from "../faults/ledger.ts";
import { markedBody } from "../faults/load.ts";
import { HttpClient } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import type { ClusterNode } from "./cluster.ts";

/** How a lane publishes. */
export interface LaneOptions {
  /** Names the lane; what it sends over WebSocket to one subject must keep its order. */
  readonly lane: string;
  readonly nodes: readonly ClusterNode[];
  /** Index of the node that gets the first attempt. */
  readonly home: number;
  readonly transport: "ws" | "http";
  readonly subjects: readonly string[];
  /** Publishes under way at once; over HTTP one, requests of their own have no order. */
  readonly window: number;
  /** Length of a body in bytes; at least the lane's mark of some 40 bytes is written. */
  readonly bodyBytes: (index: number) => number;
}

/** What the load saw, over all lanes. */
export class LoadBook {
  /** Answers by error code; `disconnected` for those that did not come. */
  readonly failures = new Map<string, number>();
  /** Longest wait for an answer of a node that ran all the while, in milliseconds. */
  settledMsMax = 0;
  acknowledged = 0;
  readonly #waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();

  /** Resolves when so many more messages have been acknowledged. */
  more(messages: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#waiting.add({ count: this.acknowledged + messages, resolve: () => resolve(undefined) });
    return promise;
  }

  acknowledge(): void {
    this.acknowledged++;
    for (const waiting of this.#waiting) {
      if (this.acknowledged < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  fail(error: ClientError | undefined): void {
    const code = error?.code ?? "disconnected";
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }

  /** Codes that no fault excuses: the client did nothing wrong, and nothing inside the server may break. */
  get inexcusable(): readonly string[] {
    const excusable = new Set(["disconnected", "unavailable", "outcome_unknown", "overloaded", "shutting_down"]);
    return [...this.failures.keys()].filter((code) => !excusable.has(code));
  }
}

/** Between two attempts, so that a dead node is not asked in a tight loop, in milliseconds. */
const retryMs = 25;
/** Kept as sent on every way in; HTTP would otherwise choose one. */
const headers = { "content-type": "application/octet-stream" };

/** The clients of one lane, one for each node, connected again when they are gone. */
class Clients {
  readonly #transport: "ws" | "http";
  readonly #open = new Map<string, WsClient>();

  constructor(transport: "ws" | "http") {
    this.#transport = transport;
  }

  /** @throws Error when the node cannot be reached */
  async of(node: ClusterNode): Promise<StreamClient> {
    if (this.#transport === "http") return new HttpClient(node.url, "msgpack");
    const { wsUrl } = node;
    const known = this.#open.get(wsUrl);
    if (known !== undefined) return known;
    const client = await WsClient.connect(wsUrl);
    this.#open.set(wsUrl, client);
    void client.closed.then(() => this.#open.delete(wsUrl));
    return client;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((client) => client.close()));
  }
}

/** One publisher. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #ledger: Ledger;
  readonly #book: LoadBook;
  readonly #clients: Clients;
  #stopped = false;
  #abandoned = false;

  constructor(options: LaneOptions, ledger: Ledger, book: LoadBook) {
    this.#options = options;
    this.#ledger = ledger;
    this.#book = book;
    this.#clients = new Clients(options.transport);
  }

  /** No new messages; `run` resolves when those under way are acknowledged. */
  stop(): void {
    this.#stopped = true;
  }

  /** Ends it where it is. */
  abandon(): void {
    this.#stopped = true;
    this.#abandoned = true;
  }

  /** Publishes until it is stopped. */
  async run(): Promise<void> {
    const { lane, subjects, bodyBytes, window } = this.#options;
    const underWay = new Set<Promise<void>>();
    for (let index = 0; !this.#isStopped(); index++) {
      const subject = subjects[index % subjects.length] ?? lane;
      const body = markedBody(`${lane} ${subject} ${index}`, bodyBytes(index));
      const client = await this.#homeClient();
      const publishing = this.#deliver(this.#ledger.enter(lane, subject, body, headers), client).finally(() =>
        underWay.delete(publishing),
      );
      underWay.add(publishing);
      if (underWay.size >= window) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    await this.#clients.close();
  }

  /** Undefined when it is not there: the first attempt then counts as failed. */
  async #homeClient(): Promise<StreamClient | undefined> {
    try {
      return await this.#clients.of(this.#nodeAt(0));
    } catch {
      return undefined;
    }
  }

  /** Node of an attempt: the lane's own first, then in turn. */
  #nodeAt(attempt: number): ClusterNode {
    const { nodes, home } = this.#options;
    const node = nodes[(home + attempt) % nodes.length];
    if (node === undefined) throw new Error("a lane needs a node");
    return node;
  }

  /** The first attempt is sent before anything is awaited, so a connection's messages keep their order. */
  async #deliver(entry: Entry, home: StreamClient | undefined): Promise<void> {
    let fate = await this.#attempt(entry, home, this.#nodeAt(0));
    let doubtful = fate === "unknown";
    for (let attempt = 1; fate !== "acknowledged" && !this.#abandoned; attempt++) {
      entry.late = true;
      await Bun.sleep(retryMs);
      const node = this.#nodeAt(attempt);
      if (!node.isUp) continue;
      const client = await this.#clients.of(node).catch(() => undefined);
      fate = await this.#attempt(entry, client, node);
      doubtful ||= fate === "unknown";
      // A refusal says that this attempt stored nothing, and nothing of the attempts before.
      if (fate === "refused" && doubtful) entry.fate = "unknown";
    }
    if (fate === "acknowledged") this.#book.acknowledge();
  }

  /** Without a client nothing is sent. */
  async #attempt(entry: Entry, client: StreamClient | undefined, node: ClusterNode): Promise<Fate> {
    if (client === undefined) return "refused";
    const startedMs = performance.now();
    const { downs } = node;
    entry.fate = "unknown";
    entry.error = undefined;
    const fate = await this.#ledger.publish(client, entry);
    const tookMs = performance.now() - startedMs;
    if (node.isUp && node.downs === downs) this.#book.settledMsMax = Math.max(this.#book.settledMsMax, tookMs);
    if (fate !== "acknowledged") this.#book.fail(entry.error);
    return fate;
  }

  /** A look that the type checker does not take for settled: it changes while the loop waits. */
  #isStopped(): boolean {
    return this.#stopped;
  }
}

/** Lanes that run together. */
export class Load {
  readonly book = new LoadBook();
  /** What it publishes to. */
  readonly subjects: readonly string[];
  readonly #lanes: readonly Lane[];
  readonly #running: Promise<unknown>;

  constructor(ledger: Ledger, lanes: readonly LaneOptions[]) {
    this.subjects = [...new Set(lanes.flatMap(({ subjects }) => subjects))];
    this.#lanes = lanes.map((options) => new Lane(options, ledger, this.book));
    this.#running = Promise.all(this.#lanes.map((lane) => lane.run()));
    this.#running.catch(() => undefined);
  }

  /** Resolves when so many more messages have been acknowledged; rejects when the load broke off. */
  async more(messages: number): Promise<void> {
    await Promise.race([
      this.book.more(messages),
      this.#running.then(() => Promise.reject(new Error("the load has ended"))),
    ]);
  }

  /** Ends it; everything that was sent is acknowledged then. */
  async stop(): Promise<void> {
    for (const lane of this.#lanes) lane.stop();
    await this.#running;
  }

  /** Ends it where it is; for a trial that has failed already. */
  abandon(): void {
    for (const lane of this.#lanes) lane.abandon();
  }
}
