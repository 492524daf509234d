/**
 * `publish` and `publish_batch`, and publishes that wait for acknowledgements. A message takes its place in the order of its connection before anything is awaited.
 * @module
 */
import {
  ackedWaitMsDefault,
  ackedWaitMsMax,
  acknowledgements,
  parseWaitedFor,
  type WaitedFor,
  waitAndDelay,
} from "../../../codec/deliver.ts";
import { type DraftLimits, parseDraft } from "../../../codec/draft.ts";
import { outcomeView, receiptView } from "../../../codec/view.ts";
import { StreamError, toStreamError } from "../../../core/errors.ts";
import { batchMessagesMax } from "../../../core/limits.ts";
import { type Draft, isScheduled, type PublishOutcome, type Receipt } from "../../../core/message.ts";
import type { Connection } from "../connection.ts";
import { arrayField, type Frame, integerField, publishEnvelope, requiredId } from "../frames.ts";
import type { FrameId } from "../protocol.ts";

/** A frame above this is not kept alive for the sake of small bodies in it. */
const sharedFrameBytesMax = 256 * 1024;

/** About what a `published` frame takes. */
const publishedBytes = 128;

/**
 * One call of the broker for each frame: joining the frames of a turn into one call saved a tenth of the processor
 * time with thousands of publishes in flight, and cost latency with few.
 */
export const publish = (connection: Connection, frame: Frame, bytes: number): void => {
  const id = requiredId(frame);
  const draft = parseDraft(frame.fields, connection.context.limits, publishEnvelope);
  const waiting = parseWaiting(frame, draft);
  connection.begin(bytes);
  connection.broker.publish([draft]).then(
    ([outcome]) => {
      if (waiting !== undefined && isReceipt(outcome)) {
        connection.letGo(bytes);
        void answerAcknowledged(connection, id, outcome, waiting);
        return;
      }
      connection.end(bytes);
      if (outcome === undefined || outcome instanceof StreamError) connection.fail(id, outcome);
      else if (isScheduled(outcome)) connection.reply("published", id, receiptView(outcome));
      else connection.outbox.push({ kind: "published", id, receipt: outcome }, publishedBytes);
    },
    (error: unknown) => {
      connection.end(bytes);
      connection.fail(id, error);
    },
  );
};

/** Acknowledgements that the publisher waits for, and how long. */
interface Waiting {
  readonly acked: WaitedFor;
  readonly waitMs: number;
}

/** @throws StreamError `invalid_parameter` */
const parseWaiting = (frame: Frame, draft: Draft): Waiting | undefined => {
  const { wait, wait_ms: raw } = frame.fields;
  if (wait === undefined && raw === undefined) return undefined;
  const acked = parseWaitedFor(wait);
  const waitMs = integerField(frame, "wait_ms", 0, ackedWaitMsMax, ackedWaitMsDefault);
  if (acked === undefined) return undefined;
  if (draft.deliverAt !== undefined) throw waitAndDelay();
  return { acked, waitMs };
};

const isReceipt = (outcome: PublishOutcome | undefined): outcome is Receipt =>
  outcome !== undefined && !(outcome instanceof StreamError) && !isScheduled(outcome);

/** The request is under way until enough have acknowledged, or the time is over; its body is not. */
const answerAcknowledged = async (
  connection: Connection,
  id: FrameId,
  receipt: Receipt,
  waiting: Waiting,
): Promise<void> => {
  try {
    const view = await connection.waiting((signal) => acknowledgements(connection.broker, receipt, waiting, signal));
    connection.reply("published", id, { ...receiptView(receipt), ...view });
  } catch (error) {
    connection.fail(id, error);
  } finally {
    connection.end(0);
  }
};

export const publishBatch = (connection: Connection, frame: Frame, bytes: number): void => {
  const id = requiredId(frame);
  const raws = arrayField(frame, "messages");
  if (raws.length > batchMessagesMax) {
    throw new StreamError("too_many_messages", `A batch has at most ${batchMessagesMax} messages.`, {
      max_messages: batchMessagesMax,
    });
  }
  connection.run(id, bytes, async () => {
    const { drafts, outcomes } = parseBatch(raws, connection.context.limits, bytes > sharedFrameBytesMax);
    const published = await connection.broker.publish(drafts);
    connection.outbox.push(
      { kind: "map", fields: { op: "published_batch", id, results: resultsView(outcomes, published) } },
      publishedBytes * raws.length,
    );
  });
};

interface Batch {
  readonly drafts: readonly Draft[];
  /** One for each message: the error of one that is wrong, undefined for one that goes on to the broker. */
  readonly outcomes: readonly (StreamError | undefined)[];
}

/** One message that is wrong does not hold up the others. */
const parseBatch = (raws: readonly unknown[], limits: DraftLimits, ownBodies: boolean): Batch => {
  const drafts: Draft[] = [];
  const outcomes = raws.map((raw) => {
    try {
      const draft = parseDraft(raw, limits);
      drafts.push(ownBodies ? withOwnBody(draft) : draft);
      return undefined;
    } catch (error) {
      return toStreamError(error);
    }
  });
  return { drafts, outcomes };
};

/** Copies a small body out of a large frame: a recent message would otherwise keep all of the frame in memory. */
const withOwnBody = (draft: Draft): Draft =>
  draft.body instanceof Uint8Array && draft.body.length < sharedFrameBytesMax
    ? { ...draft, body: new Uint8Array(draft.body) }
    : draft;

const resultsView = (
  outcomes: readonly (StreamError | undefined)[],
  published: readonly PublishOutcome[],
): readonly unknown[] => {
  let next = 0;
  return outcomes.map((error) => {
    const outcome = error ?? published[next++];
    return outcomeView(outcome ?? toStreamError(outcome));
  });
};
