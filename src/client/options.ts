/**
 * What callers may say, with units, defaults and bounds.
 * @module
 */
import type { Environment, FetchLike, WebSocketConstructor } from "./environment.ts";
import type { EpochChangedError, MtsError } from "./errors.ts";

/** What the connection does, for `onStatus`. */
export type Status =
  | { readonly state: "connected"; readonly epoch: string; readonly version: string; readonly node: string }
  /** `code` as the WebSocket gave it; 1006 when there was none. */
  | { readonly state: "disconnected"; readonly code: number; readonly reason: string }
  /** `attempt` counts from 1; the next one begins after `delayMs`. `error` is what `token` threw. */
  | { readonly state: "reconnecting"; readonly attempt: number; readonly delayMs: number; readonly error?: unknown }
  /** The server has another store than before. Subscriptions are told by themselves. */
  | { readonly state: "epoch_changed"; readonly error: EpochChangedError }
  /** The end: `close()`, or a server that does not want this client (then with the error). */
  | { readonly state: "closed"; readonly error?: MtsError | undefined };

/** For `connect`. */
export interface ConnectOptions {
  /**
   * Says who calls, where the server asks for it. A function is asked for every connection, and again when the server
   * says that the token has expired: subscriptions go on with the new one. When it throws, connecting is tried again.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** Needed where there is no global one (Node before 22), e.g. of the `ws` package. */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** In place of the global `fetch`; used to list subjects and to look after consumers. */
  readonly fetch?: FetchLike | undefined;
  /** Called whenever the connection changes. */
  readonly onStatus?: ((status: Status) => void) | undefined;
  /** Give every publish an id of its own, so that it can be repeated without being stored twice; default true. */
  readonly messageIds?: boolean | undefined;
  /** Publishes sent and not answered, in messages; default 4096. Further ones wait. */
  readonly inFlightMax?: number | undefined;
  /** The same in bytes; default 16 MiB. A single larger message goes alone. */
  readonly inFlightBytesMax?: number | undefined;
  /** Publishes that are not answered, sent or not, in messages; default 65,536. Further ones fail: `overloaded`. */
  readonly queuedMax?: number | undefined;
  /** The same in bytes; default 128 MiB. */
  readonly queuedBytesMax?: number | undefined;
  /** For calls that do not say: how long one may take, reconnecting included; default 30,000. `Infinity` = for ever. */
  readonly timeoutMs?: number | undefined;
  /** Pause before the first attempt to reconnect, doubled with each one, half of it by chance; default 100. */
  readonly backoffMsMin?: number | undefined;
  /** Longest pause; default 10,000. */
  readonly backoffMsMax?: number | undefined;
  /** How long connecting may take; default 10,000. */
  readonly connectMsMax?: number | undefined;
  /** Silence after which a ping is sent; two in a row without an answer end the connection. Default: as the server says. */
  readonly heartbeatMs?: number | undefined;
  /** Time and randomness, for tests. */
  readonly environment?: Partial<Environment> | undefined;
}

/** Ends a call early. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** In milliseconds, in place of the client's. */
  readonly timeoutMs?: number | undefined;
}

/**
 * A message's content. Bytes are sent as they are and must not change until the publish settles; a string as UTF-8; a
 * plain object, an array, a number, a boolean, null or a `Date` as JSON, with the header `content-type:
 * application/json` unless there is one.
 */
export type Body = string | ArrayBuffer | ArrayBufferView | object | number | boolean | null;

/** What may be said with a message. */
export interface DraftOptions {
  /**
   * 1–128 bytes. A second publish under it, within the server's window, answers the first one's sequence. Given by
   * the SDK when it is not given here (unless `messageIds` is off).
   */
  readonly messageId?: string | undefined;
  /** Store it only when this is the subject's last sequence, else `wrong_last_sequence` with `fields.last_sequence`. */
  readonly expectedLast?: number | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** It is gone so long after its timestamp, whatever the subject's policy; at least 1. */
  readonly ttlMs?: number | undefined;
}

/** Store it now and commit it later, in one of two ways; never together with `expectedLast`. What is past is now. */
export interface Delay {
  /** So long from now; up to a year. */
  readonly delayMs?: number | undefined;
  /** At this time: a `Date`, Unix milliseconds, or an RFC 3339 time. */
  readonly deliverAt?: number | Date | string | undefined;
}

/** For `publish`. */
export interface PublishOptions extends DraftOptions, CallOptions {}

/** For a `publish` that may be committed later. */
export interface DelayedPublishOptions extends PublishOptions, Delay {}

/** A message of `publishBatch`. */
export interface BatchMessage extends DraftOptions {
  readonly subject: string;
  readonly body: Body;
}

/** A message of `publishBatch` that may be committed later. */
export interface DelayedBatchMessage extends BatchMessage, Delay {}

