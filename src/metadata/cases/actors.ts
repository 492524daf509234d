/**
 * Application actors: who owns them, what is read of them, and their generations.
 * @module
 */
import { expect } from "bun:test";
import {
  bytesOf,
  claim,
  counter,
  leaseMs,
  positionsIn,
  recordOf,
  rowsIn,
  step,
  stepOn,
  textOf,
  watcher,
} from "./actor-kit.ts";
import { type Cases, entryOf, invoices, nameOf, orders, publishOne, subjectOf, timeOf, upTo } from "./kit.ts";

const leaseCases = ({ case: when, timed }: Cases): void => {
  timed("a claim makes an actor that is not known", async ({ store }) => {
    expect(await store.actors.get(counter)).toBeNull();
    expect(await store.actors.list()).toEqual([]);
    const nowMs = timeOf(await publishOne(store, entryOf(orders)));
    const record = {
      ...{ name: counter, generation: 1, fence: 1, revision: 0, owner: "node-1", leaseLeftMs: leaseMs },
      ...{ state: null, alarmAtMs: null, restarts: 0, lastError: null, updatedAtMs: nowMs },
    };
    expect(await claim(store)).toEqual(record);
    expect(await recordOf(store)).toEqual(record);
    expect(await store.actors.list()).toEqual([record]);
  });

  timed("a lease that somebody else holds is not given away", async ({ store }, advance) => {
    await claim(store);
    await advance(leaseMs - 1);
    expect(await store.actors.claim(counter, "node-2", leaseMs)).toEqual({
      status: "held",
      owner: "node-1",
      leaseLeftMs: 1,
    });
    expect(await recordOf(store)).toMatchObject({ fence: 1, owner: "node-1", leaseLeftMs: 1 });
  });

  timed("a lease that is over is anybody's, with a new fence", async ({ store }, advance) => {
    await claim(store);
    await advance(leaseMs);
    expect(await recordOf(store)).toMatchObject({ fence: 1, owner: null, leaseLeftMs: 0 });
    expect(await claim(store, counter, "node-2")).toMatchObject({ fence: 2, owner: "node-2", leaseLeftMs: leaseMs });
  });

  when("the owner who has it gets it again, with a new fence", async ({ store }) => {
    await claim(store);
    const record = await claim(store);
    expect(record).toMatchObject({ fence: 2, owner: "node-1", revision: 0, generation: 1 });
    expect(await step(store, { ...record, fence: 1 })).toEqual({ status: "fenced" });
    expect(await step(store, record)).toMatchObject({ status: "committed" });
  });

  timed("each commit renews the lease", async ({ store }, advance) => {
    await claim(store);
    await advance(4000);
    expect(await stepOn(store)).toMatchObject({ leaseLeftMs: leaseMs, revision: 1 });
    await advance(4000);
    expect(await store.actors.claim(counter, "node-2", leaseMs)).toMatchObject({ status: "held", leaseLeftMs: 2000 });
    expect(await stepOn(store, { leaseMs: 500 })).toMatchObject({ leaseLeftMs: 500, revision: 2 });
  });

  timed("the owner goes on after its lease when nobody else claimed the actor", async ({ store }, advance) => {
    const record = await claim(store);
    await advance(leaseMs * 2);
    expect(await step(store, record)).toEqual({ status: "committed", revision: 1, outcomes: [] });
    expect(await recordOf(store)).toMatchObject({ owner: "node-1", leaseLeftMs: leaseMs });
  });

  when("what is given back can be claimed at once", async ({ store }) => {
    const record = await claim(store);
    await store.actors.release(counter, record.fence);
    expect(await recordOf(store)).toMatchObject({ owner: null, leaseLeftMs: 0, fence: 1 });
    expect(await claim(store, counter, "node-2")).toMatchObject({ fence: 2, owner: "node-2" });
  });

  when("who gave it back commits nothing more", async ({ store }) => {
    const record = await claim(store);
    await store.actors.release(counter, record.fence);
    expect(await step(store, record, { state: bytesOf("late") })).toEqual({ status: "fenced" });
    expect(await recordOf(store)).toMatchObject({ owner: null, revision: 0, state: null });
  });

  when("giving back with an older fence, or what is not known, does nothing", async ({ store }) => {
    const before = await claim(store);
    await claim(store);
    await store.actors.release(counter, before.fence);
    await store.actors.release(watcher, 1);
    expect(await recordOf(store)).toMatchObject({ owner: "node-1", fence: 2 });
    expect(await store.actors.get(watcher)).toBeNull();
  });

  when("actors are listed in byte order of their names, and do not see each other", async ({ store }) => {
    const names = ["b", "a.b", "a", "B", "a-b", "a_b"].map(nameOf);
    for (const name of names) {
      await claim(store, name, `owner-of-${name}`);
      const own = [{ key: "k", value: bytesOf(name) }];
      await stepOn(store, { rows: own, state: bytesOf(name), positions: [{ subject: orders, through: 1 }] }, name);
    }
    const listed = await store.actors.list();
    expect(listed.map(({ name }) => String(name))).toEqual(["B", "a", "a-b", "a.b", "a_b", "b"]);
    expect(listed.map(({ state }) => textOf(state))).toEqual(["B", "a", "a-b", "a.b", "a_b", "b"]);
    await stepOn(store, { rows: [{ key: "k", value: null }] }, nameOf("a"));
    expect(await rowsIn(store, {}, nameOf("a"))).toEqual([]);
    expect(await rowsIn(store, {}, nameOf("a-b"))).toEqual([["k", "a-b"]]);
  });
};

