/**
 * The verbs that transports call. Transports parse, authorize and answer; the rules of the stream are behind this.
 * Every verb rejects with `StreamError` only.
 * @module
 */
import type { StreamError } from "../core/errors.ts";
import type {
  BodyRef,
  ConsumerConfig,
  ConsumerState,
  Draft,
  Envelope,
  Head,
  Message,
  PublishOutcome,
  Receipts,
  Sequence,
  SubjectDetails,
  SubjectSummary,
} from "../core/message.ts";
import type { BodyPointer, Upload, UploadClaim } from "../core/pointer.ts";
import type { FilterPolicy, RetentionPolicy } from "../core/policy.ts";
import type { StartPosition } from "../core/start.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../core/subject.ts";
import type { RowChanges, RowsMark } from "../metadata/contract.ts";

export type { RowChanges, RowsMark } from "../metadata/contract.ts";

/** A message on its way out. `deliveries` is 1 unless it comes under a consumer's name and came before. */
export interface Delivery extends Message {
  readonly deliveries: number;
  /** Where pointers were asked for: in place of the body, which is empty then. */
  readonly pointer?: BodyPointer | undefined;
}

/** What a reader wants of bodies: the bytes as published, decoded ones (`content-encoding` undone), or pointers. */
export type DeliverAs = "body" | "decoded" | "pointer";

/** A stored message whose bytes are damaged or gone: reported, never delivered. */
export interface DamagedMessage {
  readonly subject: Subject;
  readonly sequence: Sequence;
  readonly error: StreamError;
}

/** What a read or a fetch answers. */
export interface Page extends Head {
  readonly subject: Subject;
  readonly epoch: string;
  readonly messages: readonly Delivery[];
  /** Stored messages inside the page that are `data_loss`; the messages around them are in `messages`. */
  readonly damaged: readonly DamagedMessage[];
  /** Where to go on. */
  readonly nextSequence: Sequence;
}

/** Envelopes only, for `headers_only`: bodies are not read. */
export interface EnvelopesPage extends Head {
  readonly subject: Subject;
  readonly epoch: string;
  readonly envelopes: readonly Envelope[];
  readonly nextSequence: Sequence;
}

/** Bounds of a page; limits were checked at the edge, the broker caps `bodyBytesMax` at the page limit. */
export interface ReadRequest {
  readonly subject: Subject;
  readonly from: StartPosition;
  readonly limit: number;
  readonly bodyBytesMax: number;
  /** How long to wait when there is nothing yet; 0 answers at once. */
  readonly waitMs: number;
  /** Default `body`. */
  readonly deliver?: DeliverAs | undefined;
}

/** A fetch under a consumer's name. */
export interface FetchRequest {
  readonly subject: Subject;
  readonly consumer: ConsumerName;
  readonly limit: number;
  readonly bodyBytesMax: number;
  readonly waitMs: number;
  readonly autoAck: boolean;
  /** Default `body`. */
  readonly deliver?: DeliverAs | undefined;
}

/** One stored message whose body is streamed. */
export interface StoredMessage {
  readonly envelope: Envelope;
  /**
   * The body, or a half-open range of it, checked against the stored SHA-256 before the first byte is handed out.
   * @throws StreamError `data_loss`
   */
  body(range?: { readonly start: number; readonly end: number }): Promise<Uint8Array | AsyncIterable<Uint8Array>>;
  /** The body with the codings of its `content-encoding` header undone; null when it has none that we know. */
  decoded(): Promise<AsyncIterable<Uint8Array> | null>;
  pointer(): Promise<BodyPointer>;
}

/** What acknowledging answered. */
export interface AckResult {
  readonly ackedThrough: Sequence;
  readonly moved: boolean;
}

/**
 * Where a subscription delivers to; implemented by a transport. Calls never throw and never wait: a sink that cannot
 * take more says so in `writable()` and calls `Subscription.resume()` when it can again.
 */
export interface SubscriptionSink {
  /** Most bytes of bodies that one call of `messages` may carry (a single larger message comes alone). */
  readonly batchBytesMax: number;
  /** False pauses pushes; they go on from storage after `resume()`. */
  writable(): boolean;
  /** Messages in sequence order per subject; all of one subject when the filter is one subject. */
  messages(batch: readonly Delivery[]): void;
  /** A stored message that cannot be delivered. */
  damaged(message: DamagedMessage): void;
  /** Notify mode: the latest sequence of a subject; coalesced, never backwards. */
  notify(subject: Subject, sequence: Sequence): void;
  /** The subscription is over (consumer deleted, server stopping …); nothing comes after it. */
  ended(error: StreamError): void;
}

