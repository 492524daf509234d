/**
 * What a publish says of time (how long its messages live, and when they are committed) and of acknowledgements.
 * @module
 */
import type { Receipt, ScheduledReceipt } from "../../client/index.ts";
import { parseWaitedFor } from "../../codec/deliver.ts";
import { StreamError } from "../../core/errors.ts";
import { delayMsMax, ttlMsMax, waitMsMax } from "../../core/limits.ts";
import { parseRfc3339 } from "../../core/start.ts";
import { type OptionSpec, UsageError } from "../command.ts";
import type { Given } from "../options.ts";

const waitMsDefault = 30_000;

/** The options. */
export const timingOptions: Readonly<Record<string, OptionSpec>> = {
  ttl: { kind: "text", placeholder: "TIME", meaning: "gone so long after it was committed, such as 10m" },
  delay: { kind: "text", placeholder: "TIME", meaning: "stored now, committed so long from now, such as 1h" },
  "deliver-at": {
    kind: "text",
    placeholder: "T",
    meaning: "stored now, committed at this time: RFC 3339, or Unix milliseconds",
  },
  wait: {
    kind: "text",
    placeholder: "HOW",
    meaning: "acked or acked:N: wait until all (or N) recipients have acknowledged it (one at a time)",
  },
  "wait-time": { kind: "text", placeholder: "TIME", meaning: "how long to wait for them; default 30s, at most 60s" },
};

/** What was given. */
export interface Timing {
  readonly ttlMs: number | undefined;
  readonly delayMs: number | undefined;
  /** Unix milliseconds. */
  readonly deliverAt: number | undefined;
  readonly waiting: Waiting | undefined;
}

/** Acknowledgements that are waited for, as the query of the HTTP API says it. */
export interface Waiting {
  readonly wait: string;
  readonly waitMs: number;
}

/** How the recipients stand to a message at the end of a wait. */
export interface Acknowledgements {
  /** How many have acknowledged it; null when nobody can say. */
  readonly acked: number | null;
  readonly recipientsTotal: number | null;
  /** Enough have. */
  readonly acknowledged: boolean;
}

/** What became of one message. */
export type Published = (Receipt | ScheduledReceipt) & { readonly acknowledgements?: Acknowledgements };

/** Whether it is to be committed later. */
export const isScheduled = (published: Published): published is ScheduledReceipt => "scheduledId" in published;

/** Reads the options. @param isExpecting whether a last sequence is expected @throws UsageError */
export const parseTiming = (given: Given, isExpecting: boolean): Timing => {
  const timing = {
    ttlMs: bounded("ttl", given.durationMs("ttl"), 1, ttlMsMax),
    delayMs: bounded("delay", given.durationMs("delay"), 0, delayMsMax),
    deliverAt: parseDeliverAt(given.text("deliver-at")),
    waiting: parseWaiting(given),
  };
  const isLater = timing.delayMs !== undefined || timing.deliverAt !== undefined;
  if (timing.delayMs !== undefined && timing.deliverAt !== undefined) {
    throw new UsageError("--delay and --deliver-at exclude each other");
  }
  if (isLater && isExpecting) {
    throw new UsageError("--expected-last does not go with a delay: nobody knows the last sequence of then");
  }
  if (isLater && timing.waiting !== undefined) {
    throw new UsageError("--wait does not go with a delay: there is nothing to acknowledge yet");
  }
  return timing;
};

const bounded = (name: string, ms: number | undefined, min: number, max: number): number | undefined => {
  if (ms === undefined || (ms >= min && ms <= max)) return ms;
  throw new UsageError(`--${name} must be from ${min}ms to ${Math.floor(max / 86_400_000)}d`);
};

const parseDeliverAt = (raw: string | undefined): number | undefined => {
  if (raw === undefined) return undefined;
  const ms = /^\d{1,15}$/.test(raw) ? Number(raw) : parseRfc3339(raw);
  if (ms === undefined) throw new UsageError("--deliver-at must be an RFC 3339 time or Unix milliseconds");
  // What is past is now, and before 1970 is past.
  return Math.max(0, ms);
};

const parseWaiting = (given: Given): Waiting | undefined => {
  const wait = given.text("wait");
  const waitMs = bounded("wait-time", given.durationMs("wait-time"), 0, waitMsMax);
  if (wait === undefined) {
    if (waitMs !== undefined) throw new UsageError("--wait-time needs --wait acked");
    return undefined;
  }
  try {
    parseWaitedFor(wait);
  } catch (thrown) {
    throw thrown instanceof StreamError ? new UsageError("--wait must be acked, or acked:N with N from 1 on") : thrown;
  }
  return { wait, waitMs: waitMs ?? waitMsDefault };
};

/** The headers and the query of a request that say the same. */
export const requestTiming = ({
  ttlMs,
  delayMs,
  deliverAt,
  waiting,
}: Timing): { readonly headers: Readonly<Record<string, string>>; readonly query: string } => ({
  headers: {
    ...(ttlMs !== undefined && { "message-ttl": `${ttlMs}ms` }),
    ...(delayMs !== undefined && { delay: `${delayMs}ms` }),
    ...(deliverAt !== undefined && { "deliver-at": String(deliverAt) }),
  },
  query: waiting === undefined ? "" : `?wait=${waiting.wait}&wait_ms=${waiting.waitMs}`,
});
