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
import type { DeadState, DeadTable } from "./dead.ts";
import type { MessageIdTable, RememberedMessage } from "./message-ids.ts";
import { cutExpired, type RetentionTables, trimSubject } from "./retention.ts";

/** A subject while its batch is decided on. */
interface Lane {
  readonly subject: Subject;
  /** Undefined until the subject has a row. */
  id: number | undefined;
  readonly timestampMs: number;
  /** Undefined where everything is kept. */
  readonly policy: RetentionPolicy | undefined;
  readonly firstSequence: Sequence;
  lastSequence: Sequence;
  readonly purgedBytes: number;
  bodyBytes: number;
  changed: boolean;
  /** Message ids of this batch. */
  messageIds: Map<string, RememberedMessage> | undefined;
}

interface Accepted {
  readonly entry: CommitEntry;
  readonly lane: Lane;
  readonly sequence: Sequence;
  readonly bodyBytesThrough: number;
}

/** What a commit writes into. */
export interface CommitTables extends RetentionTables {
  readonly messageIds: MessageIdTable;
  readonly dead: DeadTable;
}

/** What is known of the objects of a batch; undefined for one that is not dead. */
type ObjectStates = Map<string, DeadState | undefined>;

/** A commit on its way. */
interface Batch {
  readonly tables: CommitTables;
  readonly nowMs: number;
  readonly lanes: Map<Subject, Lane>;
  readonly objects: ObjectStates;
  readonly accepted: Accepted[];
}

/** Commits entries; runs inside a transaction. */
export const commitEntries = (
  tables: CommitTables,
  entries: readonly CommitEntry[],
  nowMs: number,
): readonly CommitOutcome[] => {
  const batch: Batch = { tables, nowMs, lanes: new Map(), objects: new Map(), accepted: [] };
  const { lanes } = batch;
  const outcomes: CommitOutcome[] = [];
  for (const entry of entries) {
    let lane = lanes.get(entry.subject);
    if (lane === undefined) lanes.set(entry.subject, (lane = openLane(tables, entry.subject, nowMs)));
    outcomes.push(decide(batch, lane, entry));
  }
  saveLanes(tables, lanes);
  saveMessages(batch);
  trimLanes(batch);
  return outcomes;
};

const openLane = (tables: CommitTables, subject: Subject, nowMs: number): Lane => {
  cutExpired(tables, subject, nowMs);
  const row = tables.subjects.find(subject);
  return {
    subject,
    id: row?.id,
    // The clock may have been set back; the subject's time is not.
    timestampMs: Math.max(nowMs, row?.last_published_at ?? 0),
    policy: tables.policies.of(subject),
    firstSequence: row?.first_sequence ?? 1,
    lastSequence: row?.last_sequence ?? 0,
    purgedBytes: row?.purged_bytes ?? 0,
    bodyBytes: row?.body_bytes ?? 0,
    changed: false,
    messageIds: undefined,
  };
};

const decide = ({ tables, nowMs, objects, accepted }: Batch, lane: Lane, entry: CommitEntry): CommitOutcome => {
  const { messageId, expectedLastSequence } = entry;
  const before = messageId === undefined ? undefined : remembered(tables, lane, messageId, nowMs);
  if (before !== undefined) return { status: "duplicate", ...before };
  if (expectedLastSequence !== undefined && expectedLastSequence !== lane.lastSequence) {
    return { status: "wrong_last_sequence", lastSequence: lane.lastSequence };
  }
  if (lane.policy !== undefined && isFull(lane, lane.policy, entry.body.length)) return { status: "subject_full" };
  if (isTaken(tables, objects, entry.body.object)) return { status: "body_gone" };
  assert(lane.lastSequence < sequenceMax, "A subject has no sequence left.");
  const sequence = ++lane.lastSequence;
  lane.bodyBytes += entry.body.length;
  lane.changed = true;
  accepted.push({ entry, lane, sequence, bodyBytesThrough: lane.bodyBytes });
  if (messageId !== undefined) {
    lane.messageIds ??= new Map();
    lane.messageIds.set(messageId, { sequence, timestampMs: lane.timestampMs });
  }
  return { status: "committed", sequence, timestampMs: lane.timestampMs };
};

const isFull = (lane: Lane, { maxMessages, maxBytes, discard }: RetentionPolicy, bodyBytes: number): boolean => {
  if (maxBytes !== null && bodyBytes > maxBytes) return true;
  if (discard === "old") return false;
  if (maxMessages !== null && lane.lastSequence - lane.firstSequence + 1 >= maxMessages) return true;
  return maxBytes !== null && lane.bodyBytes - lane.purgedBytes + bodyBytes > maxBytes;
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
    const { subject, id, lastSequence, bodyBytes, timestampMs } = lane;
    if (!lane.changed) continue;
    if (id === undefined) lane.id = tables.subjects.insert(subject, lastSequence, bodyBytes, timestampMs);
    else tables.subjects.advance(id, lastSequence, bodyBytes, timestampMs);
  }
};

const saveMessages = (batch: Batch): void => {
  const { tables, accepted, nowMs } = batch;
  const objectIds = referObjects(batch);
  let newIds = 0;
  for (const { entry, lane, sequence, bodyBytesThrough } of accepted) {
    assert(lane.id !== undefined, "A subject with messages has a row.");
    const objectId = objectIds.get(entry.body.object);
    assert(objectId !== undefined, "Every object of the batch was looked up.");
    tables.messages.insert(lane.id, sequence, lane.timestampMs, entry, objectId, bodyBytesThrough);
    if (entry.messageId === undefined) continue;
    newIds++;
    tables.messageIds.remember(lane.id, entry.messageId, { sequence, timestampMs: lane.timestampMs }, nowMs);
  }
  if (accepted.length > 0) tables.messageIds.clean(newIds, nowMs);
};

/** Ids of the batch's objects; each is looked up and counted once. */
const referObjects = ({ tables, accepted, objects }: Batch): ReadonlyMap<string, number> => {
  const messages = new Map<string, number>();
  for (const { entry } of accepted) messages.set(entry.body.object, (messages.get(entry.body.object) ?? 0) + 1);
  const ids = new Map<string, number>();
  for (const [object, count] of messages) {
    if (objects.get(object) === "waiting") tables.dead.revive(object);
    ids.set(object, tables.messages.refer(object, count));
  }
  return ids;
};

/** Makes room after the fact: the oldest messages of subjects that have too many now go. */
const trimLanes = ({ tables, lanes, nowMs }: Batch): void => {
  for (const { subject, policy, changed } of lanes.values()) {
    if (!changed || policy === undefined) continue;
    const row = tables.subjects.find(subject);
    if (row !== null) trimSubject(tables, row, policy, nowMs);
  }
};
