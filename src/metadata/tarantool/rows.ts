/**
 * Requests and answers of the functions in `lua/mts/verb`: what goes over the wire, and what it means here. An answer
 * that does not have its shape is an error, never a wrong value; so is a number above 2^53-1.
 * @module
 */
import { MsgpackWriter } from "../../codec/msgpack-writer.ts";
import { StreamError } from "../../core/errors.ts";
import type {
  AckMode,
  BodyRef,
  ConsumerConfig,
  ConsumerState,
  Envelope,
  Head,
  Headers,
  Receipts,
  RecipientStatus,
  Sequence,
  SubjectSummary,
} from "../../core/message.ts";
import type { FilterPolicy, RetentionPolicy } from "../../core/policy.ts";
import type { ConsumerName, Subject, SubjectFilter } from "../../core/subject.ts";
import type { CommitEntry, CommitOutcome, ConsumerBacklog, EnvelopePage, PulledPage } from "../contract.ts";

const noHeaders: Headers = Object.freeze({});
const emptyDigest = new Uint8Array(32);

const wrong = (what: string): never => {
  throw new StreamError("internal", `The metadata store answered ${what}.`);
};

/** A number, exact. */
export const intOf = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) ? value : wrong("a number that is not exact");

export const textOf = (value: unknown): string => (typeof value === "string" ? value : wrong("no text"));

export const listOf = (value: unknown): readonly unknown[] => {
  if (!Array.isArray(value)) return wrong("no list");
  return value as readonly unknown[];
};

// Requests -------------------------------------------------------------------------------------------------------

const writer = new MsgpackWriter();

/** Numbers things in the order in which they are first seen, from 1 on. */
export class Places {
  readonly names: string[] = [];
  readonly #places = new Map<string, number>();

  of(name: string): number {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = this.names.push(name);
      this.#places.set(name, place);
    }
    return place;
  }
}

const writeHeaders = (headers: Headers): void => {
  const names = Object.keys(headers);
  if (names.length === 0) {
    writer.nil();
    return;
  }
  writer.arrayHead(names.length * 2);
  for (const name of names) {
    writer.string(name);
    writer.string(headers[name] ?? "");
  }
};

const itemsPerEntry = 8;
const itemsPerExtra = 5;

const isExtra = ({ body, ttlMs, deliverAt }: CommitEntry): boolean =>
  body.storedLength !== undefined || ttlMs !== undefined || deliverAt !== undefined;

/** What few entries have: nothing where none has any of it. */
const writeExtras = (entries: readonly CommitEntry[]): void => {
  const extras = entries.reduce((count, entry) => count + (isExtra(entry) ? 1 : 0), 0);
  if (extras === 0) {
    writer.nil();
    return;
  }
  writer.arrayHead(extras * itemsPerExtra);
  for (const [index, entry] of entries.entries()) {
    if (!isExtra(entry)) continue;
    const { body, ttlMs, deliverAt } = entry;
    writer.number(index + 1);
    writer.value(body.storedLength);
    writer.value(ttlMs);
    writer.value(deliverAt !== undefined && "inMs" in deliverAt ? deliverAt.inMs : undefined);
    writer.value(deliverAt !== undefined && "atMs" in deliverAt ? deliverAt.atMs : undefined);
  }
};

/** What names a write: the call is made once however often it is sent. */
export interface Written {
  readonly slot: number;
  readonly number: number;
}

/** The request of a function that writes. @param write puts one value behind what names the call */
export const packWrite = (
  client: string,
  { slot, number }: Written,
  write: (writer: MsgpackWriter) => void,
): Uint8Array => {
  writer.reset();
  writer.arrayHead(4);
  writer.string(client);
  writer.number(slot);
  writer.number(number);
  write(writer);
  return writer.copy();
};

/** The request of `mts_commit`. */
export const packCommit = (
  client: string,
  written: Written,
  entries: readonly CommitEntry[],
  dedupeWindowMs: number,
): Uint8Array =>
  packWrite(client, written, () => {
    writeCommit(entries, dedupeWindowMs);
  });

/** Writes what `mts_commit` takes as one value; inside `packWrite`. */
export const writeCommit = (entries: readonly CommitEntry[], dedupeWindowMs: number): void => {
  const subjects = new Places();
  const objects = new Places();
  const places = entries.map(({ subject, body }) => ({
    subject: subjects.of(subject),
    object: body.object === "" ? 0 : objects.of(body.object),
  }));
  writer.arrayHead(5);
  writer.number(dedupeWindowMs);
  writer.value(subjects.names);
  writer.value(objects.names);
  writer.arrayHead(entries.length * itemsPerEntry);
  for (const [index, { headers, body, messageId, expectedLastSequence }] of entries.entries()) {
    writer.number(places[index]?.subject ?? 0);
    writer.number(places[index]?.object ?? 0);
    writer.number(body.offset);
    writer.number(body.length);
    writer.binary(body.sha256);
    writeHeaders(headers);
    writer.value(messageId);
    writer.value(expectedLastSequence);
  }
  writeExtras(entries);
};

