/**
 * Compaction: handing out objects that are worth rewriting, and letting their messages point at what was written.
 * @module
 */
import type { BodyRef, Sequence } from "../../core/message.ts";
import type { SparseObject, SparseRequest } from "../contract.ts";
import type { DeadTable } from "./dead.ts";
import { type ObjectTable, type Reference, storedBytes } from "./objects.ts";
import type { Candidate, HolderRow, SparseTable } from "./sparse.ts";

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

/** Bodies of one answer, unless one object alone has more: as many as `moveBodies` takes at once. */
const bodiesMax = 10_000;
const digestBytes = 32;

/** Hands out objects that are worth rewriting; runs inside a transaction. */
export const takeSparseObjects = (
  tables: CompactTables,
  request: SparseRequest,
  nowMs: number,
): readonly SparseObject[] => {
  const taken: SparseObject[] = [];
  let [aliveBytes, bodyCount] = [0, 0];
  for (const candidate of candidates(tables.sparse, request, nowMs)) {
    if (taken.length >= request.objectsMax) break;
    if (taken.length > 0 && aliveBytes + candidate.alive_bytes > request.aliveBytesMax) break;
    const bodies = bodiesOf(tables, candidate);
    // Its messages are deleted already, and their rows on the way out; or it is not known what is in it.
    if (bodies.length === 0 || bodies.some(({ sha256 }) => sha256.length !== digestBytes)) continue;
    if (taken.length > 0 && bodyCount + bodies.length > bodiesMax) break;
    tables.sparse.take(candidate.id, nowMs + request.leaseMs);
    taken.push({ object: candidate.name, bodies });
    aliveBytes += candidate.alive_bytes;
    bodyCount += bodies.length;
  }
  return taken;
};

/** Sparse objects, then small ones when there are enough; more than are handed out, as some may be passed over. */
const candidates = (sparse: SparseTable, request: SparseRequest, nowMs: number): Iterable<Candidate> => {
  const { aliveShareMax, tinyBytes, tinyMin, minAgeMs, objectsMax } = request;
  const limit = 2 * objectsMax;
  const committedMsMax = nowMs - minAgeMs;
  const found = new Map<number, Candidate>();
  for (const each of sparse.sparse(aliveShareMax, committedMsMax, nowMs, limit)) found.set(each.id, each);
  const small = sparse.small(tinyBytes, committedMsMax, nowMs, Math.max(limit, tinyMin));
  if (small.length >= tinyMin) for (const each of small) found.set(each.id, each);
  return found.values();
};

/** What messages point at in an object, each range once, in the order of the offsets. */
const bodiesOf = (tables: CompactTables, { id, name }: Candidate): readonly BodyRef[] => {
  const bodies = new Map<string, BodyRef>();
  for (const holder of holdersOf(tables, id)) {
    const { body_offset: offset, body_length: length, stored_length, sha256 } = holder;
    bodies.set(rangeOf(offset, length), {
      object: name,
      offset,
      length,
      sha256,
      storedLength: stored_length ?? undefined,
    });
  }
  return [...bodies.values()].sort((a, b) => a.offset - b.offset || a.length - b.length);
};

/** The messages that point into an object, each once: what was moved into it may lie in ranges that overlap. */
const holdersOf = ({ objects, sparse }: CompactTables, objectId: number): readonly HolderRow[] => {
  const holders = new Map<string, HolderRow>();
  for (const span of objects.spans(objectId)) {
    for (const holder of sparse.holders(objectId, span)) holders.set(`${holder.subject_id} ${holder.sequence}`, holder);
  }
  return [...holders.values()];
};

const rangeOf = (offset: number, length: number): string => `${offset} ${length}`;

/** An object that bodies are moved into. */
interface Target {
  readonly id: number;
  readonly reference: Reference;
  /** Sequences that point into it now, by subject. */
  readonly sequences: Map<number, Sequence[]>;
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
  const sources = new Map<string, Map<string, BodyRef>>();
  const targets = new Map<string, Target>();
  for (const { from, to } of moves) {
    if (from.object === "" || to.object === "" || from.object === to.object) continue;
    if (!targets.has(to.object) && tables.dead.stateOf(to.object) !== "taken") {
      const reference = { messages: 0, newBytes: 0, aliveBytes: 0 };
      const id = tables.objects.refer(to.object, reference, nowMs);
      targets.set(to.object, { id, reference, sequences: new Map() });
    }
    let ranges = sources.get(from.object);
    if (ranges === undefined) sources.set(from.object, (ranges = new Map<string, BodyRef>()));
    ranges.set(rangeOf(from.offset, from.length), to);
  }
  let moved = 0;
  for (const [source, ranges] of sources) {
    const id = tables.objects.idOf(source);
    if (id !== undefined) moved += emptySource({ tables, targets, lingerMs, nowMs }, id, ranges);
  }
  for (const [object, target] of targets) saveTarget(tables, object, target, nowMs);
  return moved;
};

/** Lets the messages of one object that point at these ranges point elsewhere; answers how many that were. */
const emptySource = (
  { tables, targets, lingerMs, nowMs }: Moving,
  sourceId: number,
  ranges: ReadonlyMap<string, BodyRef>,
): number => {
  const met = new Set<BodyRef>();
  let [moved, bytes] = [0, 0];
  for (const holder of holdersOf(tables, sourceId)) {
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
