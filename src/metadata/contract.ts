/**
 * What the broker asks of a metadata store. Every driver passes `src/metadata/cases.ts`; nothing above this line may
 * assume that a store is synchronous, local, or used by one process only.
 *
 * A message may go from the middle of a subject (time to live, acknowledged by all): later reads leave it out, `messages`
 * and `bytes` do not count it, every consumer has it settled, and when nothing before it is left the first sequence
 * moves behind it. With `retain: acked` an acknowledgement releases messages in its own transaction: message m goes when
 * each named recipient has settled it, is exempt from it or timed out on it (`RecipientStatus`), and at least one has
 * acknowledged it or a later one; with a count, when so many consumers that are not exempt have settled it.
 *
 * Rules for every driver:
 * - Each method is one transaction and, for a remote store, one call. A promise that resolves means durable, unless
 *   the method says otherwise. Entries of one call are applied in order, as if one after the other.
 * - Several nodes may call at once. The store decides; callers keep no sequence in memory that they rely on.
 * - The store is the clock: timestamps, leases and the dedupe window use its own time (given to an embedded driver
 *   through its constructor, the server's clock elsewhere).
 * - Errors are `StreamError`: `storage_full` (nothing was changed), `unavailable` (nothing was changed, or it was a
 *   read), `outcome_unknown` (a commit whose reply did not come), and those that a method names.
 * @module
 */
import type {
  BodyRef,
  ConsumerConfig,
  ConsumerState,
  DeliverAt,
  Envelope,
  Head,
  Headers,
  Receipts,
  Sequence,
  SubjectDetails,
  SubjectSummary,
} from "../core/message.ts";
import type { FilterPolicy, RetentionPolicy } from "../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../core/subject.ts";

/** One message to commit; its body is durable already. */
export interface CommitEntry {
  readonly subject: Subject;
  readonly headers: Headers;
  readonly body: BodyRef;
  readonly messageId?: string | undefined;
  readonly expectedLastSequence?: Sequence | undefined;
  /** The message is gone so many milliseconds after its timestamp. */
  readonly ttlMs?: number | undefined;
  /** Keep it aside and commit it then (see `commitDue`); never together with `expectedLastSequence`. */
  readonly deliverAt?: DeliverAt | undefined;
}

/** What became of one entry. A duplicate is looked for before the expected last sequence. */
export type CommitOutcome =
  | { readonly status: "committed"; readonly sequence: Sequence; readonly timestampMs: number }
  | { readonly status: "duplicate"; readonly sequence: Sequence; readonly timestampMs: number }
  | { readonly status: "wrong_last_sequence"; readonly lastSequence: Sequence }
  /** Kept for later; `duplicate` when the same message id waits already. Its reference keeps the body. */
  | {
      readonly status: "scheduled";
      readonly scheduleId: string;
      readonly dueAtMs: number;
      readonly duplicate: boolean;
    }
  /** A policy with `discard: new` (or a body that no limit of bytes has room for) refuses it. */
  | { readonly status: "subject_full" }
  /** The object that it points into is being deleted (see `takeDead`): write the body again. */
  | { readonly status: "body_gone" };

/** A page of envelopes with the ends of the subject as they were in the same transaction. */
export interface EnvelopePage {
  readonly head: Head;
  /** Ascending; sequences that were deleted are left out. */
  readonly envelopes: readonly Envelope[];
}

/** Bounds of a page. At least one envelope comes when there is one, whatever `bodyBytesMax` says. */
export interface PageBounds {
  readonly limit: number;
  /** Sum of body lengths. */
  readonly bodyBytesMax: number;
}

/** One fetch under a consumer's name. */
export interface PullRequest extends PageBounds {
  readonly subject: Subject;
  readonly consumer: ConsumerName;
  /** Acknowledge what is returned in the same transaction. */
  readonly autoAck: boolean;
  /** Make an unknown consumer (`ack: all`, from the first message); false: `consumer_not_found`. */
  readonly create: boolean;
}

/** A leased, or (`ack: all`) merely read, envelope. */
export interface PulledEnvelope extends Envelope {
  /** 1 at the first delivery; for `ack: all` 2 when it was handed out before. */
  readonly deliveries: number;
}