const keys = [
  "\u{0}",
  "A",
  "a",
  "aa",
  "a\u{0}",
  "z",
  "é",
  "日本",
  "\u{e000}",
  "\u{ffff}",
  "\u{10000}",
  "😀",
  "m/2",
  "m/10",
];

/** By the bytes of UTF-8, which is the order of the code points. */
const inByteOrder = (texts: readonly string[]): string[] =>
  texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

const readCases = ({ case: when }: Cases): void => {
  when("rows come in byte order, whatever their keys are made of", async ({ store }) => {
    await claim(store);
    const long = "ß".repeat(127);
    const all = [...keys, long];
    await stepOn(store, { rows: all.map((key) => ({ key, value: bytesOf(key) })) });
    const sorted = inByteOrder(all);
    expect(await rowsIn(store)).toEqual(sorted.map((key) => [key, key]));
    expect(await rowsIn(store, { limit: 3 })).toEqual(sorted.slice(0, 3).map((key) => [key, key]));
    for (const [index, from] of sorted.entries()) {
      const [to, end] = [sorted[index + 3], index + 3];
      const range = to === undefined ? { from } : { from, to };
      expect(await rowsIn(store, range)).toEqual(sorted.slice(index, end).map((key) => [key, key]));
    }
    expect(await rowsIn(store, { from: "m/", to: "m0" })).toEqual([
      ["m/10", "m/10"],
      ["m/2", "m/2"],
    ]);
    expect(await rowsIn(store, { from: "z", to: "a" })).toEqual([]);
    expect(await rowsIn(store, { from: "a", to: "a" })).toEqual([]);
  });

  when("rows are found by their keys, in the order asked", async ({ store }) => {
    await claim(store);
    await stepOn(store, { rows: keys.map((key) => ({ key, value: bytesOf(`of ${key}`) })) });
    const asked = ["none", "😀", "a", "\u{0}", "a", "é"];
    const found = await store.actors.rows(counter, asked);
    expect(found.map(textOf)).toEqual([null, "of 😀", "of a", "of \u{0}", "of a", "of é"]);
    expect(await store.actors.rows(counter, [])).toEqual([]);
  });

  when("rows are replaced and deleted; the last word of a step counts", async ({ store }) => {
    await claim(store);
    await stepOn(store, { rows: ["a", "b", "c"].map((key) => ({ key, value: bytesOf(key) })) });
    const rows = [
      { key: "a", value: bytesOf("new") },
      { key: "b", value: null },
      { key: "none", value: null },
      { key: "d", value: bytesOf("first") },
      { key: "d", value: bytesOf("second") },
      { key: "e", value: bytesOf("first") },
      { key: "e", value: null },
    ];
    await stepOn(store, { rows });
    expect(await rowsIn(store)).toEqual([
      ["a", "new"],
      ["c", "c"],
      ["d", "second"],
    ]);
  });

  when("values and states are any bytes, also none", async ({ store }) => {
    await claim(store);
    const any = Uint8Array.from({ length: 256 }, (_, index) => index);
    const none = new Uint8Array(0);
    const rows = [
      { key: "any", value: any },
      { key: "large", value: new Uint8Array(64 * 1024).fill(7) },
      { key: "none", value: none },
    ];
    expect((await stepOn(store, { rows, state: none })).state).toEqual(none);
    expect((await stepOn(store, { state: any })).state).toEqual(any);
    const stored = await store.actors.range(counter, { from: "", limit: 10 });
    expect(stored).toEqual(rows);
    expect(await store.actors.rows(counter, ["none", "any"])).toEqual([none, any]);
    const large = new Uint8Array(1024 * 1024).fill(9);
    expect((await stepOn(store, { state: large })).state).toEqual(large);
  });

  when("ten thousand rows and positions go in one step", async ({ store }) => {
    await claim(store);
    const numbers = upTo(10_000).map((n) => String(n).padStart(5, "0"));
    const rows = numbers.map((key) => ({ key, value: bytesOf(key) }));
    const positions = numbers.map((n, index) => ({ subject: subjectOf(`s.${n}`), through: index + 1 }));
    await stepOn(store, { rows, positions });
    const found = await store.actors.rows(counter, numbers.toReversed());
    expect(found.map(textOf)).toEqual(numbers.toReversed());
    expect((await rowsIn(store)).length).toBe(10_000);
    const page = await positionsIn(store, counter, "s.09998", 10);
    expect(page).toEqual([
      ["s.09999", 9999, 0],
      ["s.10000", 10_000, 0],
    ]);
  });

  when("positions come in byte order of the subjects, a page at a time", async ({ store }) => {
    await claim(store);
    const subjects = ["b", "a.b", "a", "B", "a-b"].map(subjectOf);
    await stepOn(store, { positions: subjects.map((subject, index) => ({ subject, through: index + 1 })) });
    await stepOn(store, { positions: [{ subject: subjectOf("a"), through: 30 }] });
    const all = await positionsIn(store);
    expect(all).toEqual([
      ["B", 4, 0],
      ["a", 30, 0],
      ["a-b", 5, 0],
      ["a.b", 2, 0],
      ["b", 1, 0],
    ]);
    expect(await positionsIn(store, counter, undefined, 2)).toEqual(all.slice(0, 2));
    expect(await positionsIn(store, counter, "a", 2)).toEqual(all.slice(2, 4));
    expect(await positionsIn(store, counter, "b")).toEqual([]);
  });

  when("nothing is read of what is not there", async ({ store }) => {
    expect(await store.actors.positions(watcher, undefined, 10)).toEqual([]);
    expect(await store.actors.rows(watcher, ["a", "b"])).toEqual([null, null]);
    expect(await store.actors.range(watcher, { from: "", limit: 10 })).toEqual([]);
  });
};

