/**
 * Waiting for acknowledgements of one message.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import { StreamError } from "../core/errors.ts";
import type { Receipts, Sequence } from "../core/message.ts";
import type { Subject } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import type { Hub } from "./hub.ts";
import { Bell, type Draining } from "./waiting.ts";

/** Longest time between two looks: what ends by time alone (a time to live, a recipient's time) tells nobody. */
const lookMsMax = 1000;
/**
 * For each one who waits on a subject, in milliseconds between two looks: every acknowledgement wakes all of them, and
 * together they look no more than 4,000 times a second.
 */
const restMs = 0.25;

/** What waiting works with. */
export interface ReceiptTools {
  readonly metadata: Pick<MetadataStore, "receipts" | "heads">;
  readonly hub: Hub;
  readonly timers: Timers;
  readonly draining: Draining;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
}

/** @throws StreamError `message_not_found` */
export const receiptsOf = async (
  metadata: ReceiptTools["metadata"],
  subject: Subject,
  sequence: Sequence,
): Promise<Receipts> => {
  const receipts = sequence < 1 ? null : await metadata.receipts(subject, sequence);
  if (receipts !== null) return receipts;
  const [head] = await metadata.heads([subject]);
  const lastSequence = head?.lastSequence ?? 0;
  throw new StreamError("message_not_found", `The last sequence of this subject is ${lastSequence}.`, {
    last_sequence: lastSequence,
  });
};

/** How the recipients stand when enough have acknowledged, the message is gone, or the time is over. */
export const awaitReceipts = async (
  tools: ReceiptTools,
  {
    subject,
    sequence,
    acked,
  }: { readonly subject: Subject; readonly sequence: Sequence; readonly acked: number | "all" },
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<Receipts> => {
  const { hub, timers, draining } = tools;
  const bell = new Bell();
  const unwatch = hub.watchAcks(subject, () => bell.ring());
  const endsAt = tools.elapsedMs() + waitMs;
  try {
    for (;;) {
      bell.reset();
      const receipts = await receiptsOf(tools.metadata, subject, sequence);
      const leftMs = endsAt - tools.elapsedMs();
      if (isEnough(receipts, acked) || leftMs <= 0) return receipts;
      const waitingMs = hub.ackWatchers(subject) * restMs;
      if (waitingMs >= 1) await new Bell().wait(Math.min(waitingMs, leftMs, lookMsMax), timers, draining, signal);
      const untilMs = Math.min(endsAt - tools.elapsedMs(), lookMsMax);
      const why = await bell.wait(untilMs, timers, draining, signal);
      if (why === "aborted" || why === "draining") return receipts;
    }
  } finally {
    unwatch();
  }
};

/** Where nobody is to acknowledge it yet, nobody has. */
const isEnough = (receipts: Receipts, acked: number | "all"): boolean =>
  receipts.released || receipts.acked >= (acked === "all" ? Math.max(1, receipts.recipientsTotal) : acked);
