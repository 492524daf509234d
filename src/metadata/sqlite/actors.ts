/**
 * Application actors: the lease, and steps that change state, rows, positions and what is published all together. An
 * owner whose lease is over may go on as long as nobody else has claimed the actor: the fence tells.
 * @module
 */
import { assert, StreamError } from "../../core/errors.ts";
import type { Subject } from "../../core/subject.ts";
import type {
  ActorClaim,
  ActorCommit,
  ActorCommitOutcome,
  ActorName,
  ActorPosition,
  ActorRecord,
  ActorRow,
  ActorStore,
  CommitOutcome,
  RowChanges,
  RowsMark,
} from "../contract.ts";
import type { StoredActor } from "./actor-tables.ts";
import { type CommitTables, commitEntries } from "./commit.ts";
import type { Durability } from "./connection.ts";

/** The transactions of the store. */
export interface ActorTransactions {
  readonly tables: CommitTables;
  /** Several reads of one state. */
  readonly read: <T>(work: (nowMs: number) => T) => T;
  /** One transaction on subjects into which it publishes; whatever is thrown inside undoes all of it. */
  readonly change: <T>(durability: Durability, subjects: readonly Subject[], work: (nowMs: number) => T) => Promise<T>;
}

/** Undoes a step some of whose messages could not be published. */
class RefusedStep extends StreamError {
  constructor(readonly outcomes: readonly CommitOutcome[]) {
    super("internal", "A message of the step was refused.");
  }
}

/** What does not refuse a step. */
const fine: ReadonlySet<CommitOutcome["status"]> = new Set(["committed", "duplicate", "scheduled"]);

/** Whether a step does nothing but renew the lease. */
const isRenewal = (request: ActorCommit): boolean =>
  request.positions.length + request.rows.length + request.publishes.length === 0 &&
  request.state === undefined &&
  request.alarmAtMs === undefined &&
  request.failure === undefined;

/** Application actors in the tables of the store. */
export class SqliteActors implements ActorStore {
  constructor(private readonly store: ActorTransactions) {}

