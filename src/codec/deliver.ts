/**
 * How a reader wants bodies, what a publisher waits for, and what a nack says.
 * @module
 */
import type { Broker, DeliverAs } from "../broker/contract.ts";
import { StreamError, toStreamError } from "../core/errors.ts";
import { nackErrorBytesMax, waitMsMax } from "../core/limits.ts";
import type { Receipt, Receipts } from "../core/message.ts";
import type { View } from "./view.ts";

/** What `deliver` may say. */
export const deliverForms = ["body", "pointer", "decoded"] as const satisfies readonly DeliverAs[];

/** Acknowledgements that a publisher waits for: as many as release the message, or so many. */
export type WaitedFor = number | "all";

/** How long a publish waits for acknowledgements when it does not say, in milliseconds. */
export const ackedWaitMsDefault = 30_000;
/** The longest such wait. */
export const ackedWaitMsMax = waitMsMax;

/** More consumers than a subject ever has. */
const waitedForMax = 1_000_000;

/** Reads `deliver`; `body` when it is left out. @throws StreamError `invalid_parameter` */
export const parseDeliver = (raw: unknown): DeliverAs => {
  if (raw === undefined) return "body";
  const form = deliverForms.find((known) => known === raw);
  if (form !== undefined) return form;
  throw new StreamError("invalid_parameter", `deliver must be ${deliverForms.join(", ")}.`, { parameter: "deliver" });
};

/**
 * Reads `wait` of a publish: `acked`, or `acked:N` with N from 1 on; undefined when it is left out.
 * @throws StreamError `invalid_parameter` with `parameter: "wait"`
 */
export const parseWaitedFor = (raw: unknown): WaitedFor | undefined => {
  if (raw === undefined) return undefined;
  if (raw === "acked") return "all";
  const count = typeof raw === "string" ? Number(/^acked:([1-9]\d{0,6})$/.exec(raw)?.[1]) : Number.NaN;
  if (count <= waitedForMax) return count;
  throw new StreamError("invalid_parameter", `wait must be acked, or acked:N with N from 1 to ${waitedForMax}.`, {
    parameter: "wait",
  });
};

/**
 * Reads `error` of a nack: why, for the header of a dead letter.
 * @throws StreamError `invalid_parameter` unless it is well-formed text within its bound
 */
export const parseNackError = (raw: unknown): string | undefined => {
  if (raw === undefined) return undefined;
  if (typeof raw === "string" && raw.isWellFormed() && Buffer.byteLength(raw, "utf8") <= nackErrorBytesMax) return raw;
  throw new StreamError("invalid_parameter", `error must be text of at most ${nackErrorBytesMax} bytes.`, {
    parameter: "error",
  });
};

/** The error of a publish that would wait for acknowledgements of a message that is only scheduled. */
export const waitAndDelay = (): StreamError =>
  new StreamError("invalid_parameter", "wait does not go with a delay: the message is not there to acknowledge yet.", {
    parameter: "wait",
  });

/**
 * Waits for the acknowledgements of a publish, and answers what its answer says beside the receipt. The message is
 * there, whatever becomes of the wait: what fails now is no reason to publish it again.
 * @param acked how many; @param waitMs for how long
 */
export const acknowledgements = async (
  broker: Broker,
  { subject, sequence }: Receipt,
  { acked, waitMs }: { readonly acked: WaitedFor; readonly waitMs: number },
  signal: AbortSignal,
): Promise<View> => {
  try {
    return acknowledgedView(await broker.awaitReceipts({ subject, sequence, acked }, waitMs, signal), acked);
  } catch (thrown) {
    if (toStreamError(thrown).code === "internal") throw thrown;
    return { acked: null, recipients_total: null, acknowledged: false };
  }
};

/** What the answer to a publish that waited for acknowledgements says beside the receipt. */
export const acknowledgedView = (receipts: Receipts, waitedFor: WaitedFor): View => ({
  acked: receipts.acked,
  recipients_total: receipts.recipientsTotal,
  acknowledged: isAcknowledged(receipts, waitedFor),
});

/** Whether enough have acknowledged it. Where nobody is owed an answer, `all` of nobody is not enough. */
const isAcknowledged = ({ acked, recipientsTotal }: Receipts, waitedFor: WaitedFor): boolean =>
  acked > 0 && acked >= (waitedFor === "all" ? recipientsTotal : waitedFor);
