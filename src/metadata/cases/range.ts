/**
 * Reading ranges, heads, and sequences by time.
 * @module
 */
import { expect } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
import { type Cases, entryOf, everything, invoices, orders, publish, publishOne, sequencesOf, timeOf } from "./kit.ts";

export const rangeCases = ({ case: test, timed }: Cases): void => {
  test("a subject that nobody published to is empty", async ({ store }) => {
    const head = { firstSequence: 1, lastSequence: 0 };
    expect(await store.range(orders, 1, everything)).toEqual({ head, envelopes: [] });
    expect(await store.sequenceAt(orders, 0)).toBe(1);
  });

  test("a page has the head and the envelopes of its subject only", async ({ store }) => {
    await store.commit([entryOf(orders), entryOf(invoices), entryOf(orders)]);
    const page = await store.range(orders, 1, everything);
    expect(page.head).toEqual({ firstSequence: 1, lastSequence: 2 });
    expect(page.envelopes.map((each) => [each.subject, each.sequence])).toEqual([
      [orders, 1],
      [orders, 2],
    ]);
  });

  test("the limit", async ({ store }) => {
    await publish(store, orders, 10);
    expect(sequencesOf(await store.range(orders, 4, { ...everything, limit: 3 }))).toEqual([4, 5, 6]);
    expect(sequencesOf(await store.range(orders, 9, { ...everything, limit: 3 }))).toEqual([9, 10]);
    expect(sequencesOf(await store.range(orders, 1, { ...everything, limit: 1 }))).toEqual([1]);
  });

  test("from the last, beyond the end, and far beyond", async ({ store }) => {
    await publish(store, orders, 10);
    expect(sequencesOf(await store.range(orders, 10, everything))).toEqual([10]);
    for (const from of [11, 12, sequenceMax]) {
      expect(await store.range(orders, from, everything)).toEqual({
        head: { firstSequence: 1, lastSequence: 10 },
        envelopes: [],
      });
    }
  });

  test("from below the first starts at the first", async ({ store }) => {
    await publish(store, orders, 5);
    expect(sequencesOf(await store.range(orders, 0, { ...everything, limit: 2 }))).toEqual([1, 2]);
    await store.purge(orders, 3);
    const page = await store.range(orders, 1, { ...everything, limit: 1 });
    expect(page.head).toEqual({ firstSequence: 4, lastSequence: 5 });
    expect(sequencesOf(page)).toEqual([4]);
  });

  test("the sum of body lengths", async ({ store }) => {
    await publish(store, orders, 10, { length: 100 });
    const pageOf = async (bodyBytesMax: number) =>
      sequencesOf(await store.range(orders, 2, { limit: 10, bodyBytesMax }));
    expect(await pageOf(299)).toEqual([2, 3]);
    expect(await pageOf(300)).toEqual([2, 3, 4]);
    expect(await pageOf(301)).toEqual([2, 3, 4]);
  });

  test("one envelope comes however long its body is, and none after it", async ({ store }) => {
    await store.commit([entryOf(orders, { length: 500 }), entryOf(orders, { length: 0 }), entryOf(orders)]);
    expect(sequencesOf(await store.range(orders, 1, { limit: 10, bodyBytesMax: 100 }))).toEqual([1]);
    expect(sequencesOf(await store.range(orders, 1, { limit: 10, bodyBytesMax: 0 }))).toEqual([1]);
    expect(sequencesOf(await store.range(orders, 2, { limit: 10, bodyBytesMax: 0 }))).toEqual([2]);
  });

  test("a body that does not fit ends the page, also when a smaller one follows", async ({ store }) => {
    await store.commit([10, 500, 10].map((length) => entryOf(orders, { length })));
    expect(sequencesOf(await store.range(orders, 1, { limit: 10, bodyBytesMax: 100 }))).toEqual([1]);
  });

  test("pages follow each other without gap or repeat", async ({ store }) => {
    await publish(store, orders, 100);
    const seen: number[] = [];
    for (let from = 1; from <= 100; from = (seen.at(-1) ?? 0) + 1) {
      seen.push(...sequencesOf(await store.range(orders, from, { limit: 7, bodyBytesMax: 55 })));
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  test("heads come in the order asked, repeated ones too", async ({ store }) => {
    await publish(store, orders, 2);
    const two = { firstSequence: 1, lastSequence: 2 };
    const none = { firstSequence: 1, lastSequence: 0 };
    expect(await store.heads([invoices, orders, orders, invoices])).toEqual([none, two, two, none]);
    expect(await store.heads([])).toEqual([]);
  });

  test("the sequence at a time: before the first, and after the last", async ({ store }) => {
    const first = timeOf(await publishOne(store, entryOf(orders)));
    const last = timeOf(await publishOne(store, entryOf(orders)));
    expect(await store.sequenceAt(orders, 0)).toBe(1);
    expect(await store.sequenceAt(orders, first)).toBe(1);
    expect(await store.sequenceAt(orders, last + 1)).toBe(3);
    expect(await store.sequenceAt(orders, sequenceMax)).toBe(3);
  });

  timed("the sequence at a time: the first of those at or after it", async ({ store }, advance) => {
    const times: number[] = [];
    for (let step = 0; step < 10; step++) {
      const [outcome] = await publish(store, orders, 3);
      times.push(outcome === undefined ? 0 : timeOf(outcome));
      await advance(1000);
    }
    for (const [step, time] of times.entries()) {
      expect(await store.sequenceAt(orders, time - 1)).toBe(step * 3 + 1);
      expect(await store.sequenceAt(orders, time)).toBe(step * 3 + 1);
      expect(await store.sequenceAt(orders, time + 1)).toBe(step * 3 + 4);
    }
    await store.purge(orders, 10);
    expect(await store.sequenceAt(orders, times[0] ?? 0)).toBe(11);
    expect(await store.sequenceAt(orders, times[5] ?? 0)).toBe(16);
    await store.purge(orders, 30);
    expect(await store.sequenceAt(orders, 0)).toBe(31);
  });
};