/** What a subscriber asks for. */
export interface SubscribeRequest {
  readonly filter: SubjectFilter;
  readonly from: StartPosition;
  readonly mode: "messages" | "notify";
  /** Resumes after its `acked_through`; one subject only, `from` is ignored. */
  readonly consumer?: ConsumerName | undefined;
  /** Messages that may be delivered before more credit comes; `Infinity` = no limit. */
  readonly credit: number;
  /** Default `body`. */
  readonly deliver?: DeliverAs | undefined;
}

/** A running subscription. */
export interface Subscription {
  /** For `from: new` on one subject: pushes start after this sequence. */
  readonly lastSequence?: Sequence | undefined;
  /** Adds credit; `Infinity` lifts the limit. */
  credit(messages: number): void;
  /** The sink is writable again. */
  resume(): void;
  /** Ends it; nothing is delivered after the call returns. Leases it holds run out by themselves. */
  close(): void;
}

/** Large bodies are stored before the publish, so that they are never whole in memory. */
export type BodySource = AsyncIterable<Uint8Array>;

/** How an application actor stands, on whatever node it runs. */
export interface ActorStatus {
  readonly name: ConsumerName;
  /** What it is fed; null when this node does not know the actor (another one runs it). */
  readonly filter: SubjectFilter | null;
  /** `running`: a node owns it. `backing_off`: it failed and waits. `waiting`: nobody owns it at the moment. */
  readonly status: "running" | "backing_off" | "waiting";
  /** The node that owns it. */
  readonly owner: string | null;
  /** How far it is, at most 1,000 subjects in byte order. */
  readonly positions: readonly { readonly subject: Subject; readonly sequence: Sequence }[];
  /** Messages that it has not worked off. */
  readonly lag: number;
  /** Its state as JSON has it. */
  readonly state: unknown;
  /** Unix milliseconds. */
  readonly alarmAtMs: number | null;
  readonly restarts: number;
  readonly lastError: string | null;
  /** One more with every rebuild. */
  readonly generation: number;
  /** It works off again what it had worked off before it was rebuilt. */
  readonly rebuilding: boolean;
  /** Where messages go that it keeps failing on. */
  readonly deadLetter: Subject;
}

/** A row of an actor's table. */
export interface ActorTableRow {
  readonly key: string;
  readonly value: Uint8Array;
}

/** The stream. */
export interface Broker {
  readonly epoch: string;
  /** Largest body in bytes. */
  readonly bodyBytesMax: number;

  /**
   * Publishes; the outcomes have the drafts' order. Drafts of one subject commit in the order of the calls and, inside
   * one call, of the array: the place in the order is taken before the first `await` inside. Not atomic.
   * Settles when every draft is durable and readable or refused. Never rejects for one draft's sake.
   */
  publish(drafts: readonly Draft[]): Promise<readonly PublishOutcome[]>;

  /**
   * Stores one large body; give the ref to `publish` as the draft's body.
   * @throws StreamError `body_too_large` past `bodyBytesMax`, `storage_full`, `unavailable`
   */
  storeBody(source: BodySource, signal?: AbortSignal): Promise<BodyRef>;

