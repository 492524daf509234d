/**
 * Rows of actors that have changed since a mark.
 * @module
 */
import { expect } from "bun:test";
import type { MetadataStore, RowChanges, RowsMark } from "../contract.ts";
import { bytesOf, claim, counter, recordOf, rowsIn, step, stepOf, stepOn, textOf, watcher } from "./actor-kit.ts";
import { type Cases, entryOf, orders, publish, upTo } from "./kit.ts";

const changesIn = (store: MetadataStore, since?: RowsMark, limit = 10_000, name = counter): Promise<RowChanges> =>
  store.actors.rowChanges(name, since, limit);

const markOf = async (store: MetadataStore, name = counter): Promise<RowsMark> =>
  (await changesIn(store, undefined, 10_000, name)).mark;

/** Changes as `[key, text]`, in the order of the keys; undefined when they are not known. */
const textsOf = ({ rows }: RowChanges): readonly (readonly [string, string | null])[] | undefined =>
  rows?.map(({ key, value }) => [key, textOf(value)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1));

const rowOf = (key: string, text = key) => ({ key, value: bytesOf(text) });

const gone = (key: string) => ({ key, value: null });

const knownCases = ({ case: when }: Cases): void => {
  when("every row that was written since a mark is told as it is now, once", async ({ store }) => {
    await claim(store);
    await stepOn(store, { rows: ["a", "b", "c", "d"].map((key) => rowOf(key)) });
    const { mark, rows } = await changesIn(store);
    expect(rows).toBeUndefined();
    expect(textsOf(await changesIn(store, mark))).toEqual([]);
    await stepOn(store, { rows: [rowOf("a", "new"), rowOf("e"), gone("b")] });
    await stepOn(store, { rows: [rowOf("a", "newest"), gone("e"), rowOf("f", "")] });
    const changed = await changesIn(store, mark);
    const expected = [
      ["a", "newest"],
      ["b", null],
      ["e", null],
      ["f", ""],
    ] as const;
    expect(textsOf(changed)).toEqual([...expected]);
    expect(textsOf(await changesIn(store, changed.mark))).toEqual([]);
    await stepOn(store, { rows: [rowOf("b", "again")] });
    expect(textsOf(await changesIn(store, changed.mark))).toEqual([["b", "again"]]);
    // An older mark is as good as it was.
    expect(textsOf(await changesIn(store, mark))).toEqual(
      expected.map(([key, text]) => [key, key === "b" ? "again" : text]),
    );
  });

  when("keys and values are any", async ({ store }) => {
    await claim(store);
    const mark = await markOf(store);
    const value = Uint8Array.from({ length: 256 }, (_, index) => index);
    await stepOn(store, { rows: [{ key: "\u{0}é😀", value }] });
    expect((await changesIn(store, mark)).rows).toEqual([{ key: "\u{0}é😀", value }]);
  });

  when("actors do not see each other's changes", async ({ store }) => {
    await claim(store);
    await claim(store, watcher);
    const [mark, others] = [await markOf(store), await markOf(store, watcher)];
    await stepOn(store, { rows: [rowOf("a")] }, watcher);
    expect(textsOf(await changesIn(store, mark))).toEqual([]);
    expect(textsOf(await changesIn(store, others, 10_000, watcher))).toEqual([["a", "a"]]);
    expect(textsOf(await changesIn(store, others))).toBeUndefined();
  });

  when("what was fenced, refused or done before has changed nothing", async ({ store }) => {
    await publish(store, orders, 1);
    const record = await claim(store);
    await stepOn(store, { rows: [rowOf("a", "old")] });
    const mark = await markOf(store);
    const rows = [rowOf("a", "new"), gone("a"), rowOf("b")];
    const publishes = [entryOf(orders, { expectedLastSequence: 7 })];
    expect(await step(store, record, { rows })).toMatchObject({ status: "committed", revision: 1, outcomes: [] });
    expect(await step(store, { ...(await recordOf(store)), fence: 9 }, { rows })).toEqual({ status: "fenced" });
    expect(await step(store, await recordOf(store), { rows, publishes })).toMatchObject({ status: "refused" });
    // Rows that have not changed may be among them, as they are.
    for (const [key, text] of textsOf(await changesIn(store, mark)) ?? [])
      expect(text).toBe(key === "a" ? "old" : null);
  });
};

