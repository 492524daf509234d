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
  /** Length of the body in bytes. */
  readonly length: number;
  /** SHA-256 of the body, 32 bytes. */
  readonly sha256: Uint8Array;
}

/** A message on its way in. `body` is bytes, or the reference of a large body that is already durable. */
export interface Draft {
  readonly subject: Subject;
  readonly headers: Headers;
  readonly body: Uint8Array | BodyRef;
  /** `message_id` or `Idempotency-Key`. */
  readonly messageId?: string | undefined;
  /** Commit only when the subject's last sequence is this one. */
  readonly expectedLastSequence?: Sequence | undefined;
}

/** The answer to a publish that was committed now, or (`duplicate`) earlier under the same message id. */
export interface Receipt {
  readonly subject: Subject;
  readonly sequence: Sequence;
  /** Unix milliseconds, given at commit, never decreasing within a subject. */
  readonly timestampMs: number;
  readonly duplicate: boolean;
}

/** Outcome of one draft in a batch. */
export type PublishOutcome = Receipt | StreamError;

/** A message at rest: everything but the bytes. */
export interface Envelope {
  readonly subject: Subject;
  readonly sequence: Sequence;
  readonly timestampMs: number;
  readonly headers: Headers;
  readonly body: BodyRef;
}

/** A message with its bytes, verified against `sha256`. */
export interface Message {
  readonly subject: Subject;
  readonly sequence: Sequence;
  readonly timestampMs: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly sha256: Uint8Array;
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
}