/** What a pull or a peek answers. */
export interface PulledPage {
  readonly head: Head;
  readonly ack: ConsumerConfig["ack"];
  /** The consumer's `acked_through` after the call. */
  readonly ackedThrough: Sequence;
  /** Where the next new message would come from: for `all` after `ackedThrough`, for `explicit` after what was leased. */
  readonly nextSequence: Sequence;
  readonly envelopes: readonly PulledEnvelope[];
  /** When nothing came because all is leased: milliseconds until the earliest redelivery is due; else null. */
  readonly nextDueInMs: number | null;
  /** True when new messages exist but `maxAckPending` is reached. */
  readonly saturated: boolean;
}

/** Acknowledge through a sequence (inclusive), or (explicit only) exactly these. */
export interface AckRequest {
  readonly subject: Subject;
  readonly consumer: ConsumerName;
  readonly through?: Sequence | undefined;
  readonly sequences?: readonly Sequence[] | undefined;
}

/** Outcome of one acknowledgement. `moved`: whether it settled anything that was not settled before. */
export type AckOutcome =
  | { readonly status: "acked"; readonly ackedThrough: Sequence; readonly moved: boolean }
  | { readonly status: "consumer_not_found" }
  | { readonly status: "sequence_out_of_range"; readonly lastSequence: Sequence }
  | { readonly status: "wrong_ack_mode" };

/** Give leased messages back, to come again after `delayMs`. */
export interface NackRequest {
  readonly subject: Subject;
  readonly consumer: ConsumerName;
  readonly sequences: readonly Sequence[];
  readonly delayMs: number;
  /** Why, for the header of a dead letter; the last one given counts. */
  readonly error?: string | undefined;
}

/** Outcome of one nack. `redeliver`: how many of the sequences will come again. */
export type NackOutcome =
  | { readonly status: "nacked"; readonly redeliver: number }
  | { readonly status: "consumer_not_found" }
  | { readonly status: "sequence_out_of_range"; readonly lastSequence: Sequence }
  | { readonly status: "wrong_ack_mode" };

/** Newly committed messages, ascending and without a gap. */
export interface Moved {
  readonly subject: Subject;
  readonly first: Sequence;
  readonly last: Sequence;
}

/** A delayed message as the doctor sees it. */
export interface DelayedMessage {
  readonly scheduleId: string;
  readonly subject: Subject;
  /** Unix milliseconds. */
  readonly dueAtMs: number;
  readonly body: BodyRef;
}

/** An object that takes more room than what is left in it is worth. */
export interface SparseObject {
  readonly object: string;
  /** What messages still point into it, each range once, in the order of the offsets. */
  readonly bodies: readonly BodyRef[];
}

/** Which objects are worth rewriting. Bytes are those in the store (`storedLength`, else `length`). */
export interface SparseRequest {
  /** Alive bytes by all bytes that were ever committed into it, 0 to 1: at most this share. */
  readonly aliveShareMax: number;
  /** Objects with fewer bytes than this (ever committed) are worth joining, when there are at least `tinyMin` of them. */
  readonly tinyBytes: number;
  readonly tinyMin: number;
  /** Nothing was committed into it for so long. */
  readonly minAgeMs: number;
  /** Bounds of one answer; at least one object comes when there is one. */
  readonly objectsMax: number;
  readonly aliveBytesMax: number;
  /** For so long nobody else gets them. */
  readonly leaseMs: number;
}

/** An object into which nothing points any more. */
export interface DeadObject {
  readonly object: string;
  /**
   * Bytes that were committed into it; undefined where the store does not know, and for one that was handed out before:
   * it may be deleted already.
   */
  readonly bytes?: number | undefined;
}

/** A place in the feed of changes; opaque, made by the store. */
export type FeedPosition = string & { readonly __brand: "FeedPosition" };

/** What changed after a position, in the order of the commits. */
export interface ChangePage {
  /** Where to go on. */
  readonly position: FeedPosition;
  /** The store's time of this page, Unix milliseconds: whatever is committed after `position` is not older. */
  readonly nowMs: number;
  /** Changes after the given position are no longer known (too many, or the store was restarted): look everywhere. */
  readonly lost: boolean;
  /** Newly committed messages, each told once, ascending and without a gap within a subject unless `lost`. */
  readonly moved: readonly Moved[];
  /** Consumers whose leases may be free or due again (a nack, an acknowledgement), or that were deleted. */
  readonly consumers: readonly {
    readonly subject: Subject;
    readonly name: ConsumerName;
    readonly deleted: boolean;
  }[];
  /** Deletions: messages through a sequence are gone. */
  readonly purged: readonly { readonly subject: Subject; readonly through: Sequence }[];
}

