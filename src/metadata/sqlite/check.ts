/**
 * The check at start: damage is told, never repaired in silence, and never by giving a sequence out twice.
 * @module
 */
import type { Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";

/** Warnings that are spelled out. */
const warningsMax = 100;

interface MismatchRow {
  readonly name: string;
  readonly last_sequence: Sequence;
  readonly newest: Sequence | null;
}

/** Subjects whose stored head is not their newest row, nor gone behind it; one look-up a subject, one line each. */
export const headWarnings = (connection: Connection): readonly string[] => {
  const mismatches = connection.prepare<MismatchRow, []>(
    `SELECT name, last_sequence, newest FROM (
       SELECT name, first_sequence, last_sequence, gone_messages,
         (SELECT max(sequence) FROM messages WHERE subject_id = subjects.id) AS newest FROM subjects)
     WHERE newest > last_sequence
       OR (first_sequence <= last_sequence AND (newest IS NULL OR last_sequence - newest > gone_messages))`,
  );
  const warnings: string[] = [];
  let others = 0;
  for (const { name, last_sequence, newest } of mismatches.iterate()) {
    if (warnings.length === warningsMax) others++;
    else warnings.push(`${name}: the head says ${last_sequence}, the newest message row is ${newest ?? "missing"}`);
  }
  if (others > 0) warnings.push(`and ${others} subjects more`);
  return warnings;
};
