/**
 * Compaction: handing out objects that are worth rewriting, and letting their messages point at what was written.
 * @module
 */
import type { BodyRef, Sequence } from "../../core/message.ts";
import type { SparseObject, SparseRequest } from "../contract.ts";
import type { DeadTable } from "./dead.ts";
import { type ObjectTable, type Reference, type SpanRow, storedBytes } from "./objects.ts";
import { pieceLength, sortedInPieces } from "./sorted-in-pieces.ts";
import type { Candidate, HolderRow, SparseTable, Wanted } from "./sparse.ts";

/** What compaction reads and writes. */
export interface CompactTables {
  readonly objects: ObjectTable;
  readonly sparse: SparseTable;
  readonly dead: DeadTable;
}

/** A range of bodies to be moved. */
export interface Move {
  readonly from: BodyRef;
  readonly to: BodyRef;
}

/** Messages of one answer, unless one object alone has more: no more bodies than `moveBodies` takes at once. */
const messagesMax = 10_000;
const digestBytes = 32;

/**
 * Objects that may be worth rewriting: sparse ones, then small ones when there are enough; more than are handed out, as
 * some may be passed over. Looks at them piece by piece.
 */
export function* candidatesOf(
  sparse: SparseTable,
  request: SparseRequest,
  wanted: Wanted,
): Generator<undefined, Candidate[]> {
  const { aliveShareMax, tinyBytes, tinyMin } = request;
  const found = new Map<number, Candidate>();
  for (const each of yield* sparse.sparse(aliveShareMax, wanted)) found.set(each.id, each);
  const small = yield* sparse.small(tinyBytes, { ...wanted, limit: Math.max(wanted.limit, tinyMin) });
  if (small.length >= tinyMin) for (const each of small) found.set(each.id, each);
  return [...found.values()];
}

/** What is asked of candidates. */
export const wantedOf = ({ minAgeMs, objectsMax }: SparseRequest, nowMs: number): Wanted => ({
  committedMsMax: nowMs - minAgeMs,
  nowMs,
  limit: 2 * objectsMax,
});

/** Takes as many of the candidates from their beginning as one answer has room for. */
export const takeRoomful = (candidates: Candidate[], request: SparseRequest): readonly Candidate[] => {
  let [aliveBytes, messages] = [0, 0];
  const count = candidates.findIndex((candidate, index) => {
    aliveBytes += candidate.alive_bytes;
    messages += candidate.messages;
    return index >= request.objectsMax || (index > 0 && (aliveBytes > request.aliveBytesMax || messages > messagesMax));
  });
  return candidates.splice(0, count < 0 ? candidates.length : Math.max(1, count));
};

/** Hands candidates out, as far as they are to be had; runs inside a transaction. */
export const takeCandidates = (
  { sparse, objects }: CompactTables,
  candidates: readonly Candidate[],
  wanted: Wanted,
  untilMs: number,
): readonly Candidate[] => {
  const taken = candidates.filter(({ id }) => sparse.take(id, wanted, untilMs));
  for (const { id } of taken) objects.holders.expect(id);
  return taken;
};

/** What is left in an object that was handed out, looked at piece by piece; undefined when it is not to be rewritten. */
export function* sparseObjectOf(
  tables: CompactTables,
  candidate: Candidate,
): Generator<undefined, SparseObject | undefined> {
  const found = yield* holdersIn(tables, candidate.id, tables.objects.spans(candidate.id));
  const holders = yield* sortedInPieces(found, byPlace);
  tables.objects.holders.set(candidate.id, holders);
  yield undefined;
  const bodies = yield* bodiesOf(candidate, holders);
  // Its messages are deleted already, and their rows on the way out; or it is not known what is in it.
  if (bodies.length === 0 || bodies.some(({ sha256 }) => sha256.length !== digestBytes)) return undefined;
  return { object: candidate.name, bodies };
}

const byPlace = (a: HolderRow, b: HolderRow): number => a.body_offset - b.body_offset || a.body_length - b.body_length;

/** What messages point at in an object, each range once. @param holders in the order of the offsets */
function* bodiesOf({ name }: Candidate, holders: readonly HolderRow[]): Generator<undefined, readonly BodyRef[]> {
  const bodies: BodyRef[] = [];
  let before: HolderRow | undefined;
  for (const [index, holder] of holders.entries()) {
    if (index % pieceLength === pieceLength - 1) yield undefined;
    const isNew = before === undefined || byPlace(before, holder) !== 0;
    before = holder;
    if (!isNew) continue;
    const { body_offset: offset, body_length: length, stored_length, sha256 } = holder;
    bodies.push({ object: name, offset, length, sha256, storedLength: stored_length ?? undefined });
  }
  return bodies;
}

