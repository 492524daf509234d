/**
 * Every fixed limit of the stream in one place, each with its reason. What an operator may change lives in
 * `config.ts`; what is here is part of the contract on the wire or protects the process.
 * @module
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Largest sequence: JSON numbers stay exact up to here. */
export const sequenceMax = Number.MAX_SAFE_INTEGER;

/** A subject, and a consumer name, in UTF-8 bytes. */
export const subjectBytesMax = 255;
/** Tokens of a subject or a filter. */
export const subjectTokensMax = 16;
/** A consumer name in UTF-8 bytes. */
export const consumerNameBytesMax = 255;
/** `message_id` and `Idempotency-Key` in UTF-8 bytes. */
export const messageIdBytesMax = 128;

/** Headers of one message: names and values together in UTF-8 bytes. They travel in metadata, not in bodies. */
export const headersBytesMax = 64 * KiB;
/** Headers of one message: how many. */
export const headersCountMax = 1000;

/** Messages in one batch publish. */
export const batchMessagesMax = 10_000;
/** Messages in one page, and subjects in one listing. */
export const pageMessagesMax = 10_000;
/** Messages in one page when the caller does not say. */
export const pageMessagesDefault = 100;
/** Bodies in one page; a single larger message still comes alone. */
export const pageBodyBytesMax = 8 * MiB;
/**
 * A publish is answered within this time of its arrival, in milliseconds: long enough for two calls of a store that ran
 * out of their own 8 seconds, short enough for clients that wait 30.
 */
export const publishMsMax = 20_000;
/** The slowest line to a body store that is served, 2 MiB a second: what large bodies add to the deadlines. */
export const paceBytesPerMs = 2 * KiB;
/** Longest long poll, in milliseconds. */
export const waitMsMax = 60_000;

/** A body of this size or more is stored as an object of its own and streamed, never packed into a segment. */
export const largeBodyBytesMin = 256 * KiB;

/** Frame limit above the base64 size of the largest body: room for subject, headers and the map around them. */
export const frameOverheadBytes = 1 * MiB;

/** Largest WebSocket frame, in bytes, for a server whose largest body is `bodyBytesMax`. */
export const frameBytesMax = (bodyBytesMax: number): number => Math.ceil((bodyBytesMax * 4) / 3) + frameOverheadBytes;

/** Unsent bytes on a WebSocket at which pushes pause. */
export const pushPauseBytes = 1 * MiB;
/** Unsent bytes above `frameBytesMax` at which the connection is closed as too slow. */
export const outboxExtraBytesMax = 16 * MiB;

/** Credit of a subscription when the caller does not say. */
export const creditDefault = 1024;

/** Consumer defaults, as in the contract. */
export const ackWaitMsDefault = 30_000;
/** How many leased or nacked messages a consumer may have at once when it does not say. */
export const ackPendingDefault = 1000;
/** Longest lease and longest nack delay: a day. */
export const ackWaitMsMax = 24 * 60 * 60 * 1000;

/** Retention policies of one store: few enough to list in one answer. */
export const policiesMax = 1000;
/** Named recipients of one policy. */
export const recipientsMax = 100;
/** Longest time to live of a message: a hundred years; its end stays an exact integer. */
export const ttlMsMax = 100 * 366 * 24 * 60 * 60 * 1000;
/** Longest delay of a publish: a year. */
export const delayMsMax = 366 * 24 * 60 * 60 * 1000;
/** What a nack says of its reason, in UTF-8 bytes. */
export const nackErrorBytesMax = 1024;
/** Messages that one redrive sends back, and how many when the caller does not say. */
export const redriveMax = 10_000;
export const redriveDefault = 1000;
/** Longest token in bytes: what fits the headers of a request several times over, and is read in no time. */
export const tokenBytesMax = 8 * KiB;
/** `client_id` of a token in characters: it goes into every line of the audit log. */
export const clientIdCharsMax = 255;