/** How a node hears of what other nodes did. Hints: everything can be recovered from (epoch, sequence). */
export interface ChangeFeed {
  /** The position of now: every commit that was answered before the call lies at or before it. An empty page. */
  now(): Promise<ChangePage>;
  /**
   * What came after `after`, at once when there is something, else as soon as there is, at the latest after `waitMs`
   * with an empty page. One call that the store holds, not a timer.
   * @throws StreamError `unavailable`
   */
  next(after: FeedPosition, waitMs: number, signal?: AbortSignal): Promise<ChangePage>;
  /** Whether position `a` is at or after `b`; false for positions of two lives of the store. */
  reached(a: FeedPosition, b: FeedPosition): boolean;
}

/** How far behind a consumer is. */
export interface ConsumerBacklog {
  readonly subject: Subject;
  readonly name: ConsumerName;
  /** Stored and not settled, leased included. */
  readonly pending: number;
  /** Leased or nacked. */
  readonly ackPending: number;
}

/** Name of an application actor: a consumer name. */
export type ActorName = ConsumerName;

/** What the store knows of an application actor. */
export interface ActorRecord {
  readonly name: ActorName;
  /** Begins at 1; a rebuild makes it one more. Rows and positions of former generations are gone. */
  readonly generation: number;
  /** Made one more by every claim and every rebuild: a commit with an older one changes nothing. */
  readonly fence: number;
  /** How many commits there were: what makes a repeated one harmless. */
  readonly revision: number;
  /** Who has the lease; null when nobody does (released, or over). */
  readonly owner: string | null;
  /** How long the lease still holds, in milliseconds; 0 when nobody has it. */
  readonly leaseLeftMs: number;
  /** Opaque; null at the beginning of a generation. */
  readonly state: Uint8Array | null;
  /** Unix milliseconds of the store's clock; null when none is set. */
  readonly alarmAtMs: number | null;
  /** Failures since it was first claimed. */
  readonly restarts: number;
  /** What the last one said; null when there was none. */
  readonly lastError: string | null;
  /** Unix milliseconds of the last commit. */
  readonly updatedAtMs: number;
}

/** How far an actor is in one subject. */
export interface ActorPosition {
  readonly subject: Subject;
  /** Everything through it is in its state. */
  readonly through: Sequence;
  /** In a rebuild: what it published for messages through here, it published before. 0 in the first generation. */
  readonly effectsThrough: Sequence;
}

/** A row of an actor's own table. */
export interface ActorRow {
  /** 1 to 255 bytes of any UTF-8, ordered by bytes. */
  readonly key: string;
  readonly value: Uint8Array;
}

/** A moment in the life of an actor's rows, as only the store reads it. */
export type RowsMark = string & { readonly brand: "RowsMark" };

/** What became of an actor's rows after a mark. */
export interface RowChanges {
  /** Now: what is read later is not older. */
  readonly mark: RowsMark;
  /**
   * Rows as they are now, in no order, each once; null for those that are not there. Every row that has changed is among
   * them, and others may be. Undefined when that is not known (no mark, one of another life of the store, one too old, one
   * from before a reset), or when they are too many.
   */
  readonly rows: readonly { readonly key: string; readonly value: Uint8Array | null }[] | undefined;
}

/** What one step of an actor changes, all of it or nothing. */
export interface ActorCommit {
  readonly name: ActorName;
  readonly fence: number;
  /** `revision` of the record before this step. */
  readonly revision: number;
  /** Only those that moved. At most 10,000. */
  readonly positions: readonly { readonly subject: Subject; readonly through: Sequence }[];
  /** Undefined leaves it as it is. At most 1 MiB. */
  readonly state?: Uint8Array | undefined;
  /** Undefined leaves it as it is, null takes it away. */
  readonly alarmAtMs?: number | null | undefined;
  /** null deletes the row. At most 10,000, each value at most 64 KiB. */
  readonly rows: readonly { readonly key: string; readonly value: Uint8Array | null }[];
  /** As in `MetadataStore.commit`; duplicates are fine, any other refusal refuses the whole step. */
  readonly publishes: readonly CommitEntry[];
  /** Counts a restart and keeps why. At most 1 KiB of UTF-8. */
  readonly failure?: string | undefined;
  /** The lease holds so long from now. A commit without any change renews it (and counts as a revision all the same). */
  readonly leaseMs: number;
}

