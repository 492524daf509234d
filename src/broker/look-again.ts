/**
 * What a node does after it missed changes (the store was restarted, or it slept too long): it looks at everything that
 * somebody follows. Cursors decide what they still need; a subject that a wildcard did not know yet starts at what was
 * committed since the last change that was seen.
 * @module
 */
import type { Timers } from "../../actors/actor.ts";
import { pageMessagesMax } from "../core/limits.ts";
import type { SubjectFilter } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import type { Hub } from "./hub.ts";

/** Subjects in one question for heads. */
const headsMax = 1000;

/** What looking again works with. */
export interface LookAgainTools {
  readonly metadata: MetadataStore;
  readonly hub: Hub;
  readonly timers: Timers;
  /** Pause before the store is asked again. */
  readonly retryMs: number;
  /** Aborted when the server stops. */
  readonly drained: AbortSignal;
}

/** Looks until the store answered everything. Never rejects. @param sinceMs the store's time of the last change seen */
export const lookAgain = async (tools: LookAgainTools, sinceMs: number): Promise<void> => {
  const { metadata, hub, timers, retryMs, drained } = tools;
  while (!drained.aborted) {
    try {
      const { subjects, filters } = hub.watched();
      for (let start = 0; start < subjects.length; start += headsMax) {
        const asked = subjects.slice(start, start + headsMax);
        const heads = await metadata.heads(asked);
        for (const [index, subject] of asked.entries()) {
          const last = heads[index]?.lastSequence ?? 0;
          if (last > 0) hub.moved(subject, last, last, false);
        }
      }
      for (const filter of filters) await lookAtFilter(tools, filter, sinceMs);
      for (const { subject, name } of hub.watchedConsumers()) {
        if ((await metadata.consumer(subject, name)) === null) hub.consumerDeleted(subject, name);
        else hub.consumerChanged(subject, name);
      }
      return;
    } catch {
      await new Promise<void>((resolve) => timers.after(retryMs, resolve));
    }
  }
};

const lookAtFilter = async (
  { metadata, hub }: LookAgainTools,
  filter: SubjectFilter,
  sinceMs: number,
): Promise<void> => {
  let after: string | undefined;
  for (;;) {
    const page = await metadata.subjects({ filter, after, limit: pageMessagesMax });
    for (const { subject, lastSequence } of page.subjects) {
      const first = await metadata.sequenceAt(subject, sinceMs);
      hub.moved(subject, first, lastSequence, true);
    }
    after = page.subjects.at(-1)?.subject;
    if (!page.hasMore || after === undefined) return;
  }
};
