/**
 * Deleting what is no longer kept, subject by subject, in transactions that hold nobody up.
 * @module
 */
import type { Subject } from "../../core/subject.ts";
import { releaseAcked } from "./acked.ts";
import type { CommitTables } from "./commit.ts";
import { giveUpOverdue } from "./dead-letters.ts";
import { cutExpired, trimSubject } from "./retention.ts";

/** Messages that one transaction deletes before it lets others go first. */
const sliceMessages = 150;

/** The subjects of a sweep: at most `limit` after a name in byte order, and where to go on. */
export const subjectsToSweep = (
  tables: CommitTables,
  after: string,
  limit: number,
): { readonly subjects: readonly Subject[]; readonly next: Subject | undefined } => {
  tables.subjects.lookForExpiry();
  const { policies, subjects, consumers } = tables;
  if (policies.isEmpty && !subjects.mayExpire && !consumers.mayGiveUp()) return { subjects: [], next: undefined };
  const found = subjects.namesAfter(after, limit + 1);
  return { subjects: found.slice(0, limit), next: found.length > limit ? found[limit - 1] : undefined };
};

/** Sweeps subjects in their order, as many as one transaction may; answers how many that were. */
export const sweepSlice = (
  tables: CommitTables,
  names: readonly Subject[],
  nowMs: number,
): { readonly removed: number; readonly subjects: number } => {
  let [removed, subjects] = [0, 0];
  for (const name of names) {
    const swept = sweepSubject(tables, name, nowMs);
    removed += swept.removed;
    if (swept.isAll) subjects++;
    // What a slice may remove is for one subject or many.
    if (!swept.isAll || removed >= sliceMessages) break;
  }
  return { removed, subjects };
};

/** Deletes what is no longer kept of a subject; answers how many messages that were, and whether that is all. */
const sweepSubject = (
  tables: CommitTables,
  name: Subject,
  nowMs: number,
): { readonly removed: number; readonly isAll: boolean } => {
  const expired = cutExpired(tables, name, nowMs);
  if (!expired.isAll) return expired;
  for (const consumer of tables.consumers.list(name)) {
    if (consumer.ack === "all" || consumer.max_deliver === 0) continue;
    giveUpOverdue(tables, consumer, nowMs);
    tables.consumers.save(consumer);
  }
  const { released, isAll } = releaseAcked(tables, name, nowMs, sliceMessages);
  const removed = expired.removed + released;
  // What all have acknowledged does not count within the limits.
  if (!isAll) return { removed, isAll };
  const policy = tables.policies.of(name);
  const subject = tables.subjects.find(name);
  if (policy === undefined || subject === null) return { removed, isAll };
  return { removed: removed + trimSubject(tables, subject, policy, nowMs), isAll };
};
