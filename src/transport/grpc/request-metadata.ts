/**
 * What the metadata of a request says of time and of bodies, with the names that HTTP has for it, so that clients of the
 * original system can use it without another proto file.
 * @module
 */
import type { DeliverAs, Delivery } from "../../broker/contract.ts";
import { parseDeliver } from "../../codec/deliver.ts";
import { pointerView } from "../../codec/pointer.ts";
import { parseTimingHeaders, type Timing, timingHeaders } from "../../codec/timing.ts";
import type { ScheduledReceipt } from "../../core/message.ts";
import { pointerMediaType } from "../../core/pointer.ts";
import type { RequestHeaders } from "./http2/request.ts";
import type { Trailers } from "./status.ts";

/**
 * `message-ttl`, `delay` and `deliver-at` of a publish.
 * @param expected whether the message has an expected last sequence
 * @throws StreamError `invalid_parameter`
 */
export const timingOf = (metadata: RequestHeaders, expected: boolean): Timing =>
  parseTimingHeaders({
    ttl: metadata[timingHeaders.ttl],
    delay: metadata[timingHeaders.delay],
    deliverAt: metadata[timingHeaders.deliverAt],
    expected,
  });

/** `deliver` of what answers with messages. @throws StreamError `invalid_parameter` */
export const deliverOf = (metadata: RequestHeaders): DeliverAs => parseDeliver(metadata["deliver"]);

/** Trailers of a publish that is committed later. */
export const scheduledTrailers = ({ scheduleId, dueAtMs }: ScheduledReceipt): Trailers => ({
  "scheduled-id": scheduleId,
  "deliver-at": String(dueAtMs),
});

/** Messages as the protos have room for them: a pointer takes the place of the body, as JSON. */
export const writable = (messages: readonly Delivery[]): readonly Delivery[] =>
  messages.some(({ pointer }) => pointer !== undefined) ? messages.map(withPointerAsBody) : messages;

const saidOfBody: ReadonlySet<string> = new Set(["content-type", "content-encoding"]);

/** What the headers said of the body stands in the pointer then. */
const withPointerAsBody = (message: Delivery): Delivery => {
  if (message.pointer === undefined) return message;
  const type = message.headers["content-type"];
  const view = { ...pointerView(message.pointer), ...(type !== undefined && { content_type: type }) };
  const headers = Object.entries(message.headers).filter(([name]) => !saidOfBody.has(name));
  return {
    ...message,
    headers: { ...Object.fromEntries(headers), "content-type": pointerMediaType },
    body: Buffer.from(JSON.stringify(view)),
    pointer: undefined,
  };
};
