/**
 * Times to live: from when on a message is gone, and that nothing shows it from then on.
 * @module
 */
import { expect } from "bun:test";
import { keepEverything } from "../../core/policy.ts";
import {
  amountOf,
  type Cases,
  deadNamesOf,
  deliveriesOf,
  endsOf,
  entryOf,
  everything,
  filterOf,
  invoices,
  makeWorker,
  orders,
  publish,
  publishFor,
  publishOne,
  pull,
  sequenceOf,
  sequencesOf,
  storedIn,
  sweep,
  timeOf,
  upTo,
  worker,
} from "./kit.ts";

const shownCases = ({ case: test, timed }: Cases): void => {
  test("an envelope tells when it goes, also after reopening; one without a time to live tells nothing", async (harness) => {
    const outcomes = await publishFor(harness.store, orders, [1000, 0, 86_400_000]);
    const times = outcomes.map(timeOf);
    const shown = [(times[0] ?? 0) + 1000, undefined, (times[2] ?? 0) + 86_400_000];
    const page = await harness.store.range(orders, 1, everything);
    expect(page.envelopes.map((each) => each.expiresAtMs)).toEqual(shown);
    await makeWorker(harness.store, { ack: "explicit" });
    await harness.reopen();
    const peeked = await harness.store.peek(orders, worker, everything);
    expect(peeked.envelopes.map((each) => each.expiresAtMs)).toEqual(shown);
    expect((await pull(harness.store)).envelopes.map((each) => each.expiresAtMs)).toEqual(shown);
  });

  timed("a message is gone from the moment on at which its time is over, for every read", async (harness, advance) => {
    const { store } = harness;
    await publishFor(store, orders, [0, 1000, 0, 1000], { length: 7 });
    await advance(400);
    const fifthMs = timeOf(await publishOne(store, entryOf(orders, { ttlMs: 1000, length: 30 })));
    await publish(store, invoices, 1);
    await advance(599);
    expect(await storedIn(store)).toEqual([1, 2, 3, 4, 5]);
    expect(await amountOf(store)).toEqual([5, 58]);
    await advance(1);
    const summary = { subject: orders, firstSequence: 1, lastSequence: 5, messages: 3, bytes: 44 };
    expect(await store.subject(orders)).toMatchObject(summary);
    const { subjects } = await store.subjects({ filter: filterOf("orders.>"), limit: 10 });
    expect(subjects).toEqual([summary]);
    const page = await store.range(orders, 2, everything);
    expect(page.head).toEqual({ firstSequence: 1, lastSequence: 5 });
    expect(sequencesOf(page)).toEqual([3, 5]);
    expect(sequencesOf(await store.range(orders, 1, { limit: 2, bodyBytesMax: 1000 }))).toEqual([1, 3]);
    expect(await store.sequenceAt(orders, fifthMs)).toBe(5);
    expect(sequencesOf(await store.peek(orders, worker, everything))).toEqual([1, 3, 5]);
    expect(sequencesOf(await pull(store))).toEqual([1, 3, 5]);
    await advance(400);
    // The end stays where it was.
    expect(await endsOf(store)).toEqual([1, 5]);
    expect(await storedIn(store)).toEqual([1, 3]);
    expect(await store.sequenceAt(orders, fifthMs)).toBe(6);
    expect((await publish(store, orders, 1)).map(sequenceOf)).toEqual([6]);
    expect(await storedIn(store)).toEqual([1, 3, 6]);
    await harness.reopen();
    expect(await storedIn(harness.store)).toEqual([1, 3, 6]);
    expect(await amountOf(harness.store)).toEqual([3, 24]);
    expect(await amountOf(harness.store, invoices)).toEqual([1, 10]);
  });

  timed("each read alone shows it", async ({ store }, advance) => {
    await publishFor(store, orders, [1000, 0, 2000, 0, 3000, 4000, 5000, 6000]);
    await makeWorker(store, { ack: "explicit" });
    await advance(1000);
    expect(await endsOf(store)).toEqual([2, 8]);
    await advance(1000);
    expect(await storedIn(store)).toEqual([2, 4, 5, 6, 7, 8]);
    await advance(1000);
    expect(await amountOf(store)).toEqual([5, 50]);
    await advance(1000);
    const { subjects } = await store.subjects({ filter: filterOf(">"), limit: 1 });
    expect(subjects).toEqual([{ subject: orders, firstSequence: 2, lastSequence: 8, messages: 4, bytes: 40 }]);
    await advance(1000);
    expect(sequencesOf(await store.peek(orders, worker, everything))).toEqual([2, 4, 8]);
    await advance(1000);
    expect(deliveriesOf(await pull(store))).toEqual([
      [2, 1],
      [4, 1],
    ]);
  });

  timed(
    "the beginning moves to the first that is left, and behind the last when none is",
    async ({ store }, advance) => {
      await publishFor(store, orders, [3000, 1000, 2000, 5000, 4000]);
      await advance(1000);
      expect(await endsOf(store)).toEqual([1, 5]);
      await advance(1000);
      expect(await endsOf(store)).toEqual([1, 5]);
      await advance(1000);
      expect(await endsOf(store)).toEqual([4, 5]);
      expect(await amountOf(store)).toEqual([2, 20]);
      await advance(1000);
      expect(await endsOf(store)).toEqual([4, 5]);
      await advance(1000);
      expect(await endsOf(store)).toEqual([6, 5]);
      expect(await amountOf(store)).toEqual([0, 0]);
      expect(await store.sequenceAt(orders, 0)).toBe(6);
      expect((await publishFor(store, orders, [1000, 0])).map(sequenceOf)).toEqual([6, 7]);
      await advance(1000);
      expect(await endsOf(store)).toEqual([7, 7]);
    },
  );

  timed("times are found between the messages that are left", async ({ store }, advance) => {
    const times: number[] = [];
    for (const ttlMs of [0, 10_000, 10_000, 10_000, 0, 10_000, 10_000]) {
      times.push(...(await publishFor(store, orders, [ttlMs])).map(timeOf));
      await advance(100);
    }
    await advance(10_000);
    const found = [];
    for (const timeMs of times) found.push(await store.sequenceAt(orders, timeMs));
    expect(found).toEqual([1, 5, 5, 5, 5, 8, 8]);
    expect(await store.sequenceAt(orders, 0)).toBe(1);
  });

  timed("it counts from the message's timestamp, also when the clock was set back", async ({ store }, advance) => {
    await publish(store, orders, 1);
    await advance(-5000);
    await publishFor(store, orders, [1000]);
    await advance(5000);
    expect(await storedIn(store)).toEqual([1, 2]);
    await advance(1000);
    expect(await storedIn(store)).toEqual([1]);
  });
};

