/**
 * The listing of subjects and what is known of one.
 * @module
 */
import { expect } from "bun:test";
import type { MetadataStore } from "../contract.ts";
import {
  type Cases,
  configOf,
  entryOf,
  filterOf,
  invoices,
  makeWorker,
  nameOf,
  orders,
  publish,
  publishOne,
  refusalOf,
  subjectOf,
  timeOf,
} from "./kit.ts";

/** Matching subjects, and `…` when there are more. */
const list = async (store: MetadataStore, filter: string, after?: string, limit = 100): Promise<string[]> => {
  const { subjects, hasMore } = await store.subjects({ filter: filterOf(filter), after, limit });
  return [...subjects.map((each) => each.subject), ...(hasMore ? ["…"] : [])];
};

export const listingCases = ({ case: test, timed }: Cases): void => {
  test("an empty store lists nothing", async ({ store }) => {
    expect(await store.subjects({ filter: filterOf(">"), limit: 10 })).toEqual({ subjects: [], hasMore: false });
    expect(await store.subject(orders)).toBeNull();
  });

  test("a row has the head, the messages and their bytes", async ({ store }) => {
    await publish(store, orders, 3, { length: 5 });
    await publish(store, invoices, 1, { length: 0 });
    await store.purge(orders, 1);
    const { subjects } = await store.subjects({ filter: filterOf(">"), limit: 10 });
    expect(subjects).toEqual([
      { subject: invoices, firstSequence: 1, lastSequence: 1, messages: 1, bytes: 0 },
      { subject: orders, firstSequence: 2, lastSequence: 3, messages: 2, bytes: 10 },
    ]);
  });

  test("byte order of UTF-8, not of UTF-16", async ({ store }) => {
    // U+FF5E sorts before U+20000 in UTF-8 and after its surrogates in UTF-16.
    const names = ["z", "A", "a.b", "a-b", "a", "a.b.c", "é", "ｚ", "𠀀", "a/b", "0"];
    await store.commit(names.map((name) => entryOf(subjectOf(name))));
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await list(store, ">")).toEqual(sorted);
    for (const [index, name] of sorted.entries()) expect(await list(store, ">", name)).toEqual(sorted.slice(index + 1));
  });

  test("filters", async ({ store }) => {
    const names = ["a", "a.b", "a.b.c", "a.bb", "a.x.c", "aa.b", "b.b", "b.b.c"];
    await store.commit(names.map((name) => entryOf(subjectOf(name))));
    expect(await list(store, "a")).toEqual(["a"]);
    expect(await list(store, "nobody")).toEqual([]);
    expect(await list(store, "a.*")).toEqual(["a.b", "a.bb"]);
    expect(await list(store, "a.>")).toEqual(["a.b", "a.b.c", "a.bb", "a.x.c"]);
    expect(await list(store, "*")).toEqual(["a"]);
    expect(await list(store, "*.b")).toEqual(["a.b", "aa.b", "b.b"]);
    expect(await list(store, "*.*.c")).toEqual(["a.b.c", "a.x.c", "b.b.c"]);
    expect(await list(store, "a.*.c")).toEqual(["a.b.c", "a.x.c"]);
    expect(await list(store, "*.b.>")).toEqual(["a.b.c", "b.b.c"]);
  });

  test("paging", async ({ store }) => {
    const names = ["a.1", "a.2", "a.3", "b.1", "c.1", "c.2"];
    await store.commit(names.map((name) => entryOf(subjectOf(name))));
    expect(await list(store, ">", undefined, 4)).toEqual(["a.1", "a.2", "a.3", "b.1", "…"]);
    expect(await list(store, ">", "b.1", 4)).toEqual(["c.1", "c.2"]);
    expect(await list(store, ">", undefined, 6)).toEqual(names);
    expect(await list(store, "*.1", undefined, 2)).toEqual(["a.1", "b.1", "…"]);
    expect(await list(store, "*.1", "b.1", 2)).toEqual(["c.1"]);
    // What is left beyond the page does not match.
    expect(await list(store, "a.*", undefined, 3)).toEqual(["a.1", "a.2", "a.3"]);
  });

  test("after a name that is no subject, below and above the filter", async ({ store }) => {
    await store.commit(["a.1", "b.1", "b.2", "c.1"].map((name) => entryOf(subjectOf(name))));
    expect(await list(store, "b.*", "a.zzz")).toEqual(["b.1", "b.2"]);
    expect(await list(store, "b.*", "b.10")).toEqual(["b.2"]);
    expect(await list(store, "b.*", "c")).toEqual([]);
    expect(await list(store, "b.1", "b.1")).toEqual([]);
    expect(await list(store, "b.1", "b.0")).toEqual(["b.1"]);
  });

  test("subjects with consumers only are not listed", async ({ store }) => {
    await makeWorker(store);
    expect(await list(store, ">")).toEqual([]);
    expect(await store.subject(orders)).toBeNull();
  });

  test("an emptied subject stays listed", async ({ store }) => {
    await publish(store, orders, 2);
    await store.purge(orders, 2);
    const { subjects } = await store.subjects({ filter: filterOf(">"), limit: 10 });
    expect(subjects).toEqual([{ subject: orders, firstSequence: 3, lastSequence: 2, messages: 0, bytes: 0 }]);
  });

  timed("details of a subject", async (harness, advance) => {
    const createdAtMs = timeOf(await publishOne(harness.store, entryOf(orders, { length: 3 })));
    await advance(500);
    await publish(harness.store, orders, 2, { length: 4 });
    await makeWorker(harness.store);
    await harness.store.putConsumer(orders, nameOf("other"), configOf({ ack: "explicit" }));
    await harness.store.putConsumer(invoices, nameOf("third"), configOf());
    await harness.reopen();
    expect(await harness.store.subject(orders)).toEqual({
      subject: orders,
      firstSequence: 1,
      lastSequence: 3,
      messages: 3,
      bytes: 11,
      createdAtMs,
      lastPublishedAtMs: createdAtMs + 500,
      consumers: 2,
    });
  });

  test("an object is referenced when a message points into it", async ({ store }) => {
    await store.commit([
      entryOf(orders, { object: "segment/1" }),
      entryOf(invoices, { object: "segment/2" }),
      entryOf(invoices, { object: "", length: 0 }),
      entryOf(orders, { object: "segment/3", expectedLastSequence: 99 }),
    ]);
    const asked = ["segment/2", "segment/3", "segment/1", "segment/9"];
    expect(await store.referenced(asked)).toEqual([true, false, true, false]);
    expect(await store.referenced([])).toEqual([]);
  });

  test("the store answers when asked whether it is ready, and not after it was closed", async (harness) => {
    await harness.store.ready();
    await harness.store.close();
    expect(await refusalOf(harness.store.ready())).toBe("unavailable");
    expect(await refusalOf(harness.store.commit([entryOf(orders)]))).toBe("unavailable");
    await harness.reopen();
    await harness.store.ready();
  });
};