/** The messages that point into an object, each once: what was moved into it may lie in ranges that overlap. */
function* holdersIn(
  { sparse }: CompactTables,
  objectId: number,
  spans: readonly SpanRow[],
): Generator<undefined, readonly HolderRow[]> {
  const found: HolderRow[] = [];
  const throughs = new Map<number, Sequence>();
  const ascending = spans.toSorted((a, b) => a.subject_id - b.subject_id || a.first_sequence - b.first_sequence);
  for (const { subject_id, first_sequence, last_sequence } of ascending) {
    const through = throughs.get(subject_id) ?? 0;
    if (last_sequence <= through) continue;
    const rest = { subject_id, first_sequence: Math.max(first_sequence, through + 1), last_sequence };
    for (const holder of yield* sparse.holders(objectId, rest)) found.push(holder);
    throughs.set(subject_id, last_sequence);
  }
  return found;
}

/** The messages that point into an object at one of these offsets, and maybe others. */
const holdersAt = (tables: CompactTables, objectId: number, offsets: readonly number[]): readonly HolderRow[] => {
  const { objects } = tables;
  const steps = holdersIn(tables, objectId, objects.holders.spansOf(objectId, offsets) ?? objects.spans(objectId));
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
};

const rangeOf = (offset: number, length: number): string => `${offset} ${length}`;

/** An object that bodies are moved into. */
interface Target {
  readonly id: number;
  readonly reference: Reference;
  /** Sequences that point into it now, by subject. */
  readonly sequences: Map<number, Sequence[]>;
}

/** What is moved out of an object: where each range of it goes, and the offsets of them. */
interface Source {
  readonly ranges: Map<string, BodyRef>;
  readonly offsets: number[];
}

/** Moves on their way. */
interface Moving {
  readonly tables: CompactTables;
  /** Without those that are being deleted. */
  readonly targets: ReadonlyMap<string, Target>;
  readonly lingerMs: number;
  readonly nowMs: number;
}

/** Applies moves; answers how many messages were moved. Runs inside a transaction. */
export const applyMoves = (tables: CompactTables, moves: readonly Move[], lingerMs: number, nowMs: number): number => {
  const sources = new Map<string, Source>();
  const targets = new Map<string, Target>();
  for (const { from, to } of moves) {
    if (from.object === "" || to.object === "" || from.object === to.object) continue;
    if (!targets.has(to.object) && tables.dead.stateOf(to.object) !== "taken") {
      const reference = { messages: 0, newBytes: 0, aliveBytes: 0 };
      const id = tables.objects.refer(to.object, reference, nowMs);
      targets.set(to.object, { id, reference, sequences: new Map() });
    }
    let source = sources.get(from.object);
    if (source === undefined) sources.set(from.object, (source = { ranges: new Map(), offsets: [] }));
    source.ranges.set(rangeOf(from.offset, from.length), to);
    source.offsets.push(from.offset);
  }
  let moved = 0;
  for (const [object, source] of sources) {
    const id = tables.objects.idOf(object);
    if (id !== undefined) moved += emptySource({ tables, targets, lingerMs, nowMs }, id, source);
  }
  for (const [object, target] of targets) saveTarget(tables, object, target, nowMs);
  return moved;
};

/** Lets the messages of one object that point at these ranges point elsewhere; answers how many that were. */
const emptySource = (
  { tables, targets, lingerMs, nowMs }: Moving,
  sourceId: number,
  { ranges, offsets }: Source,
): number => {
  const met = new Set<BodyRef>();
  let [moved, bytes] = [0, 0];
  for (const holder of holdersAt(tables, sourceId, offsets)) {
    const { subject_id, sequence, body_offset, body_length, stored_length } = holder;
    const to = ranges.get(rangeOf(body_offset, body_length));
    const target = to === undefined ? undefined : targets.get(to.object);
    if (to === undefined || target === undefined) continue;
    tables.sparse.move(holder, target.id, to);
    moved++;
    bytes += stored_length ?? body_length;
    const { reference, sequences } = target;
    reference.messages++;
    reference.aliveBytes += storedBytes(to);
    if (!met.has(to)) reference.newBytes += storedBytes(to);
    met.add(to);
    const ofSubject = sequences.get(subject_id);
    if (ofSubject === undefined) sequences.set(subject_id, [sequence]);
    else ofSubject.push(sequence);
  }
  if (moved === 0) return 0;
  if (lingerMs > 0) tables.objects.linger(sourceId, nowMs + lingerMs);
  tables.objects.release(sourceId, moved, bytes, nowMs);
  return moved;
};

/** Counts what came into an object and notes where it is; an object that nothing points into is dead. */
const saveTarget = (
  tables: CompactTables,
  object: string,
  { id, reference, sequences }: Target,
  nowMs: number,
): void => {
  if (reference.messages === 0) {
    tables.objects.release(id, 0, 0, nowMs);
    return;
  }
  tables.dead.revive(object);
  tables.objects.refer(object, reference, nowMs);
  for (const [subjectId, each] of sequences) tables.objects.addSpans(id, subjectId, each);
};