/** What became of a step. */
export type ActorCommitOutcome =
  /** Now, or before when this is a repetition (then the outcomes are empty). */
  | { readonly status: "committed"; readonly revision: number; readonly outcomes: readonly CommitOutcome[] }
  /** Somebody else owns it now, or it was rebuilt: claim it again. Nothing was changed. */
  | { readonly status: "fenced" }
  /** Some message could not be published (`subject_full`, `body_gone`, `wrong_last_sequence`). Nothing was changed. */
  | { readonly status: "refused"; readonly outcomes: readonly CommitOutcome[] };

/** What became of a claim. */
export type ActorClaim =
  | { readonly status: "claimed"; readonly record: ActorRecord }
  /** Somebody else has the lease, for so long. */
  | { readonly status: "held"; readonly owner: string; readonly leaseLeftMs: number };

/** Application actors: state, positions and what they publish, changed together. */
export interface ActorStore {
  /**
   * Takes the lease of an actor, which is made when it is unknown. The owner who has it already gets it again, with a new
   * fence.
   */
  claim(name: ActorName, owner: string, leaseMs: number): Promise<ActorClaim>;
  /**
   * Applies one step. The owner may go on after its lease is over while nobody else has claimed the actor, and not after it
   * gave it back. What does nothing but renew the lease need not survive a power cut.
   */
  commit(request: ActorCommit): Promise<ActorCommitOutcome>;
  /** Gives the lease back; nothing happens when the fence is an older one. */
  release(name: ActorName, fence: number): Promise<void>;
  /**
   * Begins a new generation: no state, no alarm, no rows, positions at 0 with `effectsThrough` where they were; nobody owns
   * it. Null when there is no such actor.
   */
  reset(name: ActorName): Promise<ActorRecord | null>;
  get(name: ActorName): Promise<ActorRecord | null>;
  /** In byte order of their names. */
  list(): Promise<readonly ActorRecord[]>;
  /** Positions of the present generation in byte order of the subjects, strictly after `after`; also those still at 0. */
  positions(name: ActorName, after: string | undefined, limit: number): Promise<readonly ActorPosition[]>;
  /** Rows with these keys, in the order asked; null for those that are not there. At most 10,000. */
  rows(name: ActorName, keys: readonly string[]): Promise<readonly (Uint8Array | null)[]>;
  /** Rows with `from` <= key < `to` (to the end when undefined), in byte order, at most `limit` (to 10,000). */
  range(
    name: ActorName,
    range: { readonly from: string; readonly to?: string | undefined; readonly limit: number },
  ): Promise<readonly ActorRow[]>;
  /**
   * How the rows have changed since a mark, all of one moment; at most `limit` of them (to 10,000). Rows that were read
   * after a mark, with what has changed since laid over them, are the rows of one moment.
   */
  rowChanges(name: ActorName, since: RowsMark | undefined, limit: number): Promise<RowChanges>;
}

/** Metadata, sequences, consumers and leases. */
export interface MetadataStore {
  /** Made when the store was created; another one means that sequences start anew. */
  readonly epoch: string;

  /** Application actors. What their steps publish is told like everything the store commits by itself (`onMoved`). */
  readonly actors: ActorStore;

  /** The feed of a store that several nodes share; undefined when this process is the only one that writes. */
  readonly changes?: ChangeFeed | undefined;

  /** What was found damaged when it was opened, a sentence each. */
  readonly warnings: readonly string[];

  /**
   * Commits messages over any number of subjects in one transaction: duplicates, expected last sequence, sequence,
   * envelope, heads. The outcome array has the entries' order. One entry's refusal does not touch the others.
   * An entry with `deliverAt` in the future is kept aside with its message id; a retry finds it by that.
   */
  commit(entries: readonly CommitEntry[]): Promise<readonly CommitOutcome[]>;

  /** Heads in the order asked; a subject that nobody published to is {1, 0}. */
  heads(subjects: readonly Subject[]): Promise<readonly Head[]>;

  /** Envelopes from `fromSequence` (inclusive) on; a `fromSequence` below the first starts at the first. */
  range(subject: Subject, fromSequence: Sequence, bounds: PageBounds): Promise<EnvelopePage>;