const policyCases = ({ timed }: Cases): void => {
  timed("the shorter of age and time to live holds", async ({ store }, advance) => {
    await store.putPolicy(filterOf(">"), { ...keepEverything, maxAgeMs: 2000 });
    await publishFor(store, orders, [0, 1000, 3000]);
    await advance(1000);
    expect(await storedIn(store)).toEqual([1, 3]);
    await advance(1000);
    expect(await endsOf(store)).toEqual([4, 3]);
    expect(await amountOf(store)).toEqual([0, 0]);
  });

  timed("what is gone leaves room within limits", async ({ store }, advance) => {
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 4, discard: "new" });
    await store.putPolicy(filterOf("invoices.*"), { ...keepEverything, maxBytes: 40 });
    await publishFor(store, orders, [0, 1000, 0, 1000]);
    await publishFor(store, invoices, [0, 1000, 0, 1000]);
    expect(await publishOne(store, entryOf(orders))).toEqual({ status: "subject_full" });
    await advance(1000);
    expect((await publish(store, orders, 3)).map(({ status }) => status)).toEqual([
      "committed",
      "committed",
      "subject_full",
    ]);
    expect(await storedIn(store)).toEqual([1, 3, 5, 6]);
    await publish(store, invoices, 2);
    expect(await storedIn(store, invoices)).toEqual([1, 3, 5, 6]);
    await publish(store, invoices, 1);
    expect(await storedIn(store, invoices)).toEqual([3, 5, 6, 7]);
    expect(await amountOf(store, invoices)).toEqual([4, 40]);
  });

  timed("a message id is remembered although its message is gone", async ({ store, dedupeWindowMs }, advance) => {
    await publishOne(store, entryOf(orders, { messageId: "m", ttlMs: 10 }));
    await advance(Math.min(1000, dedupeWindowMs - 1));
    expect(await publishOne(store, entryOf(orders, { messageId: "m", ttlMs: 10_000 }))).toMatchObject({
      status: "duplicate",
      sequence: 1,
    });
    expect(await endsOf(store)).toEqual([2, 1]);
    const next = await publishOne(store, entryOf(orders, { expectedLastSequence: 1, ttlMs: 10 }));
    expect(next).toMatchObject({ status: "committed", sequence: 2 });
  });
};

