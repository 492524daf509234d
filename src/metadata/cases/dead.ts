/**
 * Objects that nothing points into any more, on their way to being deleted.
 * @module
 */
import { expect } from "bun:test";
import { keepEverything } from "../../core/policy.ts";
import type { MetadataStore } from "../contract.ts";
import {
  type Cases,
  deadNamesOf,
  entryOf,
  filterOf,
  invoices,
  orders,
  publishOne,
  sequenceOf,
  turn,
  upTo,
} from "./kit.ts";

const leaseMs = 60_000;

const take = async (store: MetadataStore, limit = 100, minAgeMs = 0): Promise<readonly string[]> =>
  deadNamesOf(store.takeDead({ limit, minAgeMs, leaseMs }));

/** Commits one message into each object. */
const fill = async (store: MetadataStore, ...objects: readonly string[]): Promise<void> => {
  await store.commit(objects.map((object) => entryOf(orders, { object })));
};

/** Resolves when so many objects are dead; their rows go after the deletion was answered. */
const died = async (store: MetadataStore, count: number): Promise<void> => {
  while ((await store.countDead()) !== count) await turn();
};

const lifeCases = ({ case: test }: Cases): void => {
  test("an object is dead when the last message that points into it is gone", async (harness) => {
    const { store } = harness;
    await fill(store, "segment/1", "segment/1", "segment/2");
    await store.commit([entryOf(invoices, { object: "segment/1" }), entryOf(orders, { object: "", length: 0 })]);
    expect(await store.countDead()).toBe(0);
    expect(await take(store)).toEqual([]);
    await store.purge(orders, 100);
    await died(store, 1);
    expect(await store.referenced(["segment/1", "segment/2"])).toEqual([true, false]);
    await store.purge(invoices, 1);
    await died(store, 2);
    await harness.reopen();
    expect(await harness.store.countDead()).toBe(2);
    expect((await take(harness.store)).toSorted()).toEqual(["segment/1", "segment/2"]);
  });

  test("so it is when a policy is why the message is gone", async ({ store }) => {
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 2 });
    await fill(store, ...upTo(5).map((n) => `segment/${n}`));
    await died(store, 3);
    expect((await take(store)).toSorted()).toEqual(["segment/1", "segment/2", "segment/3"]);
  });

  test("a message brings an object back to life that is not handed out", async ({ store }) => {
    await fill(store, "segment/1");
    await store.purge(orders, 1);
    await died(store, 1);
    expect(await publishOne(store, entryOf(orders, { object: "segment/1" }))).toMatchObject({ status: "committed" });
    expect(await store.countDead()).toBe(0);
    expect(await store.referenced(["segment/1"])).toEqual([true]);
    await store.purge(orders, 2);
    await died(store, 1);
    expect(await take(store)).toEqual(["segment/1"]);
  });

  test("an object that is handed out takes no message; the others of the commit go on", async (harness) => {
    const { store } = harness;
    await fill(store, "segment/1");
    await store.purge(orders, 1);
    await died(store, 1);
    expect(await take(store)).toEqual(["segment/1"]);
    const entries = [
      entryOf(orders, { object: "segment/2" }),
      entryOf(orders, { object: "segment/1", messageId: "m" }),
      entryOf(orders, { object: "segment/1", expectedLastSequence: 9 }),
      entryOf(orders, { object: "segment/2" }),
    ];
    const outcomes = await store.commit(entries);
    expect(outcomes.map(sequenceOf)).toEqual([2, 0, 0, 3]);
    expect(outcomes[1]).toEqual({ status: "body_gone" });
    expect(outcomes[2]).toEqual({ status: "wrong_last_sequence", lastSequence: 2 });
    await harness.reopen();
    const again = entryOf(orders, { object: "segment/1", messageId: "m" });
    expect(await publishOne(harness.store, again)).toEqual({ status: "body_gone" });
    // Written again under another name; the id was not used up.
    const other = entryOf(orders, { object: "segment/3", messageId: "m" });
    expect(await publishOne(harness.store, other)).toMatchObject({ status: "committed", sequence: 4 });
    expect(await publishOne(harness.store, again)).toMatchObject({ status: "duplicate", sequence: 4 });
    // Once it is deleted and forgotten, its name is one like any other.
    await harness.store.forgetDead(["segment/1"]);
    expect(await harness.store.countDead()).toBe(0);
    expect(await publishOne(harness.store, entryOf(orders, { object: "segment/1" }))).toMatchObject({ sequence: 5 });
    expect(await harness.store.referenced(["segment/1"])).toEqual([true]);
  });

  test("each is handed out to one caller at a time", async ({ store }) => {
    const objects = upTo(40).map((n) => `segment/${n}`);
    await store.condemn(objects);
    const hands = await Promise.all(upTo(10).map(() => take(store, 5)));
    expect(hands.map(({ length }) => length)).toEqual(upTo(10).map((n) => (n <= 8 ? 5 : 0)));
    expect(new Set(hands.flat())).toEqual(new Set(objects));
    expect(await store.countDead()).toBe(40);
    await store.forgetDead(hands.flat().slice(0, 15));
    expect(await store.countDead()).toBe(25);
    expect(await take(store, 0)).toEqual([]);
  });

  test("what is told of its bytes is what was committed into it, and only the first time", async ({ store }) => {
    await store.commit([
      entryOf(orders, { object: "segment/1", length: 5 }),
      entryOf(orders, { object: "segment/1", offset: 5, length: 7, storedLength: 3 }),
    ]);
    await store.purge(orders, 1);
    await store.purge(orders, 2);
    await died(store, 1);
    await store.condemn(["segment/2"]);
    const request = { limit: 10, minAgeMs: 0, leaseMs: 0 };
    const first = await store.takeDead(request);
    expect(first.map(({ object }) => object).toSorted()).toEqual(["segment/1", "segment/2"]);
    // A store need not know.
    for (const { object, bytes } of first) expect([object === "segment/1" ? 8 : undefined, undefined]).toContain(bytes);
    expect((await store.takeDead(request)).map(({ bytes }) => bytes)).toEqual([undefined, undefined]);
  });

  test("only what was handed out is forgotten", async ({ store }) => {
    await store.condemn(["segment/1"]);
    await fill(store, "segment/2");
    await store.forgetDead(["segment/1", "segment/2", "segment/3"]);
    await store.forgetDead([]);
    expect(await store.countDead()).toBe(1);
    expect(await store.referenced(["segment/2"])).toEqual([true]);
  });

  test("condemning: orphans die, what is referred to or dead already stays as it is", async ({ store }) => {
    await fill(store, "segment/1", "segment/2");
    await store.purge(orders, 1);
    await died(store, 1);
    const asked = ["segment/1", "segment/2", "segment/3", "segment/4", "segment/3", ""];
    expect(await store.condemn(asked)).toBe(2);
    expect(await store.condemn(asked)).toBe(0);
    expect(await store.condemn([])).toBe(0);
    expect(await store.countDead()).toBe(3);
    expect((await take(store)).toSorted()).toEqual(["segment/1", "segment/3", "segment/4"]);
    expect(await store.condemn(["segment/3"])).toBe(0);
    expect(await publishOne(store, entryOf(orders, { object: "segment/3" }))).toEqual({ status: "body_gone" });
    expect(await store.referenced(["segment/2", "segment/3"])).toEqual([true, false]);
  });
};

