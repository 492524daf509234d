/**
 * Committing messages: first every entry is decided on, then the rows are written, each subject and object once.
 * Nothing is kept between two commits, so there is nothing to go stale when one is undone.
 * @module
 */
import { assert } from "../../core/errors.ts";
import { sequenceMax } from "../../core/limits.ts";
import type { Sequence } from "../../core/message.ts";
import type { RetentionPolicy } from "../../core/policy.ts";
import type { Subject } from "../../core/subject.ts";
import type { CommitEntry, CommitOutcome } from "../contract.ts";
import type { ActorTable } from "./actor-tables.ts";
import type { DeadState, DeadTable } from "./dead.ts";
import type { DelayedTable } from "./delayed.ts";
import type { MessageIdTable, RememberedMessage } from "./message-ids.ts";
import type { MessageInsert } from "./message-inserts.ts";

import type { MovedNotes } from "./moved.ts";
import { noObjectId, type ObjectTable, type Origin } from "./objects.ts";
import { References } from "./references.ts";
import { cutExpired, type RetentionTables, trimSubject } from "./retention.ts";
import { bytesOf, messagesOf } from "./subjects.ts";

/** A subject while its batch is decided on. */
interface Lane {
  readonly subject: Subject;
  /** Undefined until the subject has a row. */
  id: number | undefined;
  readonly timestampMs: number;
  /** Undefined where everything is kept. */
  readonly policy: RetentionPolicy | undefined;
  lastSequence: Sequence;
  bodyBytes: number;
  /** What is stored. */
  messages: number;
  bytes: number;
  /** When the first time to live ends of those in the batch. */
  expiresAtMs: number | undefined;
  /** What is to be stored, ascending; kept by subject because neighbours in the table are cheaper to write. */
  readonly accepted: Accepted[];
  /** Message ids of this batch. */
  messageIds: Map<string, RememberedMessage> | undefined;
  /** Delayed messages of this batch by their message ids. */
  scheduledIds: Map<string, Scheduled> | undefined;
}

/** An entry that is stored. */
interface Accepted extends MessageInsert {
  readonly lane: Lane;
  objectId: number;
}

/** An entry that is kept for later. */
interface Scheduled {
  readonly entry: CommitEntry;
  readonly dueAtMs: number;
  /** Its own, and those of its duplicates in the batch; they get its number when it is written. */
  readonly outcomes: ScheduledOutcome[];
}

interface ScheduledOutcome {
  readonly status: "scheduled";
  scheduleId: string;
  readonly dueAtMs: number;
  readonly duplicate: boolean;
}

/** What a commit writes into. */
export interface CommitTables extends RetentionTables {
  readonly actors: ActorTable;
  readonly messageIds: MessageIdTable;
  readonly dead: DeadTable;
  readonly delayed: DelayedTable;
  readonly objects: ObjectTable;
  readonly moved: MovedNotes;
}

/** What is known of the objects of a batch; undefined for one that is not dead. */
type ObjectStates = Map<string, DeadState | undefined>;

/** A commit on its way. */
interface Batch {
  readonly tables: CommitTables;
  readonly nowMs: number;
  readonly origin: Origin;
  readonly lanes: Map<Subject, Lane>;
  readonly objects: ObjectStates;
  readonly scheduled: Scheduled[];
}

/** Commits entries; runs inside a transaction. */
export const commitEntries = (
  tables: CommitTables,
  entries: readonly CommitEntry[],
  nowMs: number,
  origin: Origin = "published",
): readonly CommitOutcome[] => {
  const lanes = new Map<Subject, Lane>();
  const batch: Batch = { tables, nowMs, origin, lanes, objects: new Map(), scheduled: [] };
  const outcomes: CommitOutcome[] = [];
  for (const entry of entries) {
    let lane = lanes.get(entry.subject);
    if (lane === undefined) lanes.set(entry.subject, (lane = openLane(tables, entry.subject, nowMs)));
    outcomes.push(decide(batch, lane, entry));
  }
  saveLanes(tables, lanes);
  const objectIds = referObjects(batch);
  saveMessages(batch, objectIds);
  saveScheduled(batch, objectIds);
  trimLanes(batch);
  return outcomes;
};

const openLane = (tables: CommitTables, subject: Subject, nowMs: number): Lane => {
  // Where everything is kept it makes no difference to a commit what was.
  const policy = tables.policies.of(subject);
  if (policy !== undefined) cutExpired(tables, subject, nowMs);
  const row = tables.subjects.find(subject);
  return {
    subject,
    id: row?.id,
    // The clock may have been set back; the subject's time is not.
    timestampMs: Math.max(nowMs, row?.last_published_at ?? 0),
    policy,
    lastSequence: row?.last_sequence ?? 0,
    bodyBytes: row?.body_bytes ?? 0,
    messages: row === null ? 0 : messagesOf(row),
    bytes: row === null ? 0 : bytesOf(row),
    expiresAtMs: undefined,
    accepted: [],
    messageIds: undefined,
    scheduledIds: undefined,
  };
};

