/**
 * Every operation of the WebSocket that wants to know who calls, as data: its frame for one subject, and the verb that
 * it stands for.
 * @module
 */
import type { Verb } from "./callers.ts";

/** One request. */
export interface Operation {
  readonly verb: Verb;
  readonly frame: Readonly<Record<string, unknown>> & { readonly op: string };
}

/** The operations; bytes as text, which both subprotocols can say. */
export const wsOperations = (subject: string): readonly Operation[] => [
  { verb: "publish", frame: { op: "publish", subject, data: new Uint8Array([1]) } },
  { verb: "publish", frame: { op: "publish_batch", messages: [{ subject, data: new Uint8Array([1]) }] } },
  { verb: "fetch", frame: { op: "fetch", subject } },
  { verb: "fetch", frame: { op: "fetch", subject, from: "new", wait_ms: 10 } },
  { verb: "fetch", frame: { op: "fetch", subject, consumer: "socket" } },
  { verb: "consume", frame: { op: "ack", subject, consumer: "socket", sequence: 0 } },
  { verb: "consume", frame: { op: "nack", subject, consumer: "socket", sequences: [1] } },
  { verb: "subscribe", frame: { op: "subscribe", filter: subject } },
  { verb: "subscribe", frame: { op: "subscribe", filter: subject, from: "first" } },
  { verb: "subscribe", frame: { op: "subscribe", filter: subject, mode: "notify" } },
  { verb: "subscribe", frame: { op: "subscribe", filter: subject, consumer: "socket" } },
];
