/**
 * The table of dead objects: those that no message points into any more, until they are deleted and forgotten. One
 * that was handed out for deletion never comes back, however long ago that was: it may go at any moment.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Connection } from "./connection.ts";

/** `waiting`: a message may bring it back; `taken`: handed out for deletion. */
export type DeadState = "waiting" | "taken";

interface DeadRow {
  readonly taken_until_ms: number;
}

/** Statements on dead objects. */
export class DeadTable {
  readonly #add: Statement<unknown, [string, number]>;
  readonly #condemn: Statement<unknown, [string, number]>;
  readonly #find: Statement<DeadRow, [string]>;
  readonly #revive: Statement<unknown, [string]>;
  readonly #oldest: Statement<{ readonly name: string }, [number, number, number]>;
  readonly #take: Statement<unknown, [number, string]>;
  readonly #hold: Statement<unknown, [number, string]>;
  readonly #forget: Statement<unknown, [string]>;
  readonly #count: Statement<{ readonly objects: number }, []>;

  constructor(connection: Connection) {
    this.#add = connection.prepare("INSERT OR IGNORE INTO dead_objects VALUES (?, ?, 0)");
    this.#condemn = connection.prepare(
      `INSERT OR IGNORE INTO dead_objects
       SELECT ?1, ?2, 0 WHERE NOT EXISTS (SELECT 1 FROM objects WHERE name = ?1)`,
    );
    this.#find = connection.prepare("SELECT taken_until_ms FROM dead_objects WHERE name = ?");
    this.#revive = connection.prepare("DELETE FROM dead_objects WHERE name = ?");
    this.#oldest = connection.prepare(
      `SELECT name FROM dead_objects WHERE since_ms <= ? AND taken_until_ms <= ? ORDER BY since_ms, name LIMIT ?`,
    );
    this.#take = connection.prepare("UPDATE dead_objects SET taken_until_ms = ? WHERE name = ?");
    this.#hold = connection.prepare("UPDATE dead_objects SET taken_until_ms = ? WHERE name = ? AND taken_until_ms > 0");
    this.#forget = connection.prepare("DELETE FROM dead_objects WHERE name = ? AND taken_until_ms > 0");
    this.#count = connection.prepare("SELECT count(*) AS objects FROM dead_objects");
  }

  /** Adds an object whose last message is gone. @param sinceMs when that was */
  add(object: string, sinceMs: number): void {
    this.#add.run(object, sinceMs);
  }

  /** Adds an object that is neither referred to nor dead; answers whether it was such a one. */
  condemn(object: string, nowMs: number): boolean {
    return object !== "" && this.#condemn.run(object, nowMs).changes > 0;
  }

  /** Undefined when the object is not dead. */
  stateOf(object: string): DeadState | undefined {
    const found = this.#find.get(object);
    if (found === null) return undefined;
    return found.taken_until_ms > 0 ? "taken" : "waiting";
  }

  /** A message points into the object again. */
  revive(object: string): void {
    this.#revive.run(object);
  }

  /** Hands out the oldest that died at or before `sinceMsMax` and are in nobody's hands. */
  take(limit: number, sinceMsMax: number, nowMs: number, untilMs: number): readonly string[] {
    const objects = this.#oldest.all(sinceMsMax, nowMs, limit).map(({ name }) => name);
    for (const object of objects) this.#take.run(untilMs, object);
    return objects;
  }

  /** Keeps an object that was handed out from others. */
  hold(object: string, untilMs: number): void {
    this.#hold.run(untilMs, object);
  }

  /** Forgets an object that was handed out. */
  forget(object: string): void {
    this.#forget.run(object);
  }

  count(): number {
    return this.#count.get()?.objects ?? 0;
  }
}