const decide = (batch: Batch, lane: Lane, entry: CommitEntry): CommitOutcome => {
  const { tables, nowMs, objects } = batch;
  const { messageId, expectedLastSequence } = entry;
  const before = messageId === undefined ? undefined : remembered(tables, lane, messageId, nowMs);
  if (before !== undefined) return { status: "duplicate", ...before };
  const waiting = messageId === undefined ? undefined : waitingMessage(batch, lane, messageId);
  if (waiting !== undefined) return waiting;
  if (expectedLastSequence !== undefined && expectedLastSequence !== lane.lastSequence) {
    return { status: "wrong_last_sequence", lastSequence: lane.lastSequence };
  }
  const dueAtMs = dueTime(entry, nowMs);
  if (dueAtMs > nowMs) return schedule(batch, lane, entry, dueAtMs);
  if (lane.policy !== undefined && isFull(lane, lane.policy, entry.body.length)) return { status: "subject_full" };
  if (isTaken(tables, objects, entry.body.object)) return { status: "body_gone" };
  assert(lane.lastSequence < sequenceMax, "A subject has no sequence left.");
  const sequence = ++lane.lastSequence;
  lane.bodyBytes += entry.body.length;
  lane.bytes += entry.body.length;
  lane.messages++;
  if (entry.ttlMs !== undefined) {
    lane.expiresAtMs = Math.min(lane.expiresAtMs ?? Infinity, lane.timestampMs + entry.ttlMs);
  }
  lane.accepted.push({ entry, lane, sequence, bodyBytesThrough: lane.bodyBytes, objectId: noObjectId });
  if (messageId !== undefined) {
    lane.messageIds ??= new Map();
    lane.messageIds.set(messageId, { sequence, timestampMs: lane.timestampMs });
  }
  return { status: "committed", sequence, timestampMs: lane.timestampMs };
};

/** When an entry is committed; now, when it does not say. */
const dueTime = ({ deliverAt }: CommitEntry, nowMs: number): number => {
  if (deliverAt === undefined) return nowMs;
  return "atMs" in deliverAt ? deliverAt.atMs : nowMs + deliverAt.inMs;
};

/** Keeps an entry for later. Whether the policy has room for it is seen then. */
const schedule = (batch: Batch, lane: Lane, entry: CommitEntry, dueAtMs: number): CommitOutcome => {
  if (isTaken(batch.tables, batch.objects, entry.body.object)) return { status: "body_gone" };
  const scheduled: Scheduled = { entry, dueAtMs, outcomes: [] };
  batch.scheduled.push(scheduled);
  if (entry.messageId !== undefined) {
    lane.scheduledIds ??= new Map();
    lane.scheduledIds.set(entry.messageId, scheduled);
  }
  return outcomeOf(scheduled, false);
};

/** What waits under a message id already, unless it is what comes now. */
const waitingMessage = ({ tables, origin }: Batch, lane: Lane, messageId: string): CommitOutcome | undefined => {
  if (origin === "delayed") return undefined;
  const scheduled = lane.scheduledIds?.get(messageId);
  if (scheduled !== undefined) return outcomeOf(scheduled, true);
  const found = tables.delayed.find(lane.subject, messageId);
  if (found === undefined) return undefined;
  return { status: "scheduled", scheduleId: String(found.id), dueAtMs: found.due_at, duplicate: true };
};

const outcomeOf = ({ dueAtMs, outcomes }: Scheduled, duplicate: boolean): CommitOutcome => {
  const outcome: ScheduledOutcome = { status: "scheduled", scheduleId: "", dueAtMs, duplicate };
  outcomes.push(outcome);
  return outcome;
};

const isFull = (lane: Lane, { maxMessages, maxBytes, discard }: RetentionPolicy, bodyBytes: number): boolean => {
  if (maxBytes !== null && bodyBytes > maxBytes) return true;
  if (discard === "old") return false;
  if (maxMessages !== null && lane.messages >= maxMessages) return true;
  return maxBytes !== null && lane.bytes + bodyBytes > maxBytes;
};

/** Whether the object is being deleted; each is looked up once. */
const isTaken = (tables: CommitTables, objects: ObjectStates, object: string): boolean => {
  if (!objects.has(object)) objects.set(object, object === "" ? undefined : tables.dead.stateOf(object));
  return objects.get(object) === "taken";
};

