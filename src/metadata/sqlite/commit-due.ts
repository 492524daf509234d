/**
 * Committing delayed messages when they are due.
 * @module
 */
import { type CommitTables, commitEntries } from "./commit.ts";
import type { DueMessage } from "./delayed.ts";
import { storedBytes } from "./objects.ts";

/** What a policy has no room for is tried again after a quarter of the time that it has waited, within these bounds. */
const retryMsMin = 1000;
const retryMsMax = 30_000;

/** Commits what is due, at most so many; answers how many that were. Runs inside a transaction. */
export const commitDelayed = (tables: CommitTables, limit: number, nowMs: number): number => {
  const due = tables.delayed.due(nowMs, limit);
  const entries = due.map(({ entry }) => entry);
  let committed = 0;
  for (const [index, outcome] of commitEntries(tables, entries, nowMs, "delayed").entries()) {
    const message = due[index];
    if (message === undefined) continue;
    if (outcome.status === "committed") {
      // Its reference to the body is the message's now.
      tables.delayed.remove(message.id);
      committed++;
    } else if (outcome.status === "duplicate") {
      tables.delayed.remove(message.id);
      tables.objects.release(message.objectId, 1, storedBytes(message.entry.body), nowMs);
    } else {
      tables.delayed.postpone(message.id, nowMs + retryMs(message, nowMs));
    }
  }
  return committed;
};

const retryMs = ({ dueAtMs }: DueMessage, nowMs: number): number =>
  Math.min(retryMsMax, Math.max(retryMsMin, Math.floor((nowMs - dueAtMs) / 4)));