const startValueOf = ({ start }: ConsumerConfig): number => {
  switch (start.kind) {
    case "first":
    case "new":
      return 0;
    case "sequence":
      return start.sequence;
    case "time":
      return start.timestampMs;
  }
};

/** A configuration as `mts_put_consumer` takes it. */
export const configItems = (config: ConsumerConfig): readonly unknown[] => [
  config.start.kind,
  startValueOf(config),
  config.ack,
  config.ackWaitMs,
  config.maxDeliver,
  config.maxAckPending,
  config.deadLetter,
];

// Answers --------------------------------------------------------------------------------------------------------

/** Subjects of a commit with their time and the sequence that the next committed entry has. */
class Lanes {
  readonly #places = new Places();
  readonly #times: readonly unknown[];
  readonly #next: number[];

  constructor(times: unknown, firsts: unknown) {
    this.#times = listOf(times);
    this.#next = listOf(firsts).map(intOf);
  }

  committed(subject: Subject): CommitOutcome {
    const lane = this.#places.of(subject) - 1;
    const sequence = intOf(this.#next[lane]);
    this.#next[lane] = sequence + 1;
    return { status: "committed", sequence, timestampMs: intOf(this.#times[lane]) };
  }

  /** Keeps the subjects in the order of the request. */
  notCommitted(subject: Subject, outcome: unknown): CommitOutcome {
    this.#places.of(subject);
    const [status, sequence, timestampMs, isDuplicate] = listOf(outcome);
    switch (status) {
      case 1:
        return { status: "duplicate", sequence: intOf(sequence), timestampMs: intOf(timestampMs) };
      case 2:
        return { status: "wrong_last_sequence", lastSequence: intOf(sequence) };
      case 3:
        return { status: "subject_full" };
      case 4:
        return { status: "body_gone" };
      case 5:
        return {
          status: "scheduled",
          scheduleId: textOf(sequence),
          dueAtMs: intOf(timestampMs),
          duplicate: isDuplicate === true,
        };
      default:
        return wrong("an outcome of another kind");
    }
  }
}

/** The outcomes of a commit, in the order of its entries. */
export const commitOutcomes = (answer: unknown, entries: readonly CommitEntry[]): readonly CommitOutcome[] => {
  const [times, firsts, exceptions] = listOf(answer);
  const lanes = new Lanes(times, firsts);
  const others = listOf(exceptions);
  let next = 0;
  return entries.map(({ subject }, index) => {
    if (others[next] !== index + 1) return lanes.committed(subject);
    next += 2;
    return lanes.notCommitted(subject, others[next - 1]);
  });
};

/** A message of which only the object's name is known; its body shows as one that no bytes match. */
export const isUnmeasured = (body: BodyRef): boolean => body.sha256 === emptyDigest;

const headersOf = (value: unknown): Headers => {
  if (value === undefined || value === null) return noHeaders;
  // An empty map of another language is an empty list in Lua.
  if (Array.isArray(value)) return noHeaders;
  if (typeof value !== "object") return wrong("headers that are no map");
  return value as Headers;
};

const objectsOf = (value: unknown): ReadonlyMap<number, string> => {
  const items = listOf(value);
  const names = new Map<number, string>([[0, ""]]);
  for (let place = 0; place + 1 < items.length; place += 2) names.set(intOf(items[place]), textOf(items[place + 1]));
  return names;
};

/** A whole number of a field that is empty, or missing at the end of a row, where there is none. */
export const optionalOf = (value: unknown): number | undefined =>
  value === undefined || value === null ? undefined : intOf(value);

const envelopesOf = (subject: Subject, rows: unknown, objects: unknown): Envelope[] => {
  const names = objectsOf(objects);
  return listOf(rows).map((row): Envelope => {
    const [, sequence, timestamp, object, , offset, length, sha256, headers, expiresAt, stored] = listOf(row);
    const isMeasured = sha256 instanceof Uint8Array;
    const expiresAtMs = optionalOf(expiresAt);
    const storedLength = optionalOf(stored);
    return {
      subject,
      sequence: intOf(sequence),
      timestampMs: intOf(timestamp),
      headers: headersOf(headers),
      body: {
        object: names.get(intOf(object)) ?? "",
        offset: intOf(offset),
        length: isMeasured ? intOf(length) : 0,
        // A copy: the view would keep the whole answer in memory.
        sha256: isMeasured ? new Uint8Array(sha256) : emptyDigest,
        ...(storedLength === undefined ? {} : { storedLength }),
      },
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    };
  });
};

const headOf = (first: unknown, last: unknown): Head => ({ firstSequence: intOf(first), lastSequence: intOf(last) });

/** The answer of `mts_heads`. */
export const headsOf = (answer: unknown): readonly Head[] => {
  const items = listOf(answer);
  return Array.from({ length: items.length / 2 }, (_, index) => headOf(items[index * 2], items[index * 2 + 1]));
};

/** The answer of `mts_range`. */
export const envelopePage = (subject: Subject, answer: unknown): EnvelopePage => {
  const [first, last, rows, objects] = listOf(answer);
  return { head: headOf(first, last), envelopes: envelopesOf(subject, rows, objects) };
};

const ackModeOf = (value: unknown): AckMode =>
  value === "all" || value === "explicit" ? value : wrong("no way to acknowledge");

/** The answer of `mts_pull` and `mts_peek`. */
export const pulledPage = (subject: Subject, answer: unknown): PulledPage => {
  const [first, last, ack, ackedThrough, next, due, saturated, deliveries, rows, objects] = listOf(answer);
  const counts = listOf(deliveries);
  return {
    head: headOf(first, last),
    ack: ackModeOf(ack),
    ackedThrough: intOf(ackedThrough),
    nextSequence: intOf(next),
    envelopes: envelopesOf(subject, rows, objects).map((envelope, index) => ({
      ...envelope,
      deliveries: intOf(counts[index]),
    })),
    nextDueInMs: due === null ? null : intOf(due),
    saturated: saturated === true,
  };
};

/** A consumer's state, or null. */
export const stateOf = (answer: unknown): ConsumerState | null => {
  if (answer === null) return null;
  const [name, subject, ack, acked, delivered, pending, ackPending, redelivered, createdAt, deadLetter] =
    listOf(answer);
  return {
    name: textOf(name) as ConsumerName,
    subject: textOf(subject) as Subject,
    ack: ackModeOf(ack),
    ackedThrough: intOf(acked),
    deliveredThrough: intOf(delivered),
    pending: intOf(pending),
    ackPending: intOf(ackPending),
    redelivered: intOf(redelivered),
    createdAtMs: intOf(createdAt),
    ...(typeof deadLetter === "string" ? { deadLetter: deadLetter as Subject } : {}),
  };
};

/** A whole number, or null. */
export const limitOf = (value: unknown): number | null => (value === null ? null : intOf(value));

const recipientsOf = (value: unknown): RetentionPolicy["recipients"] => {
  if (value === undefined || value === null) return null;
  return typeof value === "number" ? intOf(value) : (listOf(value).map(textOf) as ConsumerName[]);
};

/** A policy as `mts_put_policy` takes it, behind its filter. */
export const policyItems = (policy: RetentionPolicy): readonly unknown[] => [
  policy.maxAgeMs,
  policy.maxMessages,
  policy.maxBytes,
  policy.discard,
  policy.retain,
  policy.recipients,
  policy.recipientTimeoutMs,
];

/** `{filter, max_age_ms, max_messages, max_bytes, discard, retain, recipients, recipient_timeout_ms}`. */
export const policyOf = (answer: unknown): FilterPolicy => {
  const [filter, maxAgeMs, maxMessages, maxBytes, discard, retain, recipients, recipientTimeoutMs] = listOf(answer);
  const policy: RetentionPolicy = {
    maxAgeMs: limitOf(maxAgeMs),
    maxMessages: limitOf(maxMessages),
    maxBytes: limitOf(maxBytes),
    discard: discard === "old" || discard === "new" ? discard : wrong("no way to discard"),
    retain: retain === "limits" || retain === "acked" ? retain : wrong("no way to retain"),
    recipients: recipientsOf(recipients),
    recipientTimeoutMs: limitOf(recipientTimeoutMs),
  };
  return { filter: textOf(filter) as SubjectFilter, policy };
};

/** `{subject, first, last, messages, bytes}` from a place in a flat list on. */
export const summaryAt = (items: readonly unknown[], place: number): SubjectSummary => ({
  subject: textOf(items[place]) as Subject,
  ...headOf(items[place + 1], items[place + 2]),
  messages: intOf(items[place + 3]),
  bytes: intOf(items[place + 4]),
});

/** How far behind a consumer is, out of an answer's items. */
export const backlogAt = (items: readonly unknown[], place: number): ConsumerBacklog => ({
  subject: textOf(items[place]) as Subject,
  name: textOf(items[place + 1]) as ConsumerName,
  pending: intOf(items[place + 2]),
  ackPending: intOf(items[place + 3]),
});

const recipientStatuses: readonly unknown[] = [
  "acked",
  "pending",
  "absent",
  "timed_out",
  "exempt",
] satisfies readonly RecipientStatus[];

const statusOf = (value: unknown): RecipientStatus =>
  recipientStatuses.includes(value) ? (value as RecipientStatus) : wrong("no status of a recipient");

/** The answer of `mts_receipts`, or null. */
export const receiptsOf = (subject: Subject, sequence: Sequence, answer: unknown): Receipts | null => {
  if (answer === null) return null;
  const [released, recipientsTotal, acked, list] = listOf(answer);
  const items = listOf(list);
  return {
    subject,
    sequence,
    released: released === true,
    recipientsTotal: intOf(recipientsTotal),
    acked: intOf(acked),
    recipients: Array.from({ length: items.length / 2 }, (_, index) => ({
      name: textOf(items[index * 2]) as ConsumerName,
      status: statusOf(items[index * 2 + 1]),
    })),
  };
};