const generationCases = ({ case: when, timed }: Cases): void => {
  when("a reset begins anew: no state, alarm or rows, and nobody owns it", async (harness) => {
    const { store } = harness;
    await claim(store);
    const positions = [
      { subject: orders, through: 10 },
      { subject: invoices, through: 20 },
    ];
    const rows = [{ key: "a", value: bytesOf("old") }];
    await stepOn(store, { state: bytesOf("old"), alarmAtMs: 5, rows, positions, failure: "once" });
    const record = await store.actors.reset(counter);
    expect(record).toMatchObject({
      ...{ generation: 2, fence: 2, revision: 1, owner: null, leaseLeftMs: 0, state: null, alarmAtMs: null },
      ...{ restarts: 1, lastError: "once" },
    });
    expect(await store.actors.get(counter)).toEqual(record);
    expect(await rowsIn(store)).toEqual([]);
    expect(await store.actors.rows(counter, ["a"])).toEqual([null]);
    expect(await positionsIn(store)).toEqual([
      [invoices, 0, 20],
      [orders, 0, 10],
    ]);
    await harness.reopen();
    expect(await positionsIn(harness.store)).toEqual([
      [invoices, 0, 20],
      [orders, 0, 10],
    ]);
    expect(await claim(harness.store, counter, "node-2")).toMatchObject({ generation: 2, fence: 3, revision: 1 });
  });

  when("a reset fences the owner of before", async ({ store }) => {
    const record = await claim(store);
    await store.actors.reset(counter);
    expect(await step(store, record, { state: bytesOf("late") })).toEqual({ status: "fenced" });
    expect(await recordOf(store)).toMatchObject({ state: null, revision: 0 });
  });

  when("there is nothing to reset of what is not known", async ({ store }) => {
    expect(await store.actors.reset(watcher)).toBeNull();
    expect(await store.actors.get(watcher)).toBeNull();
  });

  when("effects stay where they were, over as many generations as there are", async ({ store }) => {
    const at = (through: number) => stepOn(store, { positions: [{ subject: orders, through }] });
    await claim(store);
    await at(10);
    await store.actors.reset(counter);
    await claim(store);
    await at(4);
    expect(await positionsIn(store)).toEqual([[orders, 4, 10]]);
    await store.actors.reset(counter);
    expect(await positionsIn(store)).toEqual([[orders, 0, 10]]);
    await claim(store);
    await at(12);
    expect(await positionsIn(store)).toEqual([[orders, 12, 10]]);
    await store.actors.reset(counter);
    await store.actors.reset(counter);
    expect(await positionsIn(store)).toEqual([[orders, 0, 12]]);
    await claim(store);
    await at(1);
    expect(await positionsIn(store)).toEqual([[orders, 1, 12]]);
  });

  when("rows of former generations never come back", async ({ store }) => {
    const rows = upTo(1200).map((n) => ({ key: `k${n}`, value: bytesOf("old") }));
    for (const generation of [1, 2]) {
      expect(await claim(store)).toMatchObject({ generation });
      await stepOn(store, { rows });
      await store.actors.reset(counter);
    }
    await claim(store);
    for (let each = 1; each <= 8; each++) {
      await stepOn(store, { rows: [{ key: `k${each}`, value: bytesOf("new") }] });
      expect(await rowsIn(store)).toEqual(upTo(each).map((n) => [`k${n}`, "new"]));
    }
    const found = await store.actors.rows(counter, ["k8", "k9"]);
    expect(found.map(textOf)).toEqual(["new", null]);
  });

  timed("all of it survives a reopening", async (harness, advance) => {
    const { store } = harness;
    const { updatedAtMs } = await claim(store);
    const rows = [{ key: "é", value: bytesOf("row") }];
    const positions = [{ subject: orders, through: 3 }];
    await advance(100);
    const record = await stepOn(store, { rows, positions, state: bytesOf("s"), alarmAtMs: 77, failure: "why" });
    expect(record.updatedAtMs).toBe(updatedAtMs + 100);
    await harness.reopen();
    expect(await recordOf(harness.store)).toEqual(record);
    expect(await rowsIn(harness.store)).toEqual([["é", "row"]]);
    expect(await positionsIn(harness.store)).toEqual([[orders, 3, 0]]);
    expect(await step(harness.store, record)).toMatchObject({ status: "committed", revision: 2 });
  });
};

/** Leases, reads and generations of actors. */
export const actorCases = (cases: Cases): void => {
  leaseCases(cases);
  readCases(cases);
  generationCases(cases);
};
