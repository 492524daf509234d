/**
 * Sending dead letters back at a rate that their consumer can bear.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import type { Broker } from "./contract.ts";
import { Bell, type Draining } from "./waiting.ts";

/** One call takes no longer than this, in milliseconds. */
const redriveMsMax = 60_000;
/** Messages in one transaction. */
const batchMax = 1000;
/** Shortest pause: a higher rate sends several messages at once. */
const pauseMsMin = 50;

/** What it works with. */
export interface RedriveTools {
  readonly metadata: Pick<MetadataStore, "redrive">;
  readonly timers: Timers;
  readonly draining: Draining;
  /** Monotonic milliseconds. */
  readonly elapsedMs: () => number;
}

/** @throws StreamError `consumer_not_found`, `no_dead_letters`, `unavailable` before the first message was sent back */
export const redrive = async (
  { metadata, timers, draining, elapsedMs: nowMs }: RedriveTools,
  { subject, consumer, limit, perSecond }: Parameters<Broker["redrive"]>[0],
  signal: AbortSignal | undefined,
): ReturnType<Broker["redrive"]> => {
  const startedAt = nowMs();
  let redriven = 0;
  let from = 1;
  for (;;) {
    const elapsedMs = nowMs() - startedAt;
    // The first one at once, and from then on as many as the time that has passed allows.
    const allowed = perSecond === Number.POSITIVE_INFINITY ? limit : 1 + Math.floor((elapsedMs * perSecond) / 1000);
    const room = Math.min(limit, allowed) - redriven;
    if (room > 0) {
      const answer = await metadata.redrive({ subject, consumer, from, limit: Math.min(room, batchMax) });
      redriven += answer.redriven;
      if (answer.next === undefined) return { redriven, more: false };
      from = answer.next;
    }
    const isLate = nowMs() - startedAt >= redriveMsMax;
    if (redriven >= limit || isLate || signal?.aborted === true || draining.begun) return { redriven, more: true };
    if (room > 0 && redriven < Math.min(limit, allowed)) continue;
    const dueMs = (redriven * 1000) / perSecond - (nowMs() - startedAt);
    const leftMs = redriveMsMax - (nowMs() - startedAt);
    await new Bell().wait(Math.min(Math.max(dueMs, pauseMsMin), leftMs), timers, draining, signal);
  }
};
