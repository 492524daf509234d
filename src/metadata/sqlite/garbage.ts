/**
 * Removal of purged rows. A purge only moves the subject's beginning and notes what lies below it; the rows go in
 * bounded slices between other work, also after a restart, so that deleting a million messages holds nobody up.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Sequence } from "../../core/message.ts";
import type { Connection } from "./connection.ts";

/** Rows of one slice: a few milliseconds. */
const sliceRows = 5000;
/** How long to wait after a slice that failed (a full disk may refuse even this). */
const retryMs = 5000;

interface GarbageRow {
  readonly subject_id: number;
  readonly through: number;
}

interface ObjectCount {
  readonly object_id: number;
  readonly messages: number;
}

/** Purged rows on their way out. */
export class Garbage {
  readonly #connection: Connection;
  readonly #note: Statement<unknown, [number, number]>;
  readonly #next: Statement<GarbageRow, []>;
  readonly #done: Statement<unknown, [number]>;
  readonly #lowest: Statement<{ readonly sequence: number }, [number]>;
  readonly #objects: Statement<ObjectCount, [number, number]>;
  readonly #release: Statement<unknown, [number, number]>;
  readonly #forget: Statement<unknown, [number]>;
  readonly #remove: Statement<unknown, [number, number]>;
  #running: Promise<void> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#note = connection.prepare(
      `INSERT INTO garbage (subject_id, through) VALUES (?, ?)
       ON CONFLICT (subject_id) DO UPDATE SET through = max(through, excluded.through)`,
    );
    this.#next = connection.prepare("SELECT subject_id, through FROM garbage LIMIT 1");
    this.#done = connection.prepare("DELETE FROM garbage WHERE subject_id = ?");
    this.#lowest = connection.prepare("SELECT sequence FROM messages WHERE subject_id = ? ORDER BY sequence LIMIT 1");
    this.#objects = connection.prepare(
      `SELECT object_id, count(*) AS messages FROM messages
       WHERE subject_id = ? AND sequence <= ? AND object_id <> 0 GROUP BY object_id`,
    );
    this.#release = connection.prepare("UPDATE objects SET messages = messages - ? WHERE id = ?");
    this.#forget = connection.prepare("DELETE FROM objects WHERE id = ? AND messages <= 0");
    this.#remove = connection.prepare("DELETE FROM messages WHERE subject_id = ? AND sequence <= ?");
  }

  /** Notes, inside the purge's transaction, that rows through a sequence are garbage. */
  note(subjectId: number, through: Sequence): void {
    this.#note.run(subjectId, through);
  }

  /** Goes on removing in the background. */
  start(): void {
    if (this.#stopped || this.#running !== undefined) return;
    clearTimeout(this.#retry);
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when there is nothing left to remove, or removing has failed for now. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Ends after the slice that is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (await this.#turn()) {
        if (!this.#connection.write("relaxed", () => this.#slice())) return;
      }
    } catch {
      // Nothing is lost: the note stays until its rows are gone. Commits meet, and report, the same trouble.
      this.#retry = setTimeout(() => this.start(), retryMs);
      this.#retry.unref();
    }
  }

  /** Lets everybody else go first; false when the store is closing. */
  async #turn(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    return !this.#stopped;
  }

  /** Removes one slice; false when nothing is left. */
  #slice(): boolean {
    const garbage = this.#next.get();
    if (garbage === null) return false;
    const { subject_id: subjectId, through } = garbage;
    const lowest = this.#lowest.get(subjectId)?.sequence;
    if (lowest === undefined || lowest > through) {
      this.#done.run(subjectId);
      return true;
    }
    const sliceThrough = Math.min(through, lowest + sliceRows - 1);
    for (const { object_id, messages } of this.#objects.all(subjectId, sliceThrough)) {
      this.#release.run(messages, object_id);
      this.#forget.run(object_id);
    }
    this.#remove.run(subjectId, sliceThrough);
    return true;
  }
}
