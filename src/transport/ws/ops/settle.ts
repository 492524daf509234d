/**
 * `ack` and `nack`. Without an `id` only errors are answered.
 * @module
 */
import { parseNackError } from "../../../codec/deliver.ts";
import { ackWaitMsMax, batchMessagesMax, sequenceMax } from "../../../core/limits.ts";
import type { Sequence } from "../../../core/message.ts";
import { parseConsumerName, parseSubject } from "../../../core/subject.ts";
import type { Connection } from "../connection.ts";
import { arrayField, asInteger, type Frame, integerField, invalidParameter } from "../frames.ts";

type Settled = { readonly through: Sequence } | { readonly sequences: readonly Sequence[] };

/** Either `sequence` or `sequences`. */
const parseSettled = (frame: Frame): Settled => {
  const { sequence, sequences } = frame.fields;
  if ((sequence === undefined) === (sequences === undefined)) {
    throw invalidParameter("sequence", `${frame.op} has either sequence or sequences.`);
  }
  if (sequences === undefined) return { through: integerField(frame, "sequence", 0, sequenceMax) };
  const list = arrayField(frame, "sequences");
  if (list.length === 0 || list.length > batchMessagesMax) {
    throw invalidParameter("sequences", `sequences has 1 to ${batchMessagesMax} items.`);
  }
  return { sequences: list.map((item) => asInteger("sequences", item, 1, sequenceMax)) };
};

export const ack = (connection: Connection, frame: Frame, bytes: number): void => {
  const subject = parseSubject(frame.fields["subject"]);
  const consumer = parseConsumerName(frame.fields["consumer"]);
  const settled = parseSettled(frame);
  connection.run(frame.id, bytes, async () => {
    const { ackedThrough, moved } = await connection.broker.ack(subject, consumer, settled);
    if (frame.id !== undefined) connection.reply("acked", frame.id, { acked_through: ackedThrough, moved });
  });
};

export const nack = (connection: Connection, frame: Frame, bytes: number): void => {
  const subject = parseSubject(frame.fields["subject"]);
  const consumer = parseConsumerName(frame.fields["consumer"]);
  const settled = parseSettled(frame);
  // There is no "through" for a nack: `sequence` is a list of one.
  const sequences = "through" in settled ? [settled.through] : settled.sequences;
  const delayMs = integerField(frame, "delay_ms", 0, ackWaitMsMax, 0);
  const error = parseNackError(frame.fields["error"]);
  connection.run(frame.id, bytes, async () => {
    const { redeliver } = await connection.broker.nack(subject, consumer, sequences, delayMs, error);
    if (frame.id !== undefined) connection.reply("nacked", frame.id, { redeliver });
  });
};
