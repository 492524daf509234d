/**
 * The committer: one a node. It merges what many subjects want to publish into one body write and one metadata
 * transaction, lets body writes overlap, and commits in the order in which the requests came, so that one publisher's
 * order holds. Nobody is answered, and nothing is pushed, before both are durable.
 * @module
 */
import type { BodyStore } from "../src/bodies/contract.ts";
import { assert, StreamError, toStreamError } from "../src/core/errors.ts";
import type { BodyRef, Draft, Message, PublishOutcome } from "../src/core/message.ts";
import type { Subject } from "../src/core/subject.ts";
import type { CommitEntry, CommitOutcome, MetadataStore, Moved } from "../src/metadata/contract.ts";
import type { Ticket } from "./ticket.ts";

/** Drafts of one subject, in order, whose large bodies are stored already. */
export interface CommitRequest {
  readonly subject: Subject;
  readonly drafts: readonly Draft[];
  /** Bytes of the inline bodies. */
  readonly bytes: number;
  /** Decides whether it is committed or was given up before. */
  readonly ticket: Ticket;
  /** Called once with the outcomes in the drafts' order; late, and of no interest, for one that was given up. */
  readonly settle: (outcomes: readonly PublishOutcome[]) => void;
}

/** A message that was committed here just now. */
export interface RecentMessage extends Message {
  /** Where its body is stored. */
  readonly ref: BodyRef;
  /** Unix milliseconds by this node's clock from which on the store alone says whether it is still there. */
  readonly freshUntilMs?: number | undefined;
}

/**
 * Newly committed messages of one subject, ascending and without a gap. A large body is not in memory: undefined; of
 * what the store committed by itself none is, and the list is empty.
 */
export interface CommittedRun {
  readonly subject: Subject;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly messages: readonly (RecentMessage | undefined)[];
}

/** A commit whose outcome the store did not tell. */
export interface DoubtfulCommit {
  /** Unix milliseconds by this node's clock, before the store was called. */
  readonly startedAtMs: number;
  /** Bodies of its messages by subject. */
  readonly bodies: ReadonlyMap<Subject, readonly BodyRef[]>;
}

/** Bounds of the committer, and whom it tells. */
export interface CommitterOptions {
  /** Most messages in one body write. */
  readonly batchCountMax: number;
  /** Most body bytes in one write (a single larger request goes alone). */
  readonly batchBytesMax: number;
  /** Body writes under way at once. */
  readonly writesMax: number;
  /** Messages that wait or are being written; past it `room()` waits. */
  readonly waitingCountMax: number;
  readonly waitingBytesMax: number;
  /** Unix milliseconds. */
  readonly clock: () => number;
  /** Told of new messages in the order of their commits, after their publishers were answered. Must not throw. */
  onCommitted(runs: readonly CommittedRun[]): void;
  /** Told of messages that may have been committed: the store did not say. Must not throw. */
  onUnknown(doubt: DoubtfulCommit): void;
  /** Told when messages were put aside for later, of the earliest. Must not throw. @param dueAtMs by the store's clock */
  onScheduled?(dueAtMs: number): void;
  /** Told of each transaction, for the metrics. */
  onTransaction?(figures: TransactionFigures): void;
}

/** What one transaction did. */
export interface TransactionFigures {
  /** All of its messages, refused ones included. */
  readonly messages: number;
  readonly committed: number;
  readonly duplicate: number;
  /** Put aside for later, now or before. */
  readonly scheduled: number;
  /** Bytes of the committed bodies. */
  readonly bytes: number;
}

interface Written {
  readonly requests: readonly CommitRequest[];
  /** One ref a draft, or why the write failed; undefined while it is under way. */
  result: { readonly refs: readonly BodyRef[] } | { readonly error: StreamError } | undefined;
}

const emptySha256 = Bun.SHA256.hash("", new Uint8Array(32)) as Uint8Array;
const emptyRef: BodyRef = { object: "", offset: 0, length: 0, sha256: emptySha256 };