/** The answer to a publish. */
export interface Receipt {
  readonly subject: string;
  readonly sequence: number;
  /** Unix milliseconds, given by the server. */
  readonly timestamp: number;
  /** The `messageId` that you gave was there already; `sequence` is the first one's. */
  readonly duplicate: boolean;
}

/** The answer to a publish that is stored and will be committed later. */
export interface ScheduledReceipt {
  readonly subject: string;
  /** Opaque. */
  readonly scheduledId: string;
  /** Unix milliseconds. */
  readonly deliverAt: number;
  /** The `messageId` that you gave was there already. */
  readonly duplicate: boolean;
}

/**
 * Bodies as they were published (`body`, the default), without the codings that the header `content-encoding` names
 * (`decoded`), or pointers to fetch them with (`pointer`).
 */
export type DeliverAs = "body" | "decoded" | "pointer";

/** Where the bytes of a body are: GET `url` with `headers`. See the HTTP contract for what is in it. */
export interface BodyPointer {
  readonly format: string;
  readonly bucket: string;
  readonly key: string;
  readonly offset: number;
  /** Bytes that the address gives. */
  readonly length: number;
  /** Of the body as it was published, in hex. */
  readonly sha256: string;
  /** Length of the body as it was published. */
  readonly size: number;
  /** What the bytes are coded with, the last coding last. */
  readonly contentEncoding: string | null;
  /** Signed; a path alone when it is the server's own: `new URL(url, server)` leads to it in any case. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Unix milliseconds until which the address works. */
  readonly expiresAt: number;
}

/** A sequence, `first`, `new`, `last`, an age such as `10m`, a `Date`, or an RFC 3339 time. */
export type From = number | Date | "first" | "new" | "last" | (string & Record<never, never>);

/** What a subscription does when the server has another store. */
export type OnEpochChange = "throw" | "restart";

/** For `subscribe`. */
export interface SubscribeOptions {
  /** Where each subject starts; default `new`. Not looked at with a consumer. */
  readonly from?: From | undefined;
  /** Resumes after what this consumer has acknowledged; needs a filter without wildcards. */
  readonly consumer?: string | undefined;
  /**
   * Messages on their way or waiting here; at least 1, default 4096, with a consumer 256 (each may be a lease whose
   * time runs). Fewer when they are large (64 MiB in all).
   */
  readonly credit?: number | undefined;
  readonly deliver?: DeliverAs | undefined;
  /** Ends it after so many messages were taken. */
  readonly limit?: number | undefined;
  /** `throw` (default): the iterator throws `EpochChangedError`. `restart`: it goes on from the first message. */
  readonly onEpochChange?: OnEpochChange | undefined;
  /**
   * Called for a stored message that the server cannot read (`data_loss`, with `fields.subject` and
   * `fields.sequence`); the subscription goes on behind it. It may be called again after a reconnect. Without it the
   * iterator throws the error.
   */
  readonly onDamaged?: ((error: MtsError) => void) | undefined;
  /** Ends the subscription; the iterator throws `aborted`. */
  readonly signal?: AbortSignal | undefined;
}

/** For `notify`. */
export interface NotifyOptions {
  /** Default `new`. With an earlier start there is one notification for every subject that has messages since. */
  readonly from?: From | undefined;
  readonly onEpochChange?: OnEpochChange | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A subject moved. */
export interface Notification {
  readonly subject: string;
  /** Its latest sequence. */
  readonly sequence: number;
}

/** For `fetch`. */
export interface FetchOptions extends CallOptions {
  readonly subject: string;
  /** Fetch under this name; it is made when it is not there. */
  readonly consumer?: string | undefined;
  /** Where to begin without a consumer; default `first`. */
  readonly from?: From | undefined;
  readonly deliver?: DeliverAs | undefined;
  /** 1–10,000, default 100. */
  readonly limit?: number | undefined;
  /** Sum of the bodies; at most 8 MiB, at least one message always comes. */
  readonly maxBytes?: number | undefined;
  /** How long the server waits when there is nothing; to 60,000, default 0. */
  readonly waitMs?: number | undefined;
  /** Acknowledge what is answered at once: at most once. Not repeated by itself when the connection breaks. */
  readonly autoAck?: boolean | undefined;
}

/** How a consumer is made; see the HTTP contract. */
export interface ConsumerOptions {
  /** Default `first`. */
  readonly start?: number | Date | "first" | "new" | (string & Record<never, never>) | undefined;
  /** `all` (default): an acknowledgement counts for everything before it. `explicit`: message by message, leased. */
  readonly ack?: "all" | "explicit" | undefined;
  /** Length of a lease; default 30,000. */
  readonly ackWaitMs?: number | undefined;
  /** Deliveries after which a message is given up; default 0, no limit. */
  readonly maxDeliver?: number | undefined;
  /** Where messages go then; needs `explicit` and `maxDeliver`. */
  readonly deadLetter?: string | undefined;
  /** Leased messages at once; default 1000. */
  readonly maxAckPending?: number | undefined;
}