const timeCases = ({ timed }: Cases): void => {
  timed("the oldest are handed out first, and none that died too lately", async ({ store }, advance) => {
    for (const object of ["segment/b", "segment/c", "segment/a"]) {
      await store.condemn([object]);
      await advance(1000);
    }
    expect(await take(store, 100, 2001)).toEqual(["segment/b"]);
    expect(await take(store, 1, 1000)).toEqual(["segment/c"]);
    expect(await take(store, 100, 1001)).toEqual([]);
    expect(await take(store, 100, 1000)).toEqual(["segment/a"]);
  });

  timed("it died when its last message was deleted", async ({ store }, advance) => {
    await fill(store, "segment/1", "segment/1");
    await advance(5000);
    await store.purge(orders, 1);
    await advance(5000);
    await store.purge(orders, 2);
    await died(store, 1);
    await advance(1000);
    expect(await take(store, 1, 1001)).toEqual([]);
    expect(await take(store, 1, 1000)).toEqual(["segment/1"]);
  });

  timed("what is deleted is held until it is forgotten, what is not handed out is not", async ({ store }, advance) => {
    await store.condemn(["segment/1"]);
    expect(await take(store)).toEqual(["segment/1"]);
    await store.condemn(["segment/2"]);
    await store.holdDead(["segment/1", "segment/2", "segment/3"], 3 * leaseMs);
    await store.holdDead([], leaseMs);
    expect(await take(store)).toEqual(["segment/2"]);
    await advance(leaseMs);
    expect(await take(store)).toEqual(["segment/2"]);
    expect(await publishOne(store, entryOf(orders, { object: "segment/1" }))).toEqual({ status: "body_gone" });
    await advance(2 * leaseMs);
    expect((await take(store)).toSorted()).toEqual(["segment/1", "segment/2"]);
    await store.forgetDead(["segment/1", "segment/2"]);
    expect(await store.countDead()).toBe(0);
  });

  timed("when the lease runs out another caller may have it, but no message", async ({ store }, advance) => {
    await store.condemn(["segment/1"]);
    expect(await take(store)).toEqual(["segment/1"]);
    await advance(leaseMs - 1);
    expect(await take(store)).toEqual([]);
    await advance(1);
    expect(await publishOne(store, entryOf(orders, { object: "segment/1" }))).toEqual({ status: "body_gone" });
    expect(await take(store)).toEqual(["segment/1"]);
    expect(await take(store)).toEqual([]);
  });
};

export const deadCases = (cases: Cases): void => {
  lifeCases(cases);
  timeCases(cases);
};
