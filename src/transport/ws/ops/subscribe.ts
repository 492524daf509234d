/**
 * `subscribe`, `credit` and `unsubscribe`.
 * @module
 */
import type { SubscribeRequest } from "../../../broker/contract.ts";
import { parseDeliver } from "../../../codec/deliver.ts";
import { StreamError } from "../../../core/errors.ts";
import { creditDefault, sequenceMax } from "../../../core/limits.ts";
import { parseStartPosition } from "../../../core/start.ts";
import { isWildcard, parseConsumerName, parseFilter } from "../../../core/subject.ts";
import type { Connection } from "../connection.ts";
import { type Frame, integerField, invalidParameter, requiredId } from "../frames.ts";
import { PushSink } from "../sink.ts";

/** What -1 means on the wire. */
const creditOf = (messages: number): number => (messages === -1 ? Number.POSITIVE_INFINITY : messages);

const parseMode = (raw: unknown): "messages" | "notify" => {
  if (raw === undefined || raw === "messages") return "messages";
  if (raw === "notify") return raw;
  throw invalidParameter("mode", "mode must be messages or notify.");
};

const parseSubscribe = (frame: Frame): SubscribeRequest => {
  const { from, consumer } = frame.fields;
  const filter = parseFilter(frame.fields["filter"]);
  const name = consumer === undefined ? undefined : parseConsumerName(consumer);
  if (name !== undefined && isWildcard(filter)) {
    throw invalidParameter("consumer", "A consumer belongs to one subject; its filter has no wildcard.");
  }
  return {
    filter,
    // With a consumer `from` is ignored, whatever it says.
    from: parseStartPosition(name !== undefined || from === undefined ? "new" : from),
    mode: parseMode(frame.fields["mode"]),
    consumer: name,
    credit: creditOf(integerField(frame, "credit", -1, sequenceMax, creditDefault)),
    deliver: parseDeliver(frame.fields["deliver"]),
  };
};

export const subscribe = (connection: Connection, frame: Frame, bytes: number): void => {
  const { broker } = connection;
  const id = requiredId(frame);
  const request = parseSubscribe(frame);
  const sid = connection.reserveSubscription();
  connection.run(id, bytes, async () => {
    try {
      const subscription = await broker.subscribe(request, new PushSink(connection, sid));
      // The connection may have ended meanwhile.
      if (!connection.adoptSubscription(sid, subscription)) {
        subscription.close();
        return;
      }
      // Goes into the outbox before the first push can: the broker delivers only after this turn's microtasks.
      connection.reply("subscribed", id, {
        sid,
        filter: request.filter,
        epoch: broker.epoch,
        last_sequence: subscription.lastSequence,
      });
    } catch (error) {
      connection.dropSubscription(sid);
      throw error;
    }
  });
};

/** Has no answer; a subscription that is over is no error, because its end may cross the credit on the way. */
export const credit = (connection: Connection, frame: Frame): void => {
  const sid = integerField(frame, "sid", 0, sequenceMax);
  const messages = integerField(frame, "messages", -1, sequenceMax);
  connection.subscription(sid)?.credit(creditOf(messages));
};

export const unsubscribe = (connection: Connection, frame: Frame): void => {
  const sid = integerField(frame, "sid", 0, sequenceMax);
  const subscription = connection.subscription(sid);
  if (subscription === undefined) {
    throw new StreamError("subscription_not_found", "This connection has no such subscription.", { sid });
  }
  connection.dropSubscription(sid);
  subscription.close();
  connection.reply("unsubscribed", frame.id, { sid });
};
