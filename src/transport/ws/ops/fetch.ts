/**
 * `fetch`: a page of messages, under a consumer's name or without one. A fetch that waits holds up nothing.
 * @module
 */
import { parseDeliver } from "../../../codec/deliver.ts";
import {
  pageBodyBytesMax,
  pageMessagesDefault,
  pageMessagesMax,
  sequenceMax,
  waitMsMax,
} from "../../../core/limits.ts";
import { parseStartPosition } from "../../../core/start.ts";
import { parseConsumerName, parseSubject } from "../../../core/subject.ts";
import type { Connection } from "../connection.ts";
import { booleanField, type Frame, integerField, requiredId } from "../frames.ts";
import { messageBytes } from "../outbox.ts";

/** What of `max_frame_bytes` bodies may take: base64 makes four bytes of three, and headers need room. */
const bodyShareMax = 0.5;

export const fetch = (connection: Connection, frame: Frame, bytes: number): void => {
  const { broker } = connection;
  const { limits } = connection.context;
  const id = requiredId(frame);
  const { from, consumer } = frame.fields;
  const subject = parseSubject(frame.fields["subject"]);
  const name = consumer === undefined ? undefined : parseConsumerName(consumer);
  const autoAck = booleanField(frame, "auto_ack");
  // With a consumer the position is the consumer's, as in a subscription.
  const start = parseStartPosition(name !== undefined || from === undefined ? "first" : from);
  const bounds = {
    subject,
    limit: integerField(frame, "limit", 1, pageMessagesMax, pageMessagesDefault),
    bodyBytesMax: Math.min(
      integerField(frame, "max_bytes", 1, sequenceMax, pageBodyBytesMax),
      pageBodyBytesMax,
      Math.floor(limits.frameBytesMax * bodyShareMax),
    ),
    waitMs: integerField(frame, "wait_ms", 0, waitMsMax, 0),
    deliver: parseDeliver(frame.fields["deliver"]),
  };
  connection.run(id, bytes, async () => {
    const page = await connection.waiting((signal) =>
      name === undefined
        ? broker.read({ ...bounds, from: start }, signal)
        : broker.fetch({ ...bounds, consumer: name, autoAck }, signal),
    );
    let pageBytes = 0;
    for (const message of page.messages) pageBytes += messageBytes(message);
    connection.outbox.push({ kind: "page", id, page }, pageBytes);
  });
};
