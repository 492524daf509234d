/**
 * The broker: the verbs over the two stores and the actors. It knows no transport and no driver.
 * @module
 */
import { type ActorOptions, systemTimers, type Timers } from "../../actors/actor.ts";
import { type ActorGauge, ActorHost } from "../../actors/application/host.ts";
import { Committer } from "../../actors/committer.ts";
import type { ActorDefinition, ActorLog } from "../../actors/define.ts";
import { ActorRegistry } from "../../actors/registry.ts";
import { Relay } from "../../actors/relay.ts";
import { type PublishMessage, subjectBehaviour } from "../../actors/subject.ts";
import type { BodyStore, SignedAddresses } from "../bodies/contract.ts";
import { VerifiedBodies } from "../bodies/verified.ts";
import { StreamError } from "../core/errors.ts";
import { pageBodyBytesMax, publishMsMax } from "../core/limits.ts";
import type { BodyRef, ConsumerConfig, Receipts, Sequence } from "../core/message.ts";
import type { Upload, UploadClaim } from "../core/pointer.ts";
import { type RetentionPolicy, samePolicy } from "../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../core/subject.ts";
import type {
  AckOutcome,
  AckRequest,
  ChangeFeed,
  MetadataStore,
  NackOutcome,
  NackRequest,
  PulledPage,
} from "../metadata/contract.ts";
import { Batcher } from "./batcher.ts";
import type {
  AckResult,
  Broker,
  DeliverAs,
  EnvelopesPage,
  FetchRequest,
  Page,
  ReadRequest,
  StoredMessage,
  SubscribeRequest,
  Subscription,
  SubscriptionSink,
} from "./contract.ts";
import { Deadlines } from "./deadlines.ts";
import { Doubts } from "./doubt.ts";
import { DueClock } from "./due-clock.ts";
import { expireAll } from "./expire.ts";
import { BrokerFigures } from "./figures.ts";
import type { FollowerTools } from "./follower.ts";
import { Hub } from "./hub.ts";
import { lookAgain } from "./look-again.ts";
import { bodyTooLarge, Publisher } from "./publisher.ts";
import { boundsFor, nextSequence, Reader } from "./reader.ts";
import { awaitReceipts, receiptsOf } from "./receipts.ts";
import type { RecoveryTools } from "./recovery.ts";
import { redrive } from "./redrive.ts";
import { resolveStart, Subscriber } from "./subscriber.ts";
import { Bell, Draining } from "./waiting.ts";

export { BrokerFigures } from "./figures.ts";

const MiB = 1024 * 1024;
/** Pause before a store that failed is asked again on behalf of a subscription. */
const retryMs = 250;
const noLog: ActorLog = { info: () => undefined, warn: () => undefined };
/** How long a signed address works when nobody says otherwise. */
const pointerLifetimeMsDefault = 15 * 60 * 1000;

/** What a broker is made of. */
export interface BrokerOptions {
  readonly metadata: MetadataStore;
  readonly bodies: BodyStore;
  readonly bodyBytesMax: number;
  /** How long pointers and addresses for uploads work, in milliseconds. */
  readonly pointerLifetimeMs?: number;
  /** Scheme, host and port that go before signed addresses of our own; "" leaves them paths. */
  readonly ownAddress?: () => string;
  readonly timers?: Timers;
  /** Unix milliseconds; only ages (`from=10m`) are counted from it. */
  readonly clock?: () => number;
  /** Monotonic milliseconds; deadlines of publishes are counted in it. */
  readonly elapsedMs?: () => number;
  /** Application actors that this node runs, and under which name among other nodes; none when left out. */
  readonly actors?: {
    readonly definitions: readonly ActorDefinition[];
    readonly node: string;
    readonly log: ActorLog;
  };
  /** Told of every failure of an actor. */
  onActorFailure?(error: unknown, restarts: number): void;
  /** Told when the store does not answer what nobody waits for: its feed, or what became of messages in doubt. */
  readonly onStoreFailure?: (error: StreamError) => void;
}

/** Numbers for the metrics, read when asked. */
export interface BrokerGauges {
  readonly liveActors: number;
  readonly mailboxDepth: number;
  readonly inFlightBytes: number;
  readonly tailBytes: number;
}