  /** The first stored sequence with a timestamp at or after `timestampMs`; last + 1 when there is none. */
  sequenceAt(subject: Subject, timestampMs: number): Promise<Sequence>;

  /** Subjects that were ever published to and match, in UTF-8 byte order, strictly after `after`. */
  subjects(query: {
    readonly filter: SubjectFilter;
    readonly after?: string | undefined;
    readonly limit: number;
  }): Promise<{ readonly subjects: readonly SubjectSummary[]; readonly hasMore: boolean }>;

  /** Null when nobody ever published to it. */
  subject(subject: Subject): Promise<SubjectDetails | null>;

  /**
   * Deletes every message up to and including `through` (beyond the end: all). Sequences go on where they were. For
   * `explicit` consumers what was deleted is settled.
   */
  purge(subject: Subject, through: Sequence): Promise<{ readonly deleted: number }>;

  /** Creates a consumer, or compares it with the one that is there. Allowed before the first publish. */
  putConsumer(
    subject: Subject,
    name: ConsumerName,
    config: ConsumerConfig,
  ): Promise<{ readonly status: "created" | "same" | "differs"; readonly state: ConsumerState }>;

  /** Null when there is none. */
  consumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null>;

  /** All consumers of a subject in byte order of their names. */
  consumers(subject: Subject): Promise<readonly ConsumerState[]>;

  /**
   * How far behind the consumers of all subjects are, in byte order of subject and name, strictly after one of them, at
   * most `limit` (to 1,000); for the metrics. It only looks: what has outlived its time, or used up its deliveries, may
   * still count.
   */
  consumerBacklogs(
    after: { readonly subject: Subject; readonly name: ConsumerName } | undefined,
    limit: number,
  ): Promise<readonly ConsumerBacklog[]>;

  /** The state it had, or null. */
  deleteConsumer(subject: Subject, name: ConsumerName): Promise<ConsumerState | null>;

  /**
   * Hands out messages under a consumer's name; with `create` an unknown consumer is made (`ack: all`, from the first
   * message), without it the call rejects with `consumer_not_found`.
   * `all`: from `acked_through` + 1. `explicit`: due redeliveries first (lowest sequence first), then new ones, each
   * leased for `ackWaitMs`, never more than `maxAckPending` leased and nacked at once; with `autoAck` nothing is
   * leased. A message whose `maxDeliver` deliveries are used up and whose lease has run out is settled.
   * Need not survive a power cut (the lease is then given again), must survive the death of the process.
   */
  pull(request: PullRequest): Promise<PulledPage>;

  /** What a pull would show, and nothing changes; an unknown consumer is not made. */
  peek(subject: Subject, consumer: ConsumerName, bounds: PageBounds): Promise<PulledPage>;

  /** Applies acknowledgements in order in one transaction. Backwards is `moved: false`; late ones count. */
  ack(requests: readonly AckRequest[]): Promise<readonly AckOutcome[]>;

  /** Applies nacks in order in one transaction. */
  nack(requests: readonly NackRequest[]): Promise<readonly NackOutcome[]>;

  /**
   * Commits what is due of the delayed messages, the earliest first, at most `limit` of them, as `commit` would do it
   * now; one that a policy has no room for waits on. Their time to live begins here. `nextInMs`: how long until more
   * is due (0: now), null when nothing waits.
   */
  commitDue(limit: number): Promise<{ readonly committed: number; readonly nextInMs: number | null }>;

  /**
   * Registers who is told of messages that the store committed by itself: delayed ones, dead letters, redriven ones, those
   * of actors.
   * A store with `changes` never calls it: its feed tells of them.
   */
  onMoved(listener: (moved: readonly Moved[]) => void): void;

  /**
   * How the recipients stand to one message; null beyond the last sequence, and for an unknown subject. What is not
   * stored any more is `released`; of its recipients only what their positions say is known.
   */
  receipts(subject: Subject, sequence: Sequence): Promise<Receipts | null>;

  /**
   * Commits dead letters of a consumer to its own subject again, the oldest first and without the dead letter headers,
   * and removes them from where they are, in one transaction; looks at the subject of dead letters from `from` on, at no
   * more than 1,000 messages. `next` is where to go on, undefined at the end.
   * @throws StreamError `consumer_not_found`, `no_dead_letters` when it names no subject for them
   */
  redrive(request: {
    readonly subject: Subject;
    readonly consumer: ConsumerName;
    readonly from: Sequence;
    readonly limit: number;
  }): Promise<{ readonly redriven: number; readonly next: Sequence | undefined }>;