  async claim(name: ActorName, owner: string, leaseMs: number): Promise<ActorClaim> {
    const { actors } = this.store.tables;
    return this.store.change("durable", [], (nowMs) => {
      const actor = actors.find(name) ?? actors.insert(name, nowMs);
      assert(actor !== null, "An insert returns its row.");
      const holder = holderOf(actor, nowMs);
      if (holder !== null && holder !== owner) {
        return { status: "held", owner: holder, leaseLeftMs: actor.lease_until - nowMs };
      }
      actor.fence++;
      actor.owner = owner;
      actor.lease_until = nowMs + leaseMs;
      actors.save(actor);
      return { status: "claimed", record: this.#record(actor, nowMs) };
    });
  }

  async commit(request: ActorCommit): Promise<ActorCommitOutcome> {
    const { tables } = this.store;
    // A power cut takes the process too, and the next owner claims it anew: renewals need not wait for the disk.
    const durability = isRenewal(request) ? "relaxed" : "durable";
    const subjects = [...new Set(request.publishes.map(({ subject }) => subject))];
    try {
      return await this.store.change(durability, subjects, (nowMs) => applyStep(tables, request, nowMs));
    } catch (thrown) {
      if (!(thrown instanceof RefusedStep)) throw thrown;
      return { status: "refused", outcomes: thrown.outcomes };
    }
  }

  async release(name: ActorName, fence: number): Promise<void> {
    const { actors } = this.store.tables;
    return this.store.change("durable", [], () => {
      const actor = actors.find(name);
      if (actor === null || actor.fence !== fence) return;
      actor.owner = null;
      actor.lease_until = 0;
      actors.save(actor);
    });
  }

  async reset(name: ActorName): Promise<ActorRecord | null> {
    const { actors } = this.store.tables;
    return this.store.change("durable", [], (nowMs) => {
      const actor = actors.find(name);
      if (actor === null) return null;
      actor.generation++;
      actor.fence++;
      actor.owner = null;
      actor.lease_until = 0;
      actor.alarm_at = null;
      actors.save(actor);
      actors.states.remove(actor);
      return this.#record(actor, nowMs);
    });
  }

  async get(name: ActorName): Promise<ActorRecord | null> {
    return this.store.read((nowMs) => {
      const actor = this.store.tables.actors.find(name);
      return actor === null ? null : this.#record(actor, nowMs);
    });
  }

  async list(): Promise<readonly ActorRecord[]> {
    return this.store.read((nowMs) => this.store.tables.actors.list().map((actor) => this.#record(actor, nowMs)));
  }

  async positions(name: ActorName, after: string | undefined, limit: number): Promise<readonly ActorPosition[]> {
    const { actors } = this.store.tables;
    return this.#look(name, [], (actor) => actors.positions.page(actor, after ?? "", limit));
  }

  async rows(name: ActorName, keys: readonly string[]): Promise<readonly (Uint8Array | null)[]> {
    const { rows } = this.store.tables.actors;
    const none = (): null => null;
    return this.#look(name, keys.map(none), (actor) => keys.map((key) => rows.find(actor, key)));
  }

  async range(
    name: ActorName,
    { from, to, limit }: { readonly from: string; readonly to?: string | undefined; readonly limit: number },
  ): Promise<readonly ActorRow[]> {
    const { rows } = this.store.tables.actors;
    return this.#look(name, [], (actor) => rows.range(actor, from, to, limit));
  }

  async rowChanges(name: ActorName, since: RowsMark | undefined, limit: number): Promise<RowChanges> {
    const { actors } = this.store.tables;
    const { rows } = actors;
    return this.store.read(() => {
      const actor = actors.find(name);
      const mark = rows.log.mark(actor);
      const keys = since === undefined ? undefined : rows.log.since(actor, since, limit);
      if (keys === undefined || actor === null) return { mark, rows: keys && [] };
      return { mark, rows: Array.from(keys, (key) => ({ key, value: rows.find(actor, key) })) };
    });
  }

  /** Reads of one actor. @param unknown the answer when there is none */
  #look<T>(name: ActorName, unknown: T, work: (actor: StoredActor) => T): T {
    return this.store.read(() => {
      const actor = this.store.tables.actors.find(name);
      return actor === null ? unknown : work(actor);
    });
  }

  #record(actor: StoredActor, nowMs: number): ActorRecord {
    const { name, generation, fence, revision, restarts } = actor;
    const owner = holderOf(actor, nowMs);
    return {
      name,
      generation,
      fence,
      revision,
      owner,
      leaseLeftMs: owner === null ? 0 : actor.lease_until - nowMs,
      state: this.store.tables.actors.states.of(actor),
      alarmAtMs: actor.alarm_at,
      restarts,
      lastError: actor.last_error,
      updatedAtMs: actor.updated_at,
    };
  }
}

/** Who has the lease now. */
const holderOf = ({ owner, lease_until }: StoredActor, nowMs: number): string | null =>
  lease_until > nowMs ? owner : null;

/** One step; runs inside a transaction. @throws RefusedStep */
const applyStep = (tables: CommitTables, request: ActorCommit, nowMs: number): ActorCommitOutcome => {
  const { actors } = tables;
  const actor = actors.find(request.name);
  if (actor === null || actor.fence !== request.fence) return { status: "fenced" };
  const revision = request.revision + 1;
  if (actor.revision === revision) return { status: "committed", revision, outcomes: [] };
  // Who gave it back has to claim it again, too.
  if (actor.revision !== request.revision || actor.owner === null) return { status: "fenced" };
  const { publishes } = request;
  const outcomes = publishes.length === 0 ? [] : commitEntries(tables, publishes, nowMs, "actor");
  if (!outcomes.every(({ status }) => fine.has(status))) throw new RefusedStep(outcomes);
  actor.revision = revision;
  actor.lease_until = nowMs + request.leaseMs;
  actor.updated_at = nowMs;
  if (request.alarmAtMs !== undefined) actor.alarm_at = request.alarmAtMs;
  if (request.failure !== undefined) {
    actor.restarts++;
    actor.last_error = request.failure;
  }
  actors.save(actor);
  saveOwn(tables, actor, request);
  return { status: "committed", revision, outcomes };
};

/** What only the actor itself sees. */
const saveOwn = ({ actors }: CommitTables, actor: StoredActor, { positions, rows, state }: ActorCommit): void => {
  for (const { subject, through } of positions) actors.positions.put(actor, subject, through);
  for (const { key, value } of rows) {
    if (value === null) actors.rows.remove(actor, key);
    else actors.rows.put(actor, key, value);
  }
  if (state !== undefined) actors.states.put(actor, state);
  actors.rows.removeFormer(actor);
};
