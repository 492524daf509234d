/**
 * What a message is on its way in, at rest, and on its way out. Shapes only.
 * @module
 */
import type { StreamError } from "./errors.ts";
import type { ConsumerName, Subject } from "./subject.ts";

/** 1, 2, 3 … per subject; at most 2^53-1. 0 means "before the first". */
export type Sequence = number;

/** String to string, kept as given. */
export type Headers = Readonly<Record<string, string>>;

/** Where the bytes of a body are: a range of an object of the body store. A body of length 0 has object "". */
export interface BodyRef {
  /** Name of the object in the body store. */
  readonly object: string;
  /** First byte of the body in the object. */
  readonly offset: number;
  /** Length of the body in bytes, as it was published. */
  readonly length: number;
  /** SHA-256 of the body as it was published, 32 bytes. */
  readonly sha256: Uint8Array;
  /** Bytes that the body takes in the object when it is compressed there (zstd); undefined when it lies there as it is. */
  readonly storedLength?: number | undefined;
}

/** A message on its way in. `body` is bytes, or the reference of a large body that is already durable. */
export interface Draft {
  readonly subject: Subject;
  readonly headers: Headers;
  readonly body: Uint8Array | BodyRef;
  /** `message_id` or `Idempotency-Key`. */
  readonly messageId?: string | undefined;
  /** Commit only when the subject's last sequence is this one. Never together with `deliverAt`. */
  readonly expectedLastSequence?: Sequence | undefined;
  /** The message is gone so many milliseconds after its timestamp, whatever the policy; at least 1. */
  readonly ttlMs?: number | undefined;
  /** Commit it later. */
  readonly deliverAt?: DeliverAt | undefined;
}

/** When a delayed message is committed: so long from now, or at a time (Unix milliseconds); what is past is now. */
export type DeliverAt = { readonly inMs: number } | { readonly atMs: number };

/** The answer to a publish that was committed now, or (`duplicate`) earlier under the same message id. */
export interface Receipt {
  readonly subject: Subject;
  readonly sequence: Sequence;
  /** Unix milliseconds, given at commit, never decreasing within a subject. */
  readonly timestampMs: number;
  readonly duplicate: boolean;
}

/** The answer to a publish that is stored and will be committed later. */
export interface ScheduledReceipt {
  readonly subject: Subject;
  /** Opaque. */
  readonly scheduleId: string;
  /** Unix milliseconds. */
  readonly dueAtMs: number;
  /** It was scheduled before under the same message id. */
  readonly duplicate: boolean;
}

/** Outcome of one draft in a batch. */
export type PublishOutcome = Receipt | ScheduledReceipt | StreamError;

/** Whether a publish was accepted for later. */
export const isScheduled = (outcome: Receipt | ScheduledReceipt): outcome is ScheduledReceipt =>
  "scheduleId" in outcome;

/** A message at rest: everything but the bytes. */
export interface Envelope {
  readonly subject: Subject;
  readonly sequence: Sequence;
  readonly timestampMs: number;
  readonly headers: Headers;
  readonly body: BodyRef;
  /** Unix milliseconds from which on it is gone, when it has a time to live of its own. */
  readonly expiresAtMs?: number | undefined;
}

/** A message with its bytes, verified against `sha256`. */
export interface Message {
  readonly subject: Subject;
  readonly sequence: Sequence;
  readonly timestampMs: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly sha256: Uint8Array;
  /** See `Envelope.expiresAtMs`. */
  readonly expiresAtMs?: number | undefined;
}

/** The ends of a subject. Empty and never published: first 1, last 0. Emptied: first = last + 1. */
export interface Head {
  readonly firstSequence: Sequence;
  readonly lastSequence: Sequence;
}

/** A row of the subject listing. */
export interface SubjectSummary extends Head {
  readonly subject: Subject;
  /** Messages stored now. */
  readonly messages: number;
  /** Bytes of their bodies. */
  readonly bytes: number;
}

/** All that is known of one subject. */
export interface SubjectDetails extends SubjectSummary {
  /** Unix milliseconds of the first publish. */
  readonly createdAtMs: number;
  readonly lastPublishedAtMs: number;
  /** How many consumers it has. */
  readonly consumers: number;
}

/** How a consumer acknowledges: everything through a sequence, or message by message under a lease. */
export type AckMode = "all" | "explicit";

/** Where a new consumer starts, resolved to a sequence by the store in the transaction that creates it. */
export type ConsumerStart =
  | { readonly kind: "first" }
  | { readonly kind: "new" }
  | { readonly kind: "sequence"; readonly sequence: Sequence }
  | { readonly kind: "time"; readonly timestampMs: number };

/** Configuration of a consumer; two are the same when every field is. */
export interface ConsumerConfig {
  readonly start: ConsumerStart;
  readonly ack: AckMode;
  /** Lease time in milliseconds. */
  readonly ackWaitMs: number;
  /** Deliveries after which a message counts as settled; 0 = no limit. */
  readonly maxDeliver: number;
  /** Leased and nacked messages at once. */
  readonly maxAckPending: number;
  /** Where messages go whose deliveries are used up; explicit consumers with `maxDeliver` only, never the own subject. */
  readonly deadLetter?: Subject | undefined;
}

/** State of a consumer as the contract shows it. */
export interface ConsumerState {
  readonly name: ConsumerName;
  readonly subject: Subject;
  readonly ack: AckMode;
  readonly ackedThrough: Sequence;
  readonly deliveredThrough: Sequence;
  /** Stored and not settled, leased included. */
  readonly pending: number;
  /** Leased or nacked. */
  readonly ackPending: number;
  /** Of those, how many were delivered more than once. */
  readonly redelivered: number;
  readonly createdAtMs: number;
  readonly deadLetter?: Subject | undefined;
}

/**
 * How a recipient stands to one message. `acked`: it has acknowledged it (or given it up after its last delivery).
 * `pending`: it has not. `absent`: a policy names it and there is no such consumer; it owes the acknowledgement.
 * `timed_out`: pending or absent, and by the policy's `recipientTimeoutMs` not waited for any more. `exempt`: it began
 * behind this message, which is not owed to it.
 */
export type RecipientStatus = "acked" | "pending" | "absent" | "timed_out" | "exempt";

/** Who has acknowledged one message and who has not. */
export interface Receipts {
  readonly subject: Subject;
  readonly sequence: Sequence;
  /** The message is not stored any more: acknowledged by all, expired or deleted. */
  readonly released: boolean;
  /** How many acknowledgements release it: the policy's, or (`retain: limits`) one of each consumer that is not exempt. */
  readonly recipientsTotal: number;
  /** How many have acknowledged it. */
  readonly acked: number;
  /** In byte order of the names: the policy's names, else all consumers of the subject. */
  readonly recipients: readonly { readonly name: ConsumerName; readonly status: RecipientStatus }[];
}

/** Headers of a dead letter, beside those of the message that it was. */
export const deadLetterHeaders = {
  /** Why it is here: `max_deliver`. */
  reason: "dead-letter-reason",
  /** The consumer that gave it up. */
  consumer: "dead-letter-consumer",
  /** Where it was: subject, sequence, and timestamp in Unix milliseconds. */
  subject: "dead-letter-subject",
  sequence: "dead-letter-sequence",
  timestamp: "dead-letter-timestamp",
  /** How often it was delivered. */
  deliveries: "dead-letter-deliveries",
  /** What the last nack said of it; left out when none said anything. */
  error: "dead-letter-error",
} as const;
