/**
 * Bounds of the consumer paths; the bodies here are small maps.
 * @module
 */

/** Largest request body in bytes: room for an ack of `sequencesMax` sequences. */
export const consumerBodyBytesMax = 1024 * 1024;
/** Sequences in one ack or nack. */
export const sequencesMax = 10_000;
/** Largest `max_ack_pending`: leases are rows of the store. */
export const ackPendingMax = 1_000_000;
/** Largest `max_deliver`. */
export const deliverMax = 1_000_000;