/** Merges, writes, commits, answers. */
export class Committer {
  #queue: CommitRequest[] = [];
  /** Batches whose bodies are being written, oldest first; they commit in this order. */
  #writing: Written[] = [];
  #committing = false;
  #waitingCount = 0;
  #waitingBytes = 0;
  #roomWaiters: (() => void)[] = [];
  #scheduled = false;
  #idleWaiters: (() => void)[] = [];
  /** Committed and not yet told of, in order. */
  #untold: CommittedRun[] = [];
  /** What the store committed by itself while a commit of ours was under way: before or after it is not known yet. */
  #movedMeanwhile: CommittedRun[] = [];

  constructor(
    private readonly bodies: BodyStore,
    private readonly metadata: MetadataStore,
    private readonly options: CommitterOptions,
  ) {}

  /** Whether another request may be submitted now. */
  get hasRoom(): boolean {
    return this.#waitingCount < this.options.waitingCountMax && this.#waitingBytes < this.options.waitingBytesMax;
  }

  /** Resolves when there is room. */
  async room(): Promise<void> {
    while (!this.hasRoom) await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Takes a request; the order of the calls is the order of the commits. */
  submit(request: CommitRequest): void {
    this.#queue.push(request);
    this.#waitingCount += request.drafts.length;
    this.#waitingBytes += request.bytes;
    this.#schedule();
  }

  /** Resolves when nothing waits and nothing is under way. */
  async drained(): Promise<void> {
    while (this.#waitingCount > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /**
   * Tells of what the store committed by itself, in order with what was committed here: of one subject a lower sequence
   * is never told of after a higher one.
   */
  moved(moved: readonly Moved[]): void {
    const runs = moved.map(({ subject, first, last }) => ({
      subject,
      firstSequence: first,
      lastSequence: last,
      messages: [],
    }));
    if (this.#committing) this.#movedMeanwhile.push(...runs);
    else this.#tell(runs);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the I/O events of this turn: all frames that were read together become one batch.
    setImmediate(() => {
      this.#scheduled = false;
      this.#startWrites();
    });
  }

  #startWrites(): void {
    while (this.#queue.length > 0 && this.#writing.length < this.options.writesMax) {
      const batch = this.#takeBatch();
      this.#writing.push(batch);
      void this.#write(batch);
    }
  }

  #takeBatch(): Written {
    let count = 0;
    let bytes = 0;
    let end = 0;
    for (const request of this.#queue) {
      if (end > 0 && count + request.drafts.length > this.options.batchCountMax) break;
      if (end > 0 && bytes + request.bytes > this.options.batchBytesMax) break;
      count += request.drafts.length;
      bytes += request.bytes;
      end++;
    }
    const requests = end === this.#queue.length ? this.#queue : this.#queue.slice(0, end);
    this.#queue = end === this.#queue.length ? [] : this.#queue.slice(end);
    return { requests: this.#withoutWithdrawn(requests), result: undefined };
  }

  /** What was given up while it waited need not be written. */
  #withoutWithdrawn(requests: readonly CommitRequest[]): readonly CommitRequest[] {
    if (!requests.some(({ ticket }) => ticket.isWithdrawn)) return requests;
    for (const request of requests.filter(({ ticket }) => ticket.isWithdrawn))
      this.#settle(request, refusals(request, givenUp()));
    return requests.filter(({ ticket }) => !ticket.isWithdrawn);
  }

  async #write(batch: Written): Promise<void> {
    try {
      batch.result = { refs: await this.#writeBodies(batch) };
    } catch (error) {
      batch.result = { error: toStreamError(error) };
    }
    void this.#commitReady();
  }

  async #writeBodies(batch: Written): Promise<readonly BodyRef[]> {
    const refs: BodyRef[] = [];
    const bodies: Uint8Array[] = [];
    const slots: number[] = [];
    for (const request of batch.requests) {
      for (const { body } of request.drafts) {
        if (!(body instanceof Uint8Array)) refs.push(body);
        else if (body.length === 0) refs.push(emptyRef);
        else {
          slots.push(refs.length);
          bodies.push(body);
          refs.push(emptyRef);
        }
      }
    }
    if (bodies.length === 0) return refs;
    // The write is started before the hashing, so that hashing fills the time the disk takes.
    const writing = this.bodies.writeSegment(bodies);
    const hashes = bodies.map((body) => Bun.SHA256.hash(body, new Uint8Array(32)) as Uint8Array);
    const placements = await writing;
    for (const [index, slot] of slots.entries()) {
      const placement = placements[index];
      const sha256 = hashes[index];
      assert(placement !== undefined && sha256 !== undefined, "a segment write places every body");
      const length = bodies[index]?.length ?? 0;
      const { object, offset, storedLength } = placement;
      refs[slot] =
        storedLength === undefined
          ? { object, offset, length, sha256 }
          : { object, offset, length, sha256, storedLength };
    }
    return refs;
  }

  /** Commits the oldest batches whose bodies are there, in one transaction; one at a time. */
  async #commitReady(): Promise<void> {
    if (this.#committing) return;
    this.#committing = true;
    // Writes that share a flush end together, one microtask after the other: all of them are one transaction.
    await Promise.resolve();
    try {
      while (this.#writing[0]?.result !== undefined) {
        const ready: Written[] = [];
        for (const batch of this.#writing) {
          if (batch.result === undefined) break;
          ready.push(batch);
        }
        this.#writing.splice(0, ready.length);
        // The next bodies are written while these are committed.
        this.#startWrites();
        await this.#commit(ready);
      }
    } finally {
      this.#committing = false;
      this.#tell(this.#movedMeanwhile.splice(0));
    }
  }

  async #commit(batches: readonly Written[]): Promise<void> {
    const entries: CommitEntry[] = [];
    const requests: CommitRequest[] = [];
    for (const batch of batches) {
      if (batch.result === undefined || "error" in batch.result) {
        const error = batch.result?.error ?? new StreamError("internal", "A body write has no result.");
        for (const request of batch.requests) this.#settle(request, refusals(request, error));
        continue;
      }
      let index = 0;
      for (const request of batch.requests) {
        if (!request.ticket.begin()) {
          index += request.drafts.length;
          this.#settle(request, refusals(request, givenUp()));
          continue;
        }
        requests.push(request);
        for (const { subject, headers, messageId, expectedLastSequence, ttlMs, deliverAt } of request.drafts) {
          const body = batch.result.refs[index++];
          assert(body !== undefined, "every draft has a body ref");
          entries.push({ subject, headers, body, messageId, expectedLastSequence, ttlMs, deliverAt });
        }
      }
    }
    if (entries.length === 0) return;
    const startedAtMs = this.options.clock();
    let outcomes: readonly CommitOutcome[];
    try {
      outcomes = await this.metadata.commit(entries);
      assert(outcomes.length === entries.length, "a commit answers every entry");
    } catch (error) {
      const refusal = toStreamError(error);
      for (const request of requests) this.#settle(request, refusals(request, refusal));
      if (refusal.code === "outcome_unknown" || refusal.code === "internal") {
        this.options.onUnknown({ startedAtMs, bodies: bodiesBySubject(entries) });
      }
      return;
    }
    if (outcomes.some(isGone)) await this.#commitGone(requests, entries, outcomes);
    else this.#publishOutcomes(requests, entries, outcomes, startedAtMs);
  }

