/**
 * What becomes of commits whose outcome the store did not tell: the heads say whether they happened, and who follows
 * those subjects is woken. The publishers were answered `outcome_unknown` and settle it by a retry.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import type { DoubtfulRun } from "../../actors/committer.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import type { Hub } from "./hub.ts";

/** What settling doubts works with. */
export interface DoubtTools {
  readonly metadata: MetadataStore;
  readonly hub: Hub;
  readonly timers: Timers;
  /** Pause before the store is asked again. */
  readonly retryMs: number;
  /** Aborted when the server stops. */
  readonly drained: AbortSignal;
}

/** Asks for the heads until the store answers, then wakes. */
export const settleDoubt = (tools: DoubtTools, runs: readonly DoubtfulRun[]): void => {
  const { metadata, hub, timers, retryMs, drained } = tools;
  if (drained.aborted) return;
  metadata.heads(runs.map(({ subject }) => subject)).then(
    (heads) => {
      for (const [index, { subject, count }] of runs.entries()) {
        const last = heads[index]?.lastSequence ?? 0;
        // Of the doubtful messages at most `count` are new; cursors decide by themselves what they still need.
        if (last > 0) hub.moved(subject, Math.max(1, last - count + 1), last);
      }
    },
    () => timers.after(retryMs, () => settleDoubt(tools, runs)),
  );
};
