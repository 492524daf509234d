/**
 * Where one subscription delivers to: its connection's outbox, as long as that has room.
 * @module
 */
import type { DamagedMessage, Delivery, SubscriptionSink } from "../../broker/contract.ts";
import { pushFrameBytesEnough } from "../../codec/push.ts";
import { errorView } from "../../codec/view.ts";
import type { StreamError } from "../../core/errors.ts";
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { Connection } from "./connection.ts";
import { messageBytes } from "./outbox.ts";

const notificationBytes = 128;

/** The sink of one subscription. */
export class PushSink implements SubscriptionSink {
  readonly batchBytesMax = pushFrameBytesEnough;

  constructor(
    private readonly connection: Connection,
    private readonly sid: number,
  ) {}

  writable(): boolean {
    return this.connection.roomForPushes(this.sid);
  }

  messages(batch: readonly Delivery[]): void {
    let bytes = 0;
    for (const message of batch) bytes += messageBytes(message);
    this.connection.outbox.push({ kind: "push", sid: this.sid, messages: batch }, bytes);
  }

  damaged({ subject, sequence, error }: DamagedMessage): void {
    const fields = { op: "error", sid: this.sid, ...errorView(error), subject, sequence };
    this.connection.outbox.push({ kind: "map", fields }, notificationBytes);
  }

  notify(subject: Subject, sequence: Sequence): void {
    const fields = { op: "notify", sid: this.sid, subject, sequence };
    this.connection.outbox.push({ kind: "map", fields }, notificationBytes);
  }

  ended(error: StreamError): void {
    this.connection.subscriptionEnded(this.sid, error);
  }
}