const unknownCases = ({ case: when }: Cases): void => {
  when("a claim by another owner changes no rows, and its steps are told", async ({ store }) => {
    const record = await claim(store);
    await stepOn(store, { rows: [rowOf("a")] });
    const mark = await markOf(store);
    await store.actors.release(counter, record.fence);
    await claim(store, counter, "node-2");
    expect(textsOf(await changesIn(store, mark))).toEqual([]);
    await stepOn(store, { rows: [rowOf("a", "other")] });
    expect(textsOf(await changesIn(store, mark))).toEqual([["a", "other"]]);
  });

  when("after a reset nothing is known of a mark from before, nor from before that", async ({ store }) => {
    await claim(store);
    const first = await markOf(store);
    await stepOn(store, { rows: [rowOf("a"), rowOf("b")] });
    await store.actors.reset(counter);
    const second = await changesIn(store, first);
    expect(second.rows).toBeUndefined();
    expect(textsOf(await changesIn(store, second.mark))).toEqual([]);
    await claim(store);
    // The step removes rows of the former generation, too.
    await stepOn(store, { rows: [rowOf("a", "again")] });
    expect(textsOf(await changesIn(store, second.mark))).toEqual([["a", "again"]]);
    await store.actors.reset(counter);
    expect(textsOf(await changesIn(store, first))).toBeUndefined();
    expect(textsOf(await changesIn(store, second.mark))).toBeUndefined();
  });

  when("more than the limit are not told", async ({ store }) => {
    await claim(store);
    const mark = await markOf(store);
    await stepOn(store, { rows: upTo(11).map((n) => rowOf(`k${n}`)) });
    expect(textsOf(await changesIn(store, mark, 10))).toBeUndefined();
    expect(textsOf(await changesIn(store, mark, 11))).toHaveLength(11);
  });

  when("a mark that is too old is not known, whatever was written since", async ({ store }) => {
    await claim(store);
    const old = await markOf(store);
    const rows = upTo(9000).map((n) => rowOf(`k${n % 10}`));
    await stepOn(store, { rows });
    expect(textsOf(await changesIn(store, old))).toHaveLength(10);
    const mark = await markOf(store);
    await stepOn(store, { rows });
    expect(textsOf(await changesIn(store, old))).toBeUndefined();
    expect(textsOf(await changesIn(store, mark))).toHaveLength(10);
  });

  when("of what is not known there are no rows, until it is", async ({ store }) => {
    const mark = await markOf(store);
    expect(textsOf(await changesIn(store, mark))).toEqual([]);
    await claim(store, watcher);
    await stepOn(store, { rows: [rowOf("a")] }, watcher);
    expect(textsOf(await changesIn(store, mark))).toEqual([]);
    await claim(store);
    expect(textsOf(await changesIn(store, mark))).toBeUndefined();
  });

  when("a mark that is none of the store's is not known", async ({ store }) => {
    await claim(store);
    await stepOn(store, { rows: [rowOf("a")] });
    const mark = await markOf(store);
    const wrong = ["", "x", "::", `${mark}0`, `x${mark}`, mark.replace(/\d+$/, ""), mark.replace(/\d+$/, "x")];
    for (const each of wrong) {
      expect([each, (await changesIn(store, each as RowsMark)).rows]).toEqual([each, undefined]);
    }
  });

  when("what was written while it was closed, and after a reopening, is never missed", async (harness) => {
    await claim(harness.store);
    await stepOn(harness.store, { rows: [rowOf("a"), rowOf("b")] });
    const mark = await markOf(harness.store);
    await harness.reopen();
    const { store } = harness;
    await stepOn(store, { rows: [rowOf("a", "new")] });
    const { rows } = await changesIn(store, mark);
    // A store in this process has another life now; one that others share is the same.
    if (rows !== undefined) expect(textsOf(await changesIn(store, mark))).toEqual([["a", "new"]]);
    expect(await rowsIn(store)).toEqual([
      ["a", "new"],
      ["b", "b"],
    ]);
  });
};

/** What is in rows that were read once, with the changes since laid over them. */
const modelCases = ({ case: when }: Cases): void => {
  when("rows that were read while steps were made, with what changed, are those of the end", async ({ store }) => {
    await claim(store);
    await stepOn(store, { rows: upTo(500).map((n) => rowOf(`k${n}`, "0")) });
    const mark = await markOf(store);
    const known = new Map<string, string | null>();
    let record = await recordOf(store);
    const steps = (async () => {
      for (let round = 1; round <= 40; round++) {
        const rows = upTo(25).map((n) => {
          const key = `k${((n * round * 31) % 600) + 1}`;
          return n % 5 === 0 ? gone(key) : rowOf(key, String(round));
        });
        const { status } = await store.actors.commit(stepOf(record, { rows }));
        expect(status).toBe("committed");
        record = { ...record, revision: record.revision + 1 };
      }
    })();
    for (let from = ""; ; ) {
      const page = await store.actors.range(counter, { from, limit: 50 });
      for (const { key, value } of page) known.set(key, textOf(value));
      const last = page.at(-1);
      if (last === undefined) break;
      from = `${last.key}\u{0}`;
    }
    await steps;
    for (const [key, text] of textsOf(await changesIn(store, mark)) ?? []) known.set(key, text);
    const left = [...known].filter(([, text]) => text !== null);
    expect(left.toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual(
      (await rowsIn(store)).map(([key, text]) => [key, text]),
    );
  });
};

/** Changes of rows. */
export const actorChangeCases = (cases: Cases): void => {
  knownCases(cases);
  unknownCases(cases);
  modelCases(cases);
};
