/**
 * Load on a server that is about to die: publishers that go on until their connection is gone, and a consumer that
 * acknowledges as it goes.
 * @module
 */
import { ClientError, type StreamClient } from "../client.ts";
import type { Ledger } from "./ledger.ts";

/** How a lane publishes. */
export interface LaneOptions {
  /** Names the lane; messages of one lane to one subject must keep their order. */
  readonly lane: string;
  readonly subjects: readonly string[];
  /** Publishes under way at once. */
  readonly window: number;
  /** Ends the lane when nothing else does. */
  readonly messagesMax: number;
  /** Length of a body in bytes; at least the lane's mark of some 40 bytes is written. */
  readonly bodyBytes: (index: number) => number;
  /** Ends the lane at the first refusal too, and not only when an answer fails to come. */
  readonly untilRefused?: boolean;
  /** Told of every answer. */
  readonly onAnswer?: () => void;
}

/** Kept as sent on every way in; HTTP would otherwise choose one. */
const headers = { "content-type": "application/octet-stream" };

/** A body that says whose it is, filled up to the length with bytes that are not text. */
export const markedBody = (mark: string, bytes: number): Uint8Array => {
  const body = Buffer.alloc(Math.max(bytes, mark.length + 1), 0xe7);
  body.write(`${mark};`);
  return new Uint8Array(body.buffer, body.byteOffset, body.length);
};

/** Publishes round the subjects until an answer fails to come. */
export const publishUntilGone = async (client: StreamClient, ledger: Ledger, options: LaneOptions): Promise<void> => {
  const { lane, subjects, window, messagesMax, bodyBytes, untilRefused = false, onAnswer } = options;
  const underWay = new Set<Promise<void>>();
  const connection: { gone: boolean } = { gone: false };
  for (let index = 0; index < messagesMax && !connection.gone; index++) {
    const subject = subjects[index % subjects.length] ?? lane;
    const entry = ledger.enter(lane, subject, markedBody(`${lane} ${subject} ${index}`, bodyBytes(index)), headers);
    const publishing = ledger.publish(client, entry).then((fate) => {
      if (fate === "unknown" || (untilRefused && fate === "refused")) connection.gone = true;
      if (fate !== "unknown") onAnswer?.();
      underWay.delete(publishing);
    });
    underWay.add(publishing);
    if (underWay.size >= window) await Promise.race(underWay);
  }
  await Promise.all(underWay);
};

/** What a consumer was told. */
export class AckBook {
  /** Highest `acked_through` that was answered. */
  acknowledgedThrough = 0;
  /** Highest sequence that was asked to be acknowledged. */
  requestedThrough = 0;
}

/** Fetches and acknowledges under a name until the connection is gone. */
export const consumeUntilGone = async (
  client: StreamClient,
  subject: string,
  consumer: string,
  book: AckBook,
): Promise<void> => {
  try {
    for (;;) {
      const page = await client.fetch(subject, consumer, { limit: 10, waitMs: 30_000 });
      const last = page.messages.at(-1);
      if (last === undefined) return;
      book.requestedThrough = Math.max(book.requestedThrough, last.sequence);
      const { ackedThrough } = await client.ack(subject, consumer, { sequence: last.sequence });
      book.acknowledgedThrough = Math.max(book.acknowledgedThrough, ackedThrough);
    }
  } catch (error) {
    // The server's refusals are faults of the test; a dead connection is what was waited for.
    if (error instanceof ClientError) throw error;
  }
};