/** A broker as its owner sees it. */
export interface OwnedBroker extends Broker {
  /** Begins to hear of other nodes; call it before the first request. @throws StreamError `unavailable` */
  start(): Promise<void>;
  gauges(): BrokerGauges;
  /** What it has counted so far. */
  readonly figures: BrokerFigures;
  /** Application actors as this node knows them; asks no store. */
  actorGauges(): readonly ActorGauge[];
}

/** Makes a broker over two stores; the caller closes the stores after `drain()`. */
export const createBroker = (options: BrokerOptions): OwnedBroker => new StreamBroker(options);

class StreamBroker implements OwnedBroker {
  readonly epoch: string;
  readonly bodyBytesMax: number;
  readonly figures = new BrokerFigures();
  readonly #metadata: MetadataStore;
  readonly #bodies: BodyStore;
  readonly #hub: Hub;
  /** Only over a store that several nodes share. */
  readonly #relay: Relay | undefined;
  readonly #committer: Committer;
  readonly #subjects: ActorRegistry<Subject, PublishMessage>;
  readonly #publisher: Publisher;
  readonly #reader: Reader;
  readonly #subscriber: Subscriber;
  readonly #acks: Batcher<AckRequest, AckOutcome>;
  readonly #nacks: Batcher<NackRequest, NackOutcome>;
  readonly #dueClock: DueClock;
  readonly #actors: ActorHost;
  readonly #pointerLifetimeMs: number;
  /** A signed address with what has to go before it. */
  readonly #whole: (url: string) => string;
  readonly #timers: Timers;
  readonly #clock: () => number;
  readonly #elapsedMs: () => number;
  readonly #drained = new AbortController();
  readonly #draining = new Draining();

