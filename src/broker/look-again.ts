/**
 * What a node does after it missed changes (the store was restarted, or it slept too long): it looks at everything that
 * somebody follows. Cursors decide what they still need; a subject that a wildcard did not know yet starts at what was
 * committed since the last change that was seen.
 * @module
 */
import type { SeenChanges } from "../../actors/relay.ts";
import { pageMessagesMax } from "../core/limits.ts";
import type { Subject, SubjectFilter } from "../core/subject.ts";
import { type RecoveryTools, untilAnswered } from "./recovery.ts";

/** Subjects in one question for heads. */
const headsMax = 1000;

/** Looks until the store answered everything. Never rejects. @param after how far the feed was heard */
export const lookAgain = async (tools: RecoveryTools, after: SeenChanges): Promise<void> => {
  await untilAnswered(tools, async () => {
    const { subjects, filters } = tools.hub.watched();
    for (let start = 0; start < subjects.length; start += headsMax) {
      await lookAtSubjects(tools, subjects.slice(start, start + headsMax));
    }
    for (const filter of filters) await lookAtFilter(tools, filter, after);
    await lookAtConsumers(tools);
  });
};

const lookAtSubjects = async ({ metadata, hub }: RecoveryTools, subjects: readonly Subject[]): Promise<void> => {
  const heads = await metadata.heads(subjects);
  for (const [index, subject] of subjects.entries()) {
    const last = heads[index]?.lastSequence ?? 0;
    if (last > 0) hub.moved(subject, last, last, false);
  }
};

const lookAtConsumers = async ({ metadata, hub }: RecoveryTools): Promise<void> => {
  for (const { subject, name } of hub.watchedConsumers()) {
    if ((await metadata.consumer(subject, name)) === null) hub.consumerDeleted(subject, name);
    else hub.consumerChanged(subject, name);
  }
};

const lookAtFilter = async (
  { metadata, hub }: RecoveryTools,
  filter: SubjectFilter,
  { sinceMs, told }: SeenChanges,
): Promise<void> => {
  let after: string | undefined;
  for (;;) {
    const page = await metadata.subjects({ filter, after, limit: pageMessagesMax });
    for (const { subject, lastSequence } of page.subjects) {
      // A time alone would take what was told of in its millisecond for new.
      const first = Math.max(await metadata.sequenceAt(subject, sinceMs), (told.get(subject) ?? 0) + 1);
      if (first <= lastSequence) hub.moved(subject, first, lastSequence, true);
    }
    after = page.subjects.at(-1)?.subject;
    if (!page.hasMore || after === undefined) return;
  }
};
