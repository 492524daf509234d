/**
 * What it means for consumers that messages are deleted.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { ConsumerTable } from "./consumers.ts";
import type { LeaseTable } from "./leases.ts";
import type { ReleaseNotes } from "./release-notes.ts";
import type { SubjectRow, SubjectTable } from "./subjects.ts";

/** What settling reads and writes. */
export interface SettleTables {
  readonly subjects: SubjectTable;
  readonly consumers: ConsumerTable;
  readonly leases: LeaseTable;
  readonly releases: ReleaseNotes;
}

/** Settles what was deleted before the beginning of a subject, for its explicit consumers. */
export const settleDeleted = (tables: SettleTables, subject: SubjectRow): void => {
  for (const consumer of tables.consumers.list(subject.name)) {
    if (consumer.ack === "all") continue;
    tables.leases.settleThrough(consumer, subject, subject.first_sequence - 1);
    tables.consumers.save(consumer);
  }
};

/** Settles what has gone from the middle of a subject, for its explicit consumers. @param rows ascending */
export const settleGone = (
  tables: SettleTables,
  subject: SubjectRow,
  rows: readonly { readonly sequence: Sequence }[],
): void => {
  let sequences: Sequence[] | undefined;
  for (const consumer of tables.consumers.list(subject.name)) {
    if (consumer.ack === "all") continue;
    sequences ??= rows.map(({ sequence }) => sequence);
    tables.leases.settleGone(consumer, subject, sequences);
    tables.consumers.save(consumer);
  }
};