const sweepCases = ({ timed }: Cases): void => {
  timed("a sweep deletes it without any policy, and the object with its last message", async ({ store }, advance) => {
    await publishFor(store, orders, [1000, 0, 1000], { object: "segment/1" });
    await publishFor(store, orders, [1000, 2000], { object: "segment/2" });
    await publishFor(store, invoices, [1000, 1000], { object: "segment/3" });
    expect(await sweep(store)).toBe(0);
    await advance(1000);
    expect(await sweep(store, 1)).toBe(5);
    expect(await sweep(store, 1)).toBe(0);
    expect(await store.countDead()).toBe(1);
    expect(await store.referenced(["segment/1", "segment/2", "segment/3"])).toEqual([true, true, false]);
    expect(await storedIn(store)).toEqual([2, 5]);
    await advance(1000);
    expect(await sweep(store)).toBe(1);
    expect(await store.countDead()).toBe(2);
    expect(await storedIn(store)).toEqual([2]);
    const taken = await deadNamesOf(store.takeDead({ limit: 10, minAgeMs: 0, leaseMs: 1000 }));
    expect(taken.toSorted()).toEqual(["segment/2", "segment/3"]);
  });

  timed("very many at once, in the middle and at the beginning", async (harness, advance) => {
    const { store } = harness;
    // Every third stays; then a long piece of which none does.
    for (let round = 0; round < 3; round++)
      await publishFor(
        store,
        orders,
        upTo(3000).map((n) => (n % 3 === 0 ? 0 : 1000)),
      );
    await publishFor(
      store,
      orders,
      upTo(6000).map(() => 1000),
    );
    await publish(store, orders, 1);
    await makeWorker(store, { ack: "explicit", maxAckPending: 10_000 });
    await pull(store, { limit: 2000 });
    await advance(1000);
    const left = [...upTo(3000).map((n) => 3 * n), 15_001];
    expect(await storedIn(store)).toEqual(left);
    expect(await endsOf(store)).toEqual([3, 15_001]);
    expect(await amountOf(store)).toEqual([3001, 30_010]);
    expect(await store.consumer(orders, worker)).toMatchObject({ ackedThrough: 2, pending: 3001, ackPending: 666 });
    expect(await store.purge(orders, 9000)).toEqual({ deleted: 3000 });
    expect(await endsOf(store)).toEqual([15_001, 15_001]);
    await harness.reopen();
    expect(await storedIn(harness.store)).toEqual([15_001]);
    expect(await amountOf(harness.store)).toEqual([1, 10]);
  });
};

export const ttlCases = (cases: Cases): void => {
  shownCases(cases);
  policyCases(cases);
  sweepCases(cases);
};
