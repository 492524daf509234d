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
  Receipts,
  ScheduledReceipt,
  SubjectDetails,
  SubjectSummary,
} from "../core/message.ts";
import { isScheduled } from "../core/message.ts";
import { asBuffer, base64, hex } from "./bytes.ts";
import { pointerView } from "./pointer.ts";

export { base64, hex } from "./bytes.ts";

/** A map that is ready for JSON or msgpack. */
export type View = Record<string, unknown>;

/** How a message is shown. */
export interface MessageViewOptions {
  /** True for msgpack: `data` as bytes. False for JSON: `data` when the body is UTF-8 text, else `data_base64`. */
  readonly binary: boolean;
  /** Adds `deliveries`, for what came under a consumer's name. */
  readonly deliveries?: boolean;
}

/** A message with its body, or with the pointer to it. */
export const messageView = (delivery: Delivery, options: MessageViewOptions): View => {
  const { body, pointer } = delivery;
  const view: View = {
    subject: delivery.subject,
    sequence: delivery.sequence,
    timestamp: delivery.timestampMs,
    headers: delivery.headers,
    size: pointer === undefined ? body.length : pointer.size,
    sha256: hex(delivery.sha256),
  };
  if (delivery.expiresAtMs !== undefined) view["expires_at"] = delivery.expiresAtMs;
  if (pointer !== undefined) view["pointer"] = pointerView(pointer);
  else if (options.binary) view["data"] = body;
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
  ...(envelope.expiresAtMs === undefined ? {} : { expires_at: envelope.expiresAtMs }),
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
  ...(state.deadLetter === undefined ? {} : { dead_letter: state.deadLetter }),
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

/** The answer to a publish, committed or scheduled. */
export const receiptView = (receipt: Receipt | ScheduledReceipt): View =>
  isScheduled(receipt)
    ? {
        subject: receipt.subject,
        scheduled_id: receipt.scheduleId,
        deliver_at: receipt.dueAtMs,
        duplicate: receipt.duplicate,
      }
    : {
        subject: receipt.subject,
        sequence: receipt.sequence,
        timestamp: receipt.timestampMs,
        duplicate: receipt.duplicate,
      };

/** Who has acknowledged a message and who has not. */
export const receiptsView = (receipts: Receipts): View => ({
  subject: receipts.subject,
  sequence: receipts.sequence,
  released: receipts.released,
  recipients_total: receipts.recipientsTotal,
  acked: receipts.acked,
  recipients: receipts.recipients.map(({ name, status }) => ({ name, status })),
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
