/**
 * What leaves the server, as plain maps with the field names of the contract (snake_case); the transports only choose
 * between JSON and msgpack.
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { Delivery } from "../broker/contract.ts";
import { StreamError } from "../core/errors.ts";
import type {
  ConsumerState,
  Envelope,
  PublishOutcome,
  Receipt,
  SubjectDetails,
  SubjectSummary,
} from "../core/message.ts";

/** A map that is ready for JSON or msgpack. */
export type View = Record<string, unknown>;

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Lower-case hex of a checksum. */
export const hex = (bytes: Uint8Array): string => asBuffer(bytes).toString("hex");

/** Standard base64 with padding. */
export const base64 = (bytes: Uint8Array): string => asBuffer(bytes).toString("base64");

/** How a message is shown. */
export interface MessageViewOptions {
  /** True for msgpack: `data` as bytes. False for JSON: `data` when the body is UTF-8 text, else `data_base64`. */
  readonly binary: boolean;
  /** Adds `deliveries`, for what came under a consumer's name. */
  readonly deliveries?: boolean;
}

/** A message with its body. */
export const messageView = (delivery: Delivery, options: MessageViewOptions): View => {
  const { body } = delivery;
  const view: View = {
    subject: delivery.subject,
    sequence: delivery.sequence,
    timestamp: delivery.timestampMs,
    headers: delivery.headers,
    size: body.length,
    sha256: hex(delivery.sha256),
  };
  if (options.binary) view["data"] = body;
  // Buffer's decoder keeps a BOM, a TextDecoder would not: the text must be the body byte for byte.
  else if (isUtf8(body)) view["data"] = asBuffer(body).toString("utf8");
  else view["data_base64"] = base64(body);
  if (options.deliveries === true) view["deliveries"] = delivery.deliveries;
  return view;
};

/** A message without its body. */
export const envelopeView = (envelope: Envelope): View => ({
  subject: envelope.subject,
  sequence: envelope.sequence,
  timestamp: envelope.timestampMs,
  headers: envelope.headers,
  size: envelope.body.length,
  sha256: hex(envelope.body.sha256),
});

/** The state of a consumer. */
export const consumerView = (state: ConsumerState): View => ({
  name: state.name,
  subject: state.subject,
  ack: state.ack,
  acked_through: state.ackedThrough,
  delivered_through: state.deliveredThrough,
  pending: state.pending,
  ack_pending: state.ackPending,
  redelivered: state.redelivered,
  created_at: state.createdAtMs,
});

/** A row of the subject listing. */
export const subjectView = (summary: SubjectSummary): View => ({
  subject: summary.subject,
  first_sequence: summary.firstSequence,
  last_sequence: summary.lastSequence,
  messages: summary.messages,
  bytes: summary.bytes,
});

/** All that is known of a subject. */
export const subjectDetailsView = (details: SubjectDetails, epoch: string): View => ({
  subject: details.subject,
  epoch,
  first_sequence: details.firstSequence,
  last_sequence: details.lastSequence,
  messages: details.messages,
  bytes: details.bytes,
  created_at: details.createdAtMs,
  last_published_at: details.lastPublishedAtMs,
  consumers: details.consumers,
});

/** The answer to a publish. */
export const receiptView = (receipt: Receipt): View => ({
  subject: receipt.subject,
  sequence: receipt.sequence,
  timestamp: receipt.timestampMs,
  duplicate: receipt.duplicate,
});

/** An error inside an answer; its cause stays in the server. */
export const errorView = (error: StreamError): View => ({
  ...error.fields,
  code: error.code,
  detail: error.message,
  retryable: error.retryable,
});

/** One result of a batch: the receipt, or `{error}`. */
export const outcomeView = (outcome: PublishOutcome): View =>
  outcome instanceof StreamError ? { error: errorView(outcome) } : receiptView(outcome);
