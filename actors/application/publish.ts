/**
 * What an actor publishes: checked when its handler says so, stored with the step.
 * @module
 */
import { parseHeaders, parseMessageId } from "../../src/codec/draft.ts";
import type { Headers } from "../../src/core/message.ts";
import { parseSubject, type Subject, serverSubjectPrefix } from "../../src/core/subject.ts";
import type { ActorPublish } from "../define.ts";

/** A message to publish, checked. */
export interface Effect {
  readonly subject: Subject;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly messageId: string | undefined;
}

const noHeaders: Headers = Object.freeze({});

/**
 * Checks what an actor wants to publish.
 * @throws StreamError or RangeError that says what is wrong with it
 */
export const checkedEffect = (
  { subject: name, data, headers, messageId }: ActorPublish,
  bodyBytesMax: number,
): Effect => {
  const subject = parseSubject(name);
  if (subject.startsWith(serverSubjectPrefix)) throw new RangeError(`${subject} belongs to the server.`);
  const body = bytesOf(data);
  if (body.length > bodyBytesMax) throw new RangeError(`The body is larger than ${bodyBytesMax} bytes.`);
  const given = headers === undefined ? noHeaders : parseHeaders({ ...headers });
  const isJson = typeof data === "object" && !(data instanceof Uint8Array);
  const isTyped = !isJson || Object.keys(given).some((key) => key.toLowerCase() === "content-type");
  return {
    subject,
    headers: isTyped ? given : { ...given, "content-type": "application/json" },
    body,
    messageId: messageId === undefined ? undefined : parseMessageId(messageId),
  };
};

const bytesOf = (data: ActorPublish["data"]): Uint8Array => {
  // A copy: the actor may go on to use its own.
  if (data instanceof Uint8Array) return Uint8Array.from(data);
  return Buffer.from(typeof data === "string" ? data : JSON.stringify(data), "utf8");
};