  /**
   * Hands out objects that are worth rewriting, each to one caller at a time. None of which a delayed message points
   * into, and none with a body whose length or checksum is not known.
   */
  takeSparse(request: SparseRequest): Promise<readonly SparseObject[]>;

  /**
   * Lets every stored message that points at `from` (object and offset) point at `to` instead, which holds the same
   * bytes; at most 10,000 at once, one transaction. A source with nothing left in it is dead then, and so is a target
   * that nothing came to point into (its messages were deleted meanwhile). Answers how many messages were moved.
   * `to.object` that is being deleted (see `takeDead`) moves nothing. `lingerMs` (default 0): to `takeDead` such a source
   * is as if its end had come so much later, because pointers into it are still about.
   */
  moveBodies(moves: readonly { readonly from: BodyRef; readonly to: BodyRef }[], lingerMs?: number): Promise<number>;

  /**
   * Sets the policy of a filter; it holds for what is stored already, too: age at once, messages and bytes at the next
   * commit to the subject or `expire`, until which reads may show more. `discard: new` refuses and deletes nothing but
   * what is too old. At most 1,000 policies.
   * @throws StreamError `too_many_policies`
   */
  putPolicy(filter: SubjectFilter, policy: RetentionPolicy): Promise<"created" | "same" | "replaced">;

  /** The policy it had, or null. */
  deletePolicy(filter: SubjectFilter): Promise<RetentionPolicy | null>;

  /** All policies in byte order of their filters. */
  policies(): Promise<readonly FilterPolicy[]>;

  /**
   * Deletes what policies and times to live no longer keep, in the subjects after `after` (byte order), looking at no
   * more than `limit` subjects. Never changes what a read shows of age and times to live: what is expired is not shown
   * before either. Releases what all recipients have acknowledged where an acknowledgement alone did not (a policy or a
   * recipient changed, a recipient timed out), and settles what has used up its deliveries.
   * `next` is where to go on; undefined when that was the last subject.
   */
  expire(
    after: string | undefined,
    limit: number,
  ): Promise<{ readonly expired: number; readonly next: string | undefined }>;

  /**
   * Hands out objects that nothing points into since `minAgeMs` or longer, the oldest first (those whose lease ran out
   * may come after the others), each to one caller at a time for `leaseMs`. An object that is handed out takes no new
   * message any more (`body_gone`); one that is not is alive again as soon as a message points into it.
   */
  takeDead(request: {
    readonly limit: number;
    readonly minAgeMs: number;
    readonly leaseMs: number;
  }): Promise<readonly DeadObject[]>;

  /** Nobody gets these objects for so long from now on, which `takeDead` handed out and which are deleted now. */
  holdDead(objects: readonly string[], leaseMs: number): Promise<void>;

  /** Forgets objects that `takeDead` handed out and that are deleted now. */
  forgetDead(objects: readonly string[]): Promise<void>;

  /** How many objects wait for their deletion, handed out or not. */
  countDead(): Promise<number>;

  /**
   * Takes objects that nothing points into and that are not known (orphans) among the dead; answers how many that
   * were. What is referred to, or dead already, stays as it is. At most 10,000 at once.
   */
  condemn(objects: readonly string[]): Promise<number>;

  /** For each object of the body store, whether any stored message points into it. At most 10,000 at once. */
  referenced(objects: readonly string[]): Promise<readonly boolean[]>;

  /**
   * Delayed messages that wait, in an order of the store's own, strictly after one of them; for the doctor. Undefined
   * for a store that cannot tell.
   */
  delayed?(after: string | undefined, limit: number): Promise<readonly DelayedMessage[]>;

  /**
   * What does not agree among the sums and marks that the store keeps beside its messages, a sentence each; for the
   * doctor, as it may read everything. Undefined for a store that cannot tell.
   */
  audit?(): Promise<readonly string[]>;

  /** Resolves when the store answers; rejects with the reason when it does not. */
  ready(): Promise<void>;

  /** Finishes what is under way and lets go of files and sockets. */
  close(): Promise<void>;
}
