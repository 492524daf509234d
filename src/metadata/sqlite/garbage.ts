/**
 * Removal of purged rows. A purge only moves the subject's beginning and notes what lies below it; the rows go in
 * bounded slices between other work, also after a restart, so that deleting a million messages holds nobody up.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";
import type { ObjectTable } from "./objects.ts";

/** Rows of one slice: a millisecond or two. */
const sliceRows = 500;
/** For each millisecond of work so many of rest. */
const restShare = 2;
/** How long to wait after a slice that failed (a full disk may refuse even this). */
const retryMs = 5000;

interface GarbageRow {
  readonly subject_id: number;
  readonly through: number;
  readonly since_ms: number;
}

interface ObjectCount {
  readonly object_id: number;
  readonly messages: number;
  readonly bytes: number;
}

/** Purged rows on their way out. */
export class Garbage {
  readonly #connection: Connection;
  readonly #objectTable: ObjectTable;
  readonly #note: Statement<unknown, [number, number, number]>;
  readonly #next: Statement<GarbageRow, []>;
  readonly #done: Statement<unknown, [number]>;
  readonly #lowest: Statement<{ readonly sequence: number }, [number]>;
  readonly #objects: Statement<ObjectCount, [number, number]>;
  readonly #remove: Statement<unknown, [number, number]>;
  /** When the newest message was deleted of those whose rows were removed. */
  #deletedMs = 0;
  #isNoted = false;
  #running: Promise<void> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(connection: Connection, objects: ObjectTable) {
    this.#connection = connection;
    this.#objectTable = objects;
    this.#note = connection.prepare(
      `INSERT INTO garbage (subject_id, through, since_ms) VALUES (?, ?, ?) ON CONFLICT (subject_id) DO UPDATE
       SET through = max(through, excluded.through), since_ms = max(since_ms, excluded.since_ms)`,
    );
    this.#next = connection.prepare("SELECT subject_id, through, since_ms FROM garbage LIMIT 1");
    this.#done = connection.prepare("DELETE FROM garbage WHERE subject_id = ?");
    this.#lowest = connection.prepare("SELECT sequence FROM messages WHERE subject_id = ? ORDER BY sequence LIMIT 1");
    this.#objects = connection.prepare(
      `SELECT object_id, count(*) AS messages, sum(coalesce(stored_length, body_length)) AS bytes FROM messages
       WHERE subject_id = ? AND sequence <= ? AND object_id <> 0 GROUP BY object_id`,
    );
    this.#remove = connection.prepare("DELETE FROM messages WHERE subject_id = ? AND sequence <= ?");
  }

  /** Notes, inside the transaction that deletes messages, that rows through a sequence are garbage. */
  note(subjectId: number, through: Sequence, nowMs: number): void {
    this.#note.run(subjectId, through, nowMs);
    this.#isNoted = true;
  }

  /** Goes on removing in the background when there may be something to remove. */
  startNoted(): void {
    if (this.#isNoted) this.start();
  }

  /** Goes on removing in the background. */
  start(): void {
    if (this.#stopped || this.#running !== undefined) return;
    this.#isNoted = false;
    clearTimeout(this.#retry);
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.startNoted();
    });
  }

  /** Resolves when there is nothing left to remove, or removing has failed for now. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Ends after the slice that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      let tookMs = 0;
      while (await this.#turn(tookMs * restShare)) {
        const startMs = performance.now();
        // Mostly nothing is left, and looking takes no lock that others would wait for.
        if (this.#next.get() === null) return;
        this.#connection.write("relaxed", () => this.#slice());
        tookMs = performance.now() - startMs;
      }
    } catch {
      // Nothing is lost: the note stays until its rows are gone. Commits meet, and report, the same trouble.
      this.#retry = setTimeout(() => this.start(), retryMs);
      this.#retry.unref();
    }
  }

  /** Lets everybody else go first, for so long; false when the store is closing. */
  async #turn(ms: number): Promise<boolean> {
    await new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
    return !this.#stopped;
  }

  /** Removes one slice. */
  #slice(): void {
    const garbage = this.#next.get();
    if (garbage === null) return;
    const { subject_id: subjectId, through, since_ms: sinceMs } = garbage;
    // Messages of several subjects may point into an object: it is dead since the last of them was deleted.
    this.#deletedMs = Math.max(this.#deletedMs, sinceMs);
    const lowest = this.#lowest.get(subjectId)?.sequence;
    if (lowest === undefined || lowest > through) {
      this.#done.run(subjectId);
      return;
    }
    const sliceThrough = Math.min(through, lowest + sliceRows - 1);
    for (const { object_id, messages, bytes } of this.#objects.all(subjectId, sliceThrough)) {
      this.#objectTable.release(object_id, messages, bytes, this.#deletedMs);
    }
    this.#remove.run(subjectId, sliceThrough);
  }
}
