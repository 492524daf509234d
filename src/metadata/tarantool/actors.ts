/**
 * Application actors in Tarantool: each method is one call of a function in `lua/mts/verb`.
 * @module
 */
import type { MsgpackWriter } from "../../codec/msgpack-writer.ts";
import { StreamError } from "../../core/errors.ts";
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
  CommitEntry,
  CommitOutcome,
  RowChanges,
  RowsMark,
} from "../contract.ts";
import type { Calls } from "./calls.ts";
import { commitOutcomes, intOf, limitOf, listOf, packWrite, textOf, writeCommit } from "./rows.ts";

/** Items of a position in an answer: subject, through, effects through. */
const itemsPerPosition = 3;

/** The steps of actors as the functions take them. */
export class TarantoolActors implements ActorStore {
  readonly #calls: Calls;
  readonly #dedupeWindowMs: number;

  constructor(calls: Calls, dedupeWindowMs: number) {
    this.#calls = calls;
    this.#dedupeWindowMs = dedupeWindowMs;
  }

  async claim(name: ActorName, owner: string, leaseMs: number): Promise<ActorClaim> {
    const [status, found, leftMs] = listOf(await this.#calls.writePlain("mts_actor_claim", [name, owner, leaseMs]));
    if (status === 0) return { status: "claimed", record: recordOf(found) };
    return { status: "held", owner: textOf(found), leaseLeftMs: intOf(leftMs) };
  }

  async commit(request: ActorCommit): Promise<ActorCommitOutcome> {
    const answer = await this.#calls.write("mts_actor_commit", (client, written) =>
      packWrite(client, written, (writer) => {
        writeStep(writer, request, this.#dedupeWindowMs);
      }),
    );
    const [status, revision, outcomes] = listOf(answer);
    if (status === 1) return { status: "fenced" };
    if (status === 2) return { status: "refused", outcomes: outcomesOf(outcomes, request.publishes) };
    return { status: "committed", revision: intOf(revision), outcomes: outcomesOf(outcomes, request.publishes) };
  }

  async release(name: ActorName, fence: number): Promise<void> {
    await this.#calls.writePlain("mts_actor_release", [name, fence]);
  }

  async reset(name: ActorName): Promise<ActorRecord | null> {
    const answer = await this.#calls.writePlain("mts_actor_reset", [name]);
    return answer === null ? null : recordOf(answer);
  }

  async get(name: ActorName): Promise<ActorRecord | null> {
    const answer = await this.#calls.read("mts_actor", [name]);
    return answer === null ? null : recordOf(answer);
  }

  async list(): Promise<readonly ActorRecord[]> {
    return listOf(await this.#calls.read("mts_actors", [])).map(recordOf);
  }

  async positions(name: ActorName, after: string | undefined, limit: number): Promise<readonly ActorPosition[]> {
    const items = listOf(await this.#calls.read("mts_actor_positions", [name, after ?? "", limit]));
    return Array.from({ length: items.length / itemsPerPosition }, (_, index) =>
      positionAt(items, index * itemsPerPosition),
    );
  }

  async rows(name: ActorName, keys: readonly string[]): Promise<readonly (Uint8Array | null)[]> {
    if (keys.length === 0) return [];
    const rows = listOf(await this.#calls.read("mts_actor_rows", [name, keys]));
    return rows.map((row) => (row === null ? null : rowOf(row).value));
  }

  async range(
    name: ActorName,
    { from, to, limit }: { readonly from: string; readonly to?: string | undefined; readonly limit: number },
  ): Promise<readonly ActorRow[]> {
    return listOf(await this.#calls.read("mts_actor_range", [name, from, to ?? null, limit])).map(rowOf);
  }

  async rowChanges(name: ActorName, since: RowsMark | undefined, limit: number): Promise<RowChanges> {
    const [mark, rows, gone] = listOf(await this.#calls.read("mts_actor_changes", [name, since ?? null, limit]));
    return {
      mark: textOf(mark) as RowsMark,
      rows: rows === null ? undefined : [...listOf(rows).map(rowOf), ...listOf(gone).map(goneRow)],
    };
  }
}

/** What `mts_actor_commit` takes. */
const writeStep = (writer: MsgpackWriter, request: ActorCommit, dedupeWindowMs: number): void => {
  const { name, fence, revision, leaseMs, state, alarmAtMs, failure, publishes } = request;
  const positions = request.positions.flatMap(({ subject, through }) => [subject, through]);
  const rows = request.rows.flatMap(({ key, value }) => [key, value]);
  writer.arrayHead(10);
  for (const item of [name, fence, revision, leaseMs, state, alarmAtMs === null ? false : alarmAtMs, failure]) {
    writer.value(item);
  }
  writer.value(positions);
  writer.value(rows);
  if (publishes.length === 0) writer.nil();
  else writeCommit(publishes, dedupeWindowMs);
};

/** A step that was done before has none. */
const outcomesOf = (answer: unknown, publishes: readonly CommitEntry[]): readonly CommitOutcome[] =>
  answer === null ? [] : commitOutcomes(answer, publishes);

/** A copy, as a view would keep the whole answer in memory. */
const bytesOf = (value: unknown): Uint8Array => {
  if (!(value instanceof Uint8Array)) throw new StreamError("internal", "The metadata store answered no bytes.");
  return new Uint8Array(value);
};

/** A record, and the row of its state or null. */
const recordOf = (answer: unknown): ActorRecord => {
  const [record, state] = listOf(answer);
  const [, name, generation, fence, revision, owner, leaseLeftMs, alarmAt, restarts, lastError, updatedAt] =
    listOf(record);
  return {
    name: textOf(name) as ActorName,
    generation: intOf(generation),
    fence: intOf(fence),
    revision: intOf(revision),
    owner: owner === null ? null : textOf(owner),
    leaseLeftMs: intOf(leaseLeftMs),
    state: state === null ? null : bytesOf(listOf(state)[1]),
    alarmAtMs: limitOf(alarmAt),
    restarts: intOf(restarts),
    lastError: lastError === null ? null : textOf(lastError),
    updatedAtMs: intOf(updatedAt),
  };
};

/** `{actor id, generation, key, value}`. */
const rowOf = (answer: unknown): ActorRow => {
  const [, , key, value] = listOf(answer);
  return { key: textOf(key), value: bytesOf(value) };
};

const goneRow = (key: unknown) => ({ key: textOf(key), value: null });

const positionAt = (items: readonly unknown[], place: number): ActorPosition => ({
  subject: textOf(items[place]) as Subject,
  through: intOf(items[place + 1]),
  effectsThrough: intOf(items[place + 2]),
});
