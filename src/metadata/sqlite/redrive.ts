/**
 * Sending dead letters back to where they were.
 * @module
 */
import { StreamError } from "../../core/errors.ts";
import { deadLetterHeaders, type Envelope, type Sequence } from "../../core/message.ts";
import type { ConsumerName, Subject } from "../../core/subject.ts";
import { type CommitTables, commitEntries } from "./commit.ts";
import { withoutMarks } from "./dead-letters.ts";
import { type GoneTables, removeMessages } from "./gone.ts";
import { PageMeter } from "./messages.ts";
import { cutExpired } from "./retention.ts";
import type { SubjectRow } from "./subjects.ts";

/** Messages of the subject of dead letters that one call looks at. */
const lookedAtMax = 1000;

/** Which dead letters are sent back. */
export interface RedriveRequest {
  readonly subject: Subject;
  readonly consumer: ConsumerName;
  readonly from: Sequence;
  readonly limit: number;
}

/**
 * Commits dead letters of a consumer to its subject and removes them from where they are. What its subject has no room
 * for stays.
 * @throws StreamError `consumer_not_found`, `no_dead_letters`
 */
export const redriveLetters = (
  tables: CommitTables & GoneTables,
  request: RedriveRequest,
  nowMs: number,
): { readonly redriven: number; readonly next: Sequence | undefined } => {
  const letters = lettersOf(tables, request, nowMs);
  if (letters === null) return { redriven: 0, next: undefined };
  const page = tables.messages.page(
    letters,
    request.from,
    new PageMeter({ limit: lookedAtMax, bodyBytesMax: Infinity }),
    nowMs,
  );
  const { found, lookedThrough } = choose(page, request);
  const entries = found.map(({ headers, body }) => ({
    subject: request.subject,
    headers: withoutMarks(headers),
    body,
  }));
  const outcomes = commitEntries(tables, entries, nowMs, "copied");
  const sent = found.filter((_, index) => outcomes[index]?.status === "committed").map(({ sequence }) => sequence);
  // Now, as the references of the bodies are the new messages' too.
  if (sent.length > 0) removeMessages(tables, letters, sent, nowMs);
  const isEnd = lookedThrough === undefined || lookedThrough >= letters.last_sequence;
  return { redriven: sent.length, next: isEnd ? undefined : lookedThrough + 1 };
};

/** The subject of a consumer's dead letters, without what is expired; null while there were none. */
const lettersOf = (tables: CommitTables, { subject, consumer }: RedriveRequest, nowMs: number): SubjectRow | null => {
  const row = tables.consumers.find(subject, consumer);
  if (row === null) throw new StreamError("consumer_not_found", "The consumer is not there (any more).");
  if (row.dead_letter === null) {
    throw new StreamError("no_dead_letters", "The consumer names no subject for dead letters.");
  }
  cutExpired(tables, row.dead_letter, nowMs);
  return tables.subjects.find(row.dead_letter);
};

/** The first of the consumer's own among what others may have put there too, and how far that is. */
const choose = (
  page: readonly Envelope[],
  { subject, consumer, limit }: RedriveRequest,
): { readonly found: readonly Envelope[]; readonly lookedThrough: Sequence | undefined } => {
  const found: Envelope[] = [];
  let lookedThrough: Sequence | undefined;
  for (const envelope of page) {
    if (found.length >= limit) break;
    lookedThrough = envelope.sequence;
    const { [deadLetterHeaders.subject]: from, [deadLetterHeaders.consumer]: by } = envelope.headers;
    if (from === subject && by === consumer) found.push(envelope);
  }
  return { found, lookedThrough };
};
