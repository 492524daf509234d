/**
 * The tables of application actors: who has each, how far it is, and its rows. The rules are in `actors.ts`.
 * @module
 */
import type { Statement } from "bun:sqlite";
import type { Sequence } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { ActorName, ActorPosition, ActorRow } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { RowLog } from "./row-log.ts";

/** Rows of former generations that one commit removes at most. */
const formerRowsMax = 500;

/** An actor. What may change does while a transaction runs, and is then saved. */
export interface StoredActor {
  readonly id: number;
  readonly name: ActorName;
  generation: number;
  fence: number;
  revision: number;
  /** Who claimed it last; null when it was given back. */
  owner: string | null;
  /** Unix milliseconds; may be over. */
  lease_until: number;
  alarm_at: number | null;
  restarts: number;
  last_error: string | null;
  updated_at: number;
}

interface PositionRow {
  readonly subject: Subject;
  readonly through: Sequence;
  readonly effects_through: Sequence;
}

interface ValueRow {
  readonly value: Uint8Array;
}

interface FormerRow {
  readonly generation: number;
  readonly key: string;
}

type SaveParams = [
  ...[number, number, number, string | null, number, number | null, number, string | null, number],
  number,
];

/** A state beside its actor: renewing a lease leaves what may be large alone. */
class StateTable {
  readonly #find: Statement<{ readonly state: Uint8Array }, [number]>;
  readonly #put: Statement<unknown, [number, Uint8Array]>;
  readonly #remove: Statement<unknown, [number]>;

  constructor(connection: Connection) {
    this.#find = connection.prepare("SELECT state FROM actor_states WHERE actor_id = ?");
    this.#put = connection.prepare("INSERT OR REPLACE INTO actor_states VALUES (?, ?)");
    this.#remove = connection.prepare("DELETE FROM actor_states WHERE actor_id = ?");
  }

  of({ id }: StoredActor): Uint8Array | null {
    return this.#find.get(id)?.state ?? null;
  }

  put({ id }: StoredActor, state: Uint8Array): void {
    this.#put.run(id, state);
  }

  remove({ id }: StoredActor): void {
    this.#remove.run(id);
  }
}

/** Positions stay when a generation ends: what is published for messages through them is known by them. */
class PositionTable {
  readonly #page: Statement<PositionRow, [number, string, number, number]>;
  readonly #put: Statement<unknown, [number, string, number, number]>;

  constructor(connection: Connection) {
    this.#page = connection.prepare(
      `SELECT subject, CASE generation WHEN ?3 THEN through ELSE 0 END AS through,
         CASE generation WHEN ?3 THEN effects_through ELSE max(through, effects_through) END AS effects_through
       FROM actor_positions WHERE actor_id = ?1 AND subject > ?2 ORDER BY subject LIMIT ?4`,
    );
    this.#put = connection.prepare(
      `INSERT INTO actor_positions (actor_id, subject, generation, through, effects_through) VALUES (?1, ?2, ?3, ?4, 0)
       ON CONFLICT (actor_id, subject) DO UPDATE SET
         effects_through = CASE generation WHEN ?3 THEN effects_through ELSE max(through, effects_through) END,
         through = ?4, generation = ?3`,
    );
  }

  /** Strictly after a subject. */
  page({ id, generation }: StoredActor, after: string, limit: number): readonly ActorPosition[] {
    return this.#page
      .all(id, after, generation, limit)
      .map(({ subject, through, effects_through: effectsThrough }) => ({ subject, through, effectsThrough }));
  }

  put({ id, generation }: StoredActor, subject: Subject, through: Sequence): void {
    this.#put.run(id, subject, generation, through);
  }
}

/** Rows by generation; text is compared by its UTF-8 bytes. */
class RowTable {
  readonly log = new RowLog();
  readonly #find: Statement<ValueRow, [number, number, string]>;
  readonly #range: Statement<ActorRow, [number, number, string, number]>;
  readonly #rangeTo: Statement<ActorRow, [number, number, string, number, string]>;
  readonly #put: Statement<unknown, [number, number, string, Uint8Array]>;
  readonly #remove: Statement<unknown, [number, number, string]>;
  readonly #former: Statement<FormerRow, [number, number]>;
  readonly #removeFormer: Statement<unknown, [number, number, number, string]>;