  constructor(options: BrokerOptions) {
    const { metadata, bodies, bodyBytesMax, timers = systemTimers, clock = Date.now } = options;
    const { elapsedMs = () => performance.now() } = options;
    this.epoch = metadata.epoch;
    this.bodyBytesMax = bodyBytesMax;
    this.#metadata = metadata;
    this.#bodies = bodies;
    this.#timers = timers;
    this.#elapsedMs = elapsedMs;
    this.#clock = clock;
    this.#pointerLifetimeMs = options.pointerLifetimeMs ?? pointerLifetimeMsDefault;
    const { ownAddress = () => "" } = options;
    this.#whole = (url) => (url.startsWith("/") ? ownAddress() + url : url);
    const isShared = metadata.changes !== undefined;
    this.#hub = new Hub({ tails: { bytesMax: 32 * MiB, subjectCountMax: 8192 }, shared: isShared, timers, clock });
    this.#relay = metadata.changes === undefined ? undefined : this.#relayOf(metadata.changes, options);
    this.#reader = new Reader({
      metadata,
      bodies,
      verified: new VerifiedBodies(bodies),
      bodyBytesMax,
      pointerLifetimeMs: this.#pointerLifetimeMs,
      wholeUrl: this.#whole,
      clock,
    });
    this.#dueClock = new DueClock({
      metadata,
      timers,
      clock,
      isShared,
      onFailure: (error) => options.onStoreFailure?.(error),
    });
    const doubts = new Doubts(this.#recoveryTools(options));
    this.#committer = new Committer(bodies, metadata, {
      batchCountMax: 4096,
      // Several writes of this size at once are quicker than one large one, on remote stores above all.
      batchBytesMax: 1 * MiB,
      writesMax: 4,
      waitingCountMax: 32_768,
      waitingBytesMax: 64 * MiB,
      clock,
      onCommitted: (runs) => {
        this.figures.committed(runs);
        this.#hub.committed(runs);
      },
      onUnknown: (doubt) => doubts.add(doubt),
      onScheduled: (dueAtMs) => this.#dueClock.scheduled(dueAtMs),
      onTransaction: (figures) => this.figures.transaction(figures),
    });
    metadata.onMoved((moved) => this.#committer.moved(moved));
    const actorOptions: ActorOptions = {
      mailbox: { countMax: 65_536, bytesMax: Math.max(64 * MiB, 2 * bodyBytesMax) },
      batchCountMax: 4096,
      restartDelayMs: 50,
      restartDelayMsMax: 5000,
      timers,
      onFailure: (error, restarts) => options.onActorFailure?.(error, restarts),
    };
    this.#subjects = new ActorRegistry((subject) => subjectBehaviour(subject, this.#committer), actorOptions, {
      idleMs: 60_000,
      timers,
      clock: () => performance.now(),
    });
    this.#publisher = new Publisher(this.#subjects, bodies, {
      deadlines: new Deadlines(timers, elapsedMs, publishMsMax),
      timers,
      elapsedMs,
      bodyBytesMax,
      inFlightBytesMax: Math.max(256 * MiB, 4 * bodyBytesMax),
      figures: this.figures,
    });
    const tools: FollowerTools = {
      hub: this.#hub,
      reader: this.#reader,
      timers,
      readCountMax: 4096,
      readBytesMax: 2 * MiB,
      retryMs,
    };
    this.#subscriber = new Subscriber(metadata, tools, clock, this.#relay);
    this.#acks = new Batcher((requests) => metadata.ack(requests), 1024);
    this.#nacks = new Batcher((requests) => metadata.nack(requests), 1024);
    const { definitions = [], node = "", log = noLog } = options.actors ?? {};
    this.#actors = new ActorHost({
      ...{ metadata, bodies, definitions, node, log, timers, clock, elapsedMs },
      broker: {
        bodyBytesMax,
        read: (request) => this.#read(request),
        subjects: (query) => this.subjects(query),
        subscribe: (request, sink) => this.#subscriber.subscribe(request, sink),
      },
    });
  }

  actorGauges: OwnedBroker["actorGauges"] = () => this.#actors.actorGauges();
  actors: Broker["actors"] = () => this.#actors.actors();
  actor: Broker["actor"] = (name) => this.#actors.actor(name);
  rebuildActor: Broker["rebuildActor"] = (name) => this.#actors.rebuild(name);
  actorRows: Broker["actorRows"] = (name, range) => this.#actors.rows(name, range);
  actorRowChanges: Broker["actorRowChanges"] = (name, since, limit) => this.#actors.rowChanges(name, since, limit);

  gauges(): BrokerGauges {
    return {
      liveActors: this.#subjects.size,
      mailboxDepth: this.#subjects.depth,
      inFlightBytes: this.#publisher.inFlightBytes,
      tailBytes: this.#hub.tails.bytes,
    };
  }

  publish: Broker["publish"] = (drafts) => this.#publisher.publish(drafts);
  storeBody: Broker["storeBody"] = (source, signal) => this.#publisher.storeBody(source, signal);

  async openUpload(claim: UploadClaim, parts: boolean): Promise<Upload> {
    this.#checkLength(claim);
    const upload = await this.#bodies.openUpload(claim, this.#pointerLifetimeMs, parts);
    const requests = upload.requests.map((each) => ({ ...each, url: this.#whole(each.url) }));
    return { ...upload, requests };
  }

  async completeUpload(claim: UploadClaim, key: string): Promise<void> {
    await this.#bodies.completeUpload(claim, key);
  }

  async takeUpload(claim: UploadClaim, key: string): Promise<BodyRef> {
    this.#checkLength(claim);
    return this.#bodies.takeUpload(claim, key);
  }

  async signedBody(token: string): ReturnType<Broker["signedBody"]> {
    return this.#addresses().read(token);
  }

  async receiveUpload(...[token, source, signal]: Parameters<Broker["receiveUpload"]>): Promise<void> {
    await this.#addresses().write(token, source, signal);
  }

  async receipts(subject: Subject, sequence: Sequence): Promise<Receipts> {
    return receiptsOf(this.#metadata, subject, sequence);
  }

  async awaitReceipts(...[request, waitMs, signal]: Parameters<Broker["awaitReceipts"]>): Promise<Receipts> {
    const tools = {
      ...{ metadata: this.#metadata, hub: this.#hub, timers: this.#timers },
      ...{ draining: this.#draining, elapsedMs: this.#elapsedMs },
    };
    return awaitReceipts(tools, request, waitMs, signal);
  }

  async redrive(...[request, signal]: Parameters<Broker["redrive"]>): ReturnType<Broker["redrive"]> {
    const tools = {
      ...{ metadata: this.#metadata, timers: this.#timers },
      ...{ draining: this.#draining, elapsedMs: this.#elapsedMs },
    };
    return redrive(tools, request, signal);
  }

  async read(request: ReadRequest, signal?: AbortSignal): Promise<Page> {
    return this.figures.page("read", await this.#read(request, signal));
  }

  /** What the server reads for itself counts as nobody's read. */
  async #read(request: ReadRequest, signal?: AbortSignal): Promise<Page> {
    const { subject, deliver } = request;
    const bounds = boundsFor(deliver, request);
    return this.#readFrom(request, signal, async (from) => {
      const { head, messages, damaged, nextSequence: next } = await this.#reader.page(subject, from, bounds, deliver);
      const page: Page = { ...head, subject, epoch: this.epoch, messages, damaged, nextSequence: next };
      return { page, found: messages.length + damaged.length > 0 };
    });
  }

  async readEnvelopes(request: ReadRequest, signal?: AbortSignal): Promise<EnvelopesPage> {
    const { subject, limit } = request;
    const bounds = { limit, bodyBytesMax: request.bodyBytesMax };
    return this.#readFrom(request, signal, async (from) => {
      const range = await this.#metadata.range(subject, from, bounds);
      const { head, envelopes } = range;
      const page = { ...head, subject, epoch: this.epoch, envelopes, nextSequence: nextSequence(from, range) };
      return { page, found: envelopes.length > 0 };
    });
  }

  async message(subject: Subject, sequence: Sequence): Promise<StoredMessage> {
    const { head, envelopes } = await this.#metadata.range(subject, sequence, { limit: 1, bodyBytesMax: 1 });
    const envelope = envelopes[0];
    if (envelope?.sequence === sequence) return this.#reader.stored(envelope);
    if (sequence < 1 || sequence > head.lastSequence) {
      throw new StreamError("message_not_found", `The last sequence of this subject is ${head.lastSequence}.`, {
        last_sequence: head.lastSequence,
      });
    }
    throw new StreamError("message_expired", "The message was here and was deleted or has expired.", {
      first_sequence: head.firstSequence,
    });
  }

  subjects: Broker["subjects"] = (query) => this.#metadata.subjects(query);

  async subject(subject: Subject): ReturnType<Broker["subject"]> {
    const details = await this.#metadata.subject(subject);
    if (details === null) throw new StreamError("subject_not_found", "Nothing was ever published to this subject.");
    return details;
  }

  async purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }> {
    const result = await this.#metadata.purge(subject, through);
    this.#hub.purged(subject, through);
    return result;
  }

  async putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<{ readonly created: boolean }> {
    const all = await this.#metadata.policies();
    const before = all.find((known) => known.filter === filter)?.policy;
    if (before === undefined || !samePolicy(before, policy)) await expireAll(this.#metadata, all);
    return { created: (await this.#metadata.putPolicy(filter, policy)) === "created" };
  }

  async policy(filter: SubjectFilter): Promise<RetentionPolicy> {
    const found = (await this.#metadata.policies()).find((policy) => policy.filter === filter);
    if (found === undefined) throw policyNotFound(filter);
    return found.policy;
  }

  policies: Broker["policies"] = () => this.#metadata.policies();

  async deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy> {
    await expireAll(this.#metadata, await this.#metadata.policies());
    const policy = await this.#metadata.deletePolicy(filter);
    if (policy === null) throw policyNotFound(filter);
    return policy;
  }

  async putConsumer(subject: Subject, name: ConsumerName, config: ConsumerConfig): ReturnType<Broker["putConsumer"]> {
    const { status, state } = await this.#metadata.putConsumer(subject, name, config);
    if (status === "differs") {
      throw new StreamError("consumer_exists", "The consumer exists with another configuration; delete it first.");
    }
    return { created: status === "created", state };
  }

  async consumer(subject: Subject, name: ConsumerName): ReturnType<Broker["consumer"]> {
    const state = await this.#metadata.consumer(subject, name);
    if (state === null) throw consumerNotFound(name);
    return state;
  }

  consumers: Broker["consumers"] = (subject) => this.#metadata.consumers(subject);

  async deleteConsumer(subject: Subject, name: ConsumerName): ReturnType<Broker["deleteConsumer"]> {
    const state = await this.#metadata.deleteConsumer(subject, name);
    if (state === null) throw consumerNotFound(name);
    this.#hub.consumerDeleted(subject, name);
    return state;
  }

  async fetch(request: FetchRequest, signal?: AbortSignal): Promise<Page> {
    const { subject, consumer, autoAck, deliver } = request;
    const bounds = boundsFor(deliver, request);
    const pulled = await this.#poll(subject, consumer, request.waitMs, signal, async () => {
      // A client that has gone takes no lease.
      if (signal?.aborted === true) throw new StreamError("unavailable", "The client has gone.");
      const page = await this.#metadata.pull({ subject, consumer, ...bounds, autoAck, create: true });
      return { page, found: page.envelopes.length > 0, dueInMs: page.nextDueInMs };
    });
    if (autoAck && pulled.envelopes.length > 0) this.#hub.acknowledged(subject);
    return this.figures.page("fetch", await this.#loadPulled(subject, pulled, deliver, bounds.decodedBytesMax));
  }

  async peek(subject: Subject, name: ConsumerName, limit: number, deliver?: DeliverAs): Promise<Page> {
    const bounds = boundsFor(deliver, { limit, bodyBytesMax: pageBodyBytesMax });
    const peeked = await this.#metadata.peek(subject, name, bounds);
    return this.figures.page("peek", await this.#loadPulled(subject, peeked, deliver));
  }

  async ack(subject: Subject, consumer: ConsumerName, settled: Parameters<Broker["ack"]>[2]): Promise<AckResult> {
    const outcome = await this.#acks.add({ subject, consumer, ...settled });
    if (outcome.status !== "acked") throw settleError(outcome, consumer);
    const { ackedThrough, moved } = outcome;
    if (moved) this.#hub.consumerChanged(subject, consumer);
    return { ackedThrough, moved };
  }

  async nack(
    subject: Subject,
    consumer: ConsumerName,
    sequences: readonly Sequence[],
    delayMs: number,
    error?: string,
  ): Promise<{ readonly redeliver: number }> {
    const outcome = await this.#nacks.add({ subject, consumer, sequences, delayMs, error });
    if (outcome.status !== "nacked") throw settleError(outcome, consumer);
    this.#hub.consumerChanged(subject, consumer);
    return { redeliver: outcome.redeliver };
  }

  async subscribe(request: SubscribeRequest, sink: SubscriptionSink): Promise<Subscription> {
    const counted = this.figures.counted(sink);
    return counted.opened(await this.#subscriber.subscribe(request, counted.sink));
  }

  async readiness(): ReturnType<Broker["readiness"]> {
    const [metadata, bodies] = await Promise.all([probe(this.#metadata), probe(this.#bodies)]);
    return { metadata, bodies };
  }

  async start(): Promise<void> {
    await this.#relay?.start();
    this.#dueClock.start();
    this.#actors.start();
  }

  async drain(): Promise<void> {
    this.#publisher.drain();
    // While everything else still works: their last steps are committed, their leases given back.
    await this.#actors.stop();
    this.#drained.abort();
    this.#draining.begin();
    await Promise.all([this.#relay?.stop(), this.#dueClock.stop()]);
    await this.#committer.drained();
    await this.#subjects.stop();
  }

  #checkLength({ length }: UploadClaim): void {
    if (length > this.bodyBytesMax) throw bodyTooLarge(this.bodyBytesMax);
  }

  /** @throws StreamError `not_found` where addresses lead to the body store itself */
  #addresses(): SignedAddresses {
    const { addresses } = this.#bodies;
    if (addresses === undefined) throw new StreamError("not_found", "This server has no signed addresses of its own.");
    return addresses;
  }

  #recoveryTools({ onStoreFailure }: BrokerOptions): RecoveryTools {
    return {
      metadata: this.#metadata,
      hub: this.#hub,
      timers: this.#timers,
      retryMs,
      drained: this.#drained.signal,
      onFailure: (error) => onStoreFailure?.(error),
    };
  }

  #relayOf(feed: ChangeFeed, options: BrokerOptions): Relay {
    const timers = this.#timers;
    const tools = this.#recoveryTools(options);
    return new Relay({
      feed,
      timers,
      holdMs: 30_000,
      retryMs: 100,
      retryMsMax: 2000,
      onChanges: (page) => this.#hub.changed(page),
      onLost: (after) => void lookAgain(tools, after),
      onFailure: (error) => options.onStoreFailure?.(error),
    });
  }

  /** Resolves where to start once, then looks and waits. */
  async #readFrom<T>(
    request: ReadRequest,
    signal: AbortSignal | undefined,
    look: (from: Sequence) => Promise<{ readonly page: T; readonly found: boolean }>,
  ): Promise<T> {
    const { subject, waitMs } = request;
    let from: Sequence | undefined;
    return this.#poll(subject, undefined, waitMs, signal, async () => {
      from ??= await this.#resolve(subject, request.from);
      return look(from);
    });
  }

  async #resolve(subject: Subject, from: ReadRequest["from"]): Promise<Sequence> {
    // The two forms that need no head: the range itself starts at the first message.
    if (from.kind === "first") return 1;
    if (from.kind === "sequence") return Math.max(1, from.sequence);
    const [head] = await this.#metadata.heads([subject]);
    if (head === undefined) throw new StreamError("internal", "A store left a head out.");
    return resolveStart(this.#metadata, subject, from, head, this.#clock());
  }

  /** Looks, and looks again whenever something may have changed, until something is found or the time is over. */
  async #poll<T>(
    subject: Subject,
    consumer: ConsumerName | undefined,
    waitMs: number,
    signal: AbortSignal | undefined,
    look: () => Promise<{ readonly page: T; readonly found: boolean; readonly dueInMs?: number | null }>,
  ): Promise<T> {
    if (waitMs <= 0) return (await look()).page;
    const bell = new Bell();
    const ring = (): void => bell.ring();
    const unwatch = this.#hub.watch(subject as string as Parameters<Hub["watch"]>[0], { moved: ring });
    const unwatchConsumer =
      consumer === undefined
        ? undefined
        : this.#hub.watchConsumer(subject, consumer, { changed: ring, deleted: () => undefined });
    const endsAt = performance.now() + waitMs;
    this.figures.waiting++;
    try {
      for (;;) {
        bell.reset();
        const { page, found, dueInMs } = await look();
        const leftMs = endsAt - performance.now();
        if (found || leftMs <= 0) return page;
        const why = await bell.wait(Math.min(leftMs, dueInMs ?? leftMs), this.#timers, this.#draining, signal);
        if (why === "aborted" || why === "draining") return page;
      }
    } finally {
      this.figures.waiting--;
      unwatch();
      unwatchConsumer?.();
    }
  }

  async #loadPulled(
    subject: Subject,
    pulled: PulledPage,
    deliver?: DeliverAs,
    decodedBytesMax?: number,
  ): Promise<Page> {
    const loaded = await this.#reader.load(pulled.envelopes, deliver, decodedBytesMax);
    const last = pulled.envelopes.at(-1);
    // A page of `all` is a plain range: go on behind it. Leases may be redeliveries: new ones come behind the cursor.
    const next = pulled.ack === "all" && last !== undefined ? last.sequence + 1 : pulled.nextSequence;
    return { ...pulled.head, subject, epoch: this.epoch, ...loaded, nextSequence: next };
  }
}

const policyNotFound = (filter: SubjectFilter): StreamError =>
  new StreamError("policy_not_found", `The filter ${filter} has no policy of its own.`);

const consumerNotFound = (name: ConsumerName): StreamError =>
  new StreamError("consumer_not_found", `There is no consumer ${name} on this subject.`);

const settleError = (
  outcome: Exclude<AckOutcome | NackOutcome, { status: "acked" } | { status: "nacked" }>,
  name: ConsumerName,
): StreamError => {
  switch (outcome.status) {
    case "consumer_not_found":
      return consumerNotFound(name);
    case "sequence_out_of_range":
      return new StreamError("sequence_out_of_range", `The last sequence is ${outcome.lastSequence}.`, {
        last_sequence: outcome.lastSequence,
      });
    case "wrong_ack_mode":
      return new StreamError(
        "wrong_ack_mode",
        "The consumer acknowledges everything through a sequence; sequences and nack need one with ack explicit.",
      );
  }
};

const probe = async (store: { ready(): Promise<void> }): Promise<{ ready: boolean; detail?: string }> => {
  try {
    await store.ready();
    return { ready: true };
  } catch (error) {
    return { ready: false, detail: error instanceof Error ? error.message : "does not answer" };
  }
};