  /**
   * Writes bodies again whose object was taken for deletion before a message could point into it, and commits those
   * messages once more: into an object of their own, which nobody can have taken. A message that another one of its
   * subject has overtaken meanwhile is refused, because the order of one publisher holds.
   */
  async #commitGone(
    requests: readonly CommitRequest[],
    entries: readonly CommitEntry[],
    first: readonly CommitOutcome[],
  ): Promise<void> {
    const drafts = requests.flatMap((request) => request.drafts);
    const again = [...entries];
    const outcomes: (CommitOutcome | StreamError)[] = [...first];
    const slots = retryableSlots(drafts, entries, first);
    const startedAtMs = this.options.clock();
    if (slots.length === 0) {
      this.#publishOutcomes(requests, entries, first, startedAtMs);
      return;
    }
    const bodies = slots.flatMap((slot) => drafts[slot]?.body ?? []).filter((body) => body instanceof Uint8Array);
    try {
      const refs = await this.#writeApart(bodies);
      for (const [index, slot] of slots.entries()) {
        const [entry, ref] = [entries[slot], refs[index]];
        assert(entry !== undefined && ref !== undefined, "a slot is the place of an entry");
        again[slot] = { ...entry, body: { ...ref, sha256: entry.body.sha256 } };
      }
      const second = await this.metadata.commit(slots.flatMap((slot) => again[slot] ?? []));
      assert(second.length === slots.length, "a commit answers every entry");
      for (const [index, slot] of slots.entries()) outcomes[slot] = second[index] ?? bodyGone();
    } catch (error) {
      const refusal = toStreamError(error);
      for (const slot of slots) outcomes[slot] = refusal;
      if (refusal.code === "outcome_unknown" || refusal.code === "internal") {
        this.options.onUnknown({ startedAtMs, bodies: bodiesBySubject(slots.flatMap((slot) => again[slot] ?? [])) });
      }
    }
    this.#publishOutcomes(requests, again, outcomes, startedAtMs);
  }

  /** Writes bodies into objects that nobody else writes into: one for all, unless it is compressed as a whole. */
  async #writeApart(bodies: readonly Uint8Array[]): Promise<readonly BodyRef[]> {
    const whole = await this.bodies.writeObject(Buffer.concat(bodies));
    if (whole.storedLength === undefined || bodies.length === 1) {
      let end = 0;
      return bodies.map(({ length }) => ({ ...whole, length, offset: (end += length) - length }));
    }
    const refs: BodyRef[] = [];
    for (let start = 0; start < bodies.length; start += this.options.writesMax) {
      const some = bodies.slice(start, start + this.options.writesMax);
      refs.push(...(await Promise.all(some.map((body) => this.bodies.writeObject(body)))));
    }
    return refs;
  }

  #publishOutcomes(
    requests: readonly CommitRequest[],
    entries: readonly CommitEntry[],
    outcomes: readonly (CommitOutcome | StreamError)[],
    startedAtMs: number,
  ): void {
    const runs = new RunCollector(startedAtMs);
    let index = 0;
    let bytes = 0;
    let committed = 0;
    let duplicate = 0;
    let scheduled = 0;
    let dueAtMs = Number.POSITIVE_INFINITY;
    const settlements: PublishOutcome[][] = [];
    for (const request of requests) {
      const answered: PublishOutcome[] = [];
      for (const draft of request.drafts) {
        const entry = entries[index];
        const outcome = outcomes[index++];
        assert(entry !== undefined && outcome !== undefined, "outcomes match entries");
        answered.push(toPublishOutcome(entry.subject, outcome));
        if (outcome instanceof StreamError) continue;
        if (outcome.status === "duplicate") duplicate++;
        if (outcome.status === "scheduled") {
          scheduled++;
          if (outcome.dueAtMs < dueAtMs) dueAtMs = outcome.dueAtMs;
        }
        if (outcome.status !== "committed") continue;
        committed++;
        bytes += entry.body.length;
        runs.add(draft, entry, outcome.sequence, outcome.timestampMs);
      }
      settlements.push(answered);
    }
    this.options.onTransaction?.({ messages: entries.length, committed, duplicate, scheduled, bytes });
    for (const [i, request] of requests.entries()) this.#settle(request, settlements[i] ?? []);
    const meanwhile = this.#movedMeanwhile.splice(0);
    this.#tell(meanwhile.length === 0 ? runs.runs : inSequence([...runs.runs, ...meanwhile]));
    if (dueAtMs < Number.POSITIVE_INFINITY) this.options.onScheduled?.(dueAtMs);
  }

  /** Tells of new messages once the publishers have been answered: acknowledged first, then pushed. */
  #tell(runs: readonly CommittedRun[]): void {
    if (runs.length === 0) return;
    this.#untold.push(...runs);
    if (this.#untold.length > runs.length) return;
    setImmediate(() => this.options.onCommitted(this.#untold.splice(0)));
  }

  #settle(request: CommitRequest, outcomes: readonly PublishOutcome[]): void {
    this.#waitingCount -= request.drafts.length;
    this.#waitingBytes -= request.bytes;
    request.settle(outcomes);
    if (this.#roomWaiters.length > 0 && this.hasRoom) wake(this.#roomWaiters.splice(0));
    if (this.#idleWaiters.length > 0 && this.#waitingCount === 0) wake(this.#idleWaiters.splice(0));
  }
}

const bodiesBySubject = (entries: readonly CommitEntry[]): ReadonlyMap<Subject, readonly BodyRef[]> => {
  const bodies = new Map<Subject, BodyRef[]>();
  for (const { subject, body } of entries) {
    const known = bodies.get(subject);
    if (known === undefined) bodies.set(subject, [body]);
    else known.push(body);
  }
  return bodies;
};

const wake = (waiters: readonly (() => void)[]): void => {
  for (const waiter of waiters) waiter();
};

const refusals = (request: CommitRequest, error: StreamError): readonly PublishOutcome[] =>
  request.drafts.map(() => error);

const givenUp = (): StreamError => new StreamError("unavailable", "The publish was given up before its commit.");

const bodyGone = (): StreamError =>
  new StreamError("unavailable", "The stored body was deleted before its message could be stored; publish it again.");

const isGone = ({ status }: CommitOutcome): boolean => status === "body_gone";

/** Places of messages whose body is gone, is in memory still, and that no later one of their subject has overtaken. */
const retryableSlots = (
  drafts: readonly Draft[],
  entries: readonly CommitEntry[],
  outcomes: readonly CommitOutcome[],
): readonly number[] => {
  const slots: number[] = [];
  const ahead = new Set<Subject>();
  for (let slot = entries.length - 1; slot >= 0; slot--) {
    const [entry, outcome] = [entries[slot], outcomes[slot]];
    if (entry === undefined || outcome === undefined) continue;
    if (outcome.status === "committed") ahead.add(entry.subject);
    if (isGone(outcome) && drafts[slot]?.body instanceof Uint8Array && !ahead.has(entry.subject)) slots.push(slot);
  }
  return slots.reverse();
};

const toPublishOutcome = (subject: Subject, outcome: CommitOutcome | StreamError): PublishOutcome => {
  if (outcome instanceof StreamError) return outcome;
  switch (outcome.status) {
    case "committed":
    case "duplicate":
      return {
        subject,
        sequence: outcome.sequence,
        timestampMs: outcome.timestampMs,
        duplicate: outcome.status === "duplicate",
      };
    case "wrong_last_sequence":
      return new StreamError(
        "wrong_last_sequence",
        `The last sequence is ${outcome.lastSequence}; read it again before the next try.`,
        { last_sequence: outcome.lastSequence },
      );
    case "scheduled": {
      const { scheduleId, dueAtMs, duplicate } = outcome;
      return { subject, scheduleId, dueAtMs, duplicate };
    }
    case "subject_full":
      return new StreamError(
        "subject_full",
        "The policy of this subject refuses new messages while it is full; delete some, or wait until some expire.",
      );
    case "body_gone":
      return bodyGone();
  }
};

interface OpenRun {
  readonly subject: Subject;
  readonly firstSequence: number;
  lastSequence: number;
  readonly messages: (RecentMessage | undefined)[];
}

/** Runs in the order of their sequences within each subject. */
const inSequence = (runs: readonly CommittedRun[]): readonly CommittedRun[] =>
  runs.toSorted((a, b) =>
    a.subject === b.subject ? a.firstSequence - b.firstSequence : a.subject < b.subject ? -1 : 1,
  );

/** Groups committed messages into gapless runs a subject; another node may have committed in between. */
class RunCollector {
  readonly runs: OpenRun[] = [];
  readonly #open = new Map<Subject, OpenRun>();

  /** @param startedAtMs by this node's clock, before the store was called */
  constructor(private readonly startedAtMs: number) {}

  add(draft: Draft, entry: CommitEntry, sequence: number, timestampMs: number): void {
    const { subject, headers, body: ref, ttlMs } = entry;
    const message =
      draft.body instanceof Uint8Array
        ? {
            subject,
            sequence,
            timestampMs,
            headers,
            body: draft.body,
            sha256: ref.sha256,
            expiresAtMs: ttlMs === undefined ? undefined : timestampMs + ttlMs,
            ref,
            freshUntilMs: ttlMs === undefined ? undefined : this.startedAtMs + ttlMs,
          }
        : undefined;
    const open = this.#open.get(subject);
    if (open !== undefined && open.lastSequence + 1 === sequence) {
      open.lastSequence = sequence;
      open.messages.push(message);
      return;
    }
    const run = { subject, firstSequence: sequence, lastSequence: sequence, messages: [message] };
    this.#open.set(subject, run);
    this.runs.push(run);
  }
}