  /**
   * Opens an upload for a body that the publisher puts into the store by itself.
   * @throws StreamError `body_too_large`, `unavailable`
   */
  openUpload(claim: UploadClaim, parts: boolean): Promise<Upload>;
  /** Joins the parts of an upload. @throws StreamError `upload_not_found`, `upload_mismatch` */
  completeUpload(claim: UploadClaim, key: string): Promise<void>;
  /**
   * The body of an upload for `publish`, verified byte by byte.
   * @throws StreamError `upload_not_found`, `upload_mismatch`, `body_too_large`
   */
  takeUpload(claim: UploadClaim, key: string): Promise<BodyRef>;
  /** Bytes of a signed address of our own. @throws StreamError `permission_denied`, `not_found`, `data_loss` */
  signedBody(token: string): Promise<{ readonly length: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  /** An upload to a signed address of our own. @throws StreamError `permission_denied`, `not_found`, `upload_mismatch` */
  receiveUpload(token: string, source: BodySource, signal?: AbortSignal): Promise<void>;

  /** How the recipients stand to a message. @throws StreamError `message_not_found` */
  receipts(subject: Subject, sequence: Sequence): Promise<Receipts>;
  /**
   * Waits until so many recipients (`all`: as many as release it) have acknowledged a message, or it is gone, or the
   * time is over; answers how they stand then.
   * @throws StreamError `message_not_found`
   */
  awaitReceipts(
    request: { readonly subject: Subject; readonly sequence: Sequence; readonly acked: number | "all" },
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<Receipts>;
  /**
   * Sends dead letters of a consumer back to its subject, at most `limit`, and no more than `perSecond` of them a second
   * (Infinity: at once); ends early after a minute, and when the signal aborts.
   * @throws StreamError `consumer_not_found`, `no_dead_letters`
   */
  redrive(
    request: {
      readonly subject: Subject;
      readonly consumer: ConsumerName;
      readonly limit: number;
      readonly perSecond: number;
    },
    signal?: AbortSignal,
  ): Promise<{ readonly redriven: number; readonly more: boolean }>;

  /** Reads a page; an aborted signal ends the wait (the answer is then of no interest). */
  read(request: ReadRequest, signal?: AbortSignal): Promise<Page>;
  /** Like `read` without bodies. */
  readEnvelopes(request: ReadRequest, signal?: AbortSignal): Promise<EnvelopesPage>;
  /** @throws StreamError `message_not_found`, `message_expired` */
  message(subject: Subject, sequence: Sequence): Promise<StoredMessage>;

  subjects(query: {
    readonly filter: SubjectFilter;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<{ readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean }>;
  /** @throws StreamError `subject_not_found` */
  subject(subject: Subject): Promise<SubjectDetails>;
  purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }>;

  /**
   * Sets what is kept of the subjects that a filter names, of what is stored already too.
   * @throws StreamError `too_many_policies`
   */
  putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<{ readonly created: boolean }>;
  /** @throws StreamError `policy_not_found` */
  policy(filter: SubjectFilter): Promise<RetentionPolicy>;
  /** All of them, in byte order of their filters. */
  policies(): Promise<readonly FilterPolicy[]>;
  /** The policy it had. @throws StreamError `policy_not_found` */
  deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy>;

  /** @throws StreamError `consumer_exists` when it is there with another configuration */
  putConsumer(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
  ): Promise<{ readonly created: boolean; readonly state: ConsumerState }>;
  /** @throws StreamError `consumer_not_found` */
  consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState>;
  consumers(subject: Subject): Promise<readonly ConsumerState[]>;
  /** @throws StreamError `consumer_not_found` */
  deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState>;
  /** Waits, leases, reads. An aborted signal before the lease takes none. */
  fetch(request: FetchRequest, signal?: AbortSignal): Promise<Page>;
  /** The messages a fetch would show; nothing changes, an unknown consumer is not made. */
  peek(subject: Subject, name: ConsumerName, limit: number, deliver?: DeliverAs): Promise<Page>;
  /** @throws StreamError `consumer_not_found`, `sequence_out_of_range`, `wrong_ack_mode` */
  ack(
    subject: Subject,
    name: ConsumerName,
    settled: { readonly through: Sequence } | { readonly sequences: readonly Sequence[] },
  ): Promise<AckResult>;
  /** @throws StreamError `consumer_not_found`, `sequence_out_of_range`, `wrong_ack_mode` */
  nack(
    subject: Subject,
    name: ConsumerName,
    sequences: readonly Sequence[],
    delayMs: number,
    error?: string,
  ): Promise<{ readonly redeliver: number }>;

  /**
   * Starts a subscription; nothing is delivered before the promise resolves and the microtasks behind it have run, so
   * a transport can answer first.
   */
  subscribe(request: SubscribeRequest, sink: SubscriptionSink): Promise<Subscription>;

  /** Application actors in byte order of their names; those that this caller may see. */
  actors(): Promise<readonly ActorStatus[]>;
  /** @throws StreamError `actor_not_found` */
  actor(name: ConsumerName): Promise<ActorStatus>;
  /** Has it begin anew from the first message; what it published before is not published again. @throws as `actor` */
  rebuildActor(name: ConsumerName): Promise<ActorStatus>;
  /** Rows of its table: `from` <= key < `to`, in byte order, at most `limit` (to 10,000). @throws as `actor` */
  actorRows(
    name: ConsumerName,
    range: { readonly from: string; readonly to?: string | undefined; readonly limit: number },
  ): Promise<readonly ActorTableRow[]>;
  /**
   * What has changed in its table since a mark, at most `limit` rows (to 10,000): as of the store, at the time of the call.
   * @throws as `actor`
   */
  actorRowChanges(name: ConsumerName, since: RowsMark | undefined, limit: number): Promise<RowChanges>;

  /** Per dependency: ready, or why not. */
  readiness(): Promise<Readonly<Record<string, { readonly ready: boolean; readonly detail?: string }>>>;

  /** Answers every waiting long poll with what there is and refuses new publishes with `shutting_down`. */
  drain(): Promise<void>;
}