  constructor(connection: Connection) {
    const range = "SELECT key, value FROM actor_rows WHERE actor_id = ?1 AND generation = ?2 AND key >= ?3";
    this.#find = connection.prepare("SELECT value FROM actor_rows WHERE actor_id = ? AND generation = ? AND key = ?");
    this.#range = connection.prepare(`${range} ORDER BY key LIMIT ?4`);
    this.#rangeTo = connection.prepare(`${range} AND key < ?5 ORDER BY key LIMIT ?4`);
    this.#put = connection.prepare("INSERT OR REPLACE INTO actor_rows VALUES (?, ?, ?, ?)");
    this.#remove = connection.prepare("DELETE FROM actor_rows WHERE actor_id = ? AND generation = ? AND key = ?");
    this.#former = connection.prepare(
      `SELECT generation, key FROM (SELECT generation, key FROM actor_rows WHERE actor_id = ? AND generation < ?
         ORDER BY generation, key LIMIT ${formerRowsMax}) ORDER BY generation DESC, key DESC LIMIT 1`,
    );
    this.#removeFormer = connection.prepare(
      "DELETE FROM actor_rows WHERE actor_id = ?1 AND generation < ?2 AND (generation, key) <= (?3, ?4)",
    );
  }

  find({ id, generation }: StoredActor, key: string): Uint8Array | null {
    return this.#find.get(id, generation, key)?.value ?? null;
  }

  range({ id, generation }: StoredActor, from: string, to: string | undefined, limit: number): readonly ActorRow[] {
    if (to === undefined) return this.#range.all(id, generation, from, limit);
    return this.#rangeTo.all(id, generation, from, limit, to);
  }

  put(actor: StoredActor, key: string, value: Uint8Array): void {
    this.log.note(actor, key);
    this.#put.run(actor.id, actor.generation, key, value);
  }

  remove(actor: StoredActor, key: string): void {
    this.log.note(actor, key);
    this.#remove.run(actor.id, actor.generation, key);
  }

  /** Removes some rows of former generations; mostly there are none, and that is one look. */
  removeFormer({ id, generation }: StoredActor): void {
    const last = this.#former.get(id, generation);
    if (last !== null) this.#removeFormer.run(id, generation, last.generation, last.key);
  }
}

/** Statements on application actors. */
export class ActorTable {
  readonly states: StateTable;
  readonly positions: PositionTable;
  readonly rows: RowTable;
  readonly #find: Statement<StoredActor, [string]>;
  readonly #list: Statement<StoredActor, []>;
  readonly #insert: Statement<StoredActor, [string, number]>;
  readonly #save: Statement<unknown, SaveParams>;

  constructor(connection: Connection) {
    this.states = new StateTable(connection);
    this.positions = new PositionTable(connection);
    this.rows = new RowTable(connection);
    this.#find = connection.prepare("SELECT * FROM actors WHERE name = ?");
    this.#list = connection.prepare("SELECT * FROM actors ORDER BY name");
    this.#insert = connection.prepare(
      `INSERT INTO actors (name, generation, fence, revision, lease_until, restarts, updated_at)
       VALUES (?, 1, 0, 0, 0, 0, ?) RETURNING *`,
    );
    this.#save = connection.prepare(
      `UPDATE actors SET generation = ?, fence = ?, revision = ?, owner = ?, lease_until = ?, alarm_at = ?, restarts = ?,
         last_error = ?, updated_at = ? WHERE id = ?`,
    );
  }

  find(name: ActorName): StoredActor | null {
    return this.#find.get(name);
  }

  /** In byte order of their names. */
  list(): readonly StoredActor[] {
    return this.#list.all();
  }

  /** An actor that nobody has claimed yet. */
  insert(name: ActorName, nowMs: number): StoredActor | null {
    return this.#insert.get(name, nowMs);
  }

  /** Saves what changes of an actor. */
  save(actor: StoredActor): void {
    const { id, generation, fence, revision, owner, restarts } = actor;
    const { lease_until, alarm_at, last_error, updated_at } = actor;
    this.#save.run(generation, fence, revision, owner, lease_until, alarm_at, restarts, last_error, updated_at, id);
  }
}