const remembered = (
  tables: CommitTables,
  lane: Lane,
  messageId: string,
  nowMs: number,
): RememberedMessage | undefined =>
  lane.messageIds?.get(messageId) ??
  (lane.id === undefined ? undefined : tables.messageIds.find(lane.id, messageId, nowMs));

const saveLanes = (tables: CommitTables, lanes: ReadonlyMap<Subject, Lane>): void => {
  for (const lane of lanes.values()) {
    const { subject, id, lastSequence, bodyBytes, timestampMs, expiresAtMs, accepted } = lane;
    if (accepted.length === 0) continue;
    if (id === undefined) lane.id = tables.subjects.insert(subject, lastSequence, bodyBytes, timestampMs);
    else tables.subjects.advance(id, lastSequence, bodyBytes, timestampMs);
    if (expiresAtMs !== undefined && lane.id !== undefined) tables.subjects.expireBy(lane.id, expiresAtMs);
  }
};

const saveMessages = (batch: Batch, objectIds: ReadonlyMap<string, number>): void => {
  const { tables, lanes, nowMs, origin } = batch;
  const rows: Accepted[] = [];
  let newIds = 0;
  for (const lane of lanes.values()) {
    for (const row of lane.accepted) {
      row.objectId = objectIdOf(objectIds, row.entry);
      rows.push(row);
      if (origin !== "published") tables.moved.note(lane.subject, row.sequence);
    }
    saveSpans(tables.objects, lane, origin);
    if (lane.messageIds !== undefined) newIds += saveMessageIds(tables, lane, nowMs);
  }
  tables.messages.insert(rows);
  if (rows.length > 0) tables.messageIds.clean(newIds, nowMs);
};

const objectIdOf = (objectIds: ReadonlyMap<string, number>, { body }: CommitEntry): number => {
  const objectId = objectIds.get(body.object);
  assert(objectId !== undefined, "Every object of the batch was looked up.");
  return objectId;
};

/** Notes in which objects the messages of a subject are. */
const saveSpans = (objects: ObjectTable, { id, accepted }: Lane, origin: Origin): void => {
  let [first, last] = [accepted[0], accepted[0]];
  for (const row of accepted) {
    if (row.objectId !== first?.objectId) {
      saveSpan(objects, id, first, last, origin);
      first = row;
    }
    last = row;
  }
  saveSpan(objects, id, first, last, origin);
};

const saveSpan = (
  objects: ObjectTable,
  subjectId: number | undefined,
  first: Accepted | undefined,
  last: Accepted | undefined,
  origin: Origin,
): void => {
  if (subjectId === undefined || first === undefined || last === undefined) return;
  objects.noteSpan(first.objectId, subjectId, first.sequence, last.sequence, origin);
};

/** How many there were. */
const saveMessageIds = (tables: CommitTables, { id, accepted, timestampMs }: Lane, nowMs: number): number => {
  let count = 0;
  for (const { entry, sequence } of accepted) {
    if (entry.messageId === undefined) continue;
    assert(id !== undefined, "A subject with messages has a row.");
    tables.messageIds.remember(id, entry.messageId, { sequence, timestampMs }, nowMs);
    count++;
  }
  return count;
};

const saveScheduled = ({ tables, scheduled }: Batch, objectIds: ReadonlyMap<string, number>): void => {
  for (const each of scheduled) {
    const objectId = objectIdOf(objectIds, each.entry);
    const scheduleId = String(tables.delayed.insert(each.entry, objectId, each.dueAtMs));
    for (const outcome of each.outcomes) outcome.scheduleId = scheduleId;
  }
};

/** Ids of the batch's objects; each is looked up and counted once. */
const referObjects = (batch: Batch): ReadonlyMap<string, number> => {
  const { tables, lanes, scheduled, objects, origin, nowMs } = batch;
  const references = new References(origin);
  for (const { accepted } of lanes.values()) for (const { entry } of accepted) references.add(entry);
  for (const { entry } of scheduled) references.add(entry);
  const ids = new Map<string, number>();
  for (const [object, reference] of references.all()) {
    if (objects.get(object) === "waiting") tables.dead.revive(object);
    ids.set(object, tables.objects.refer(object, reference, nowMs));
  }
  return ids;
};

/** Makes room after the fact: the oldest messages of subjects that have too many now go. */
const trimLanes = ({ tables, lanes, nowMs }: Batch): void => {
  for (const { subject, policy, accepted } of lanes.values()) {
    if (accepted.length === 0 || policy === undefined) continue;
    const row = tables.subjects.find(subject);
    if (row !== null) trimSubject(tables, row, policy, nowMs);
  }
};
