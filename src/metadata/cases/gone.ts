/**
 * Messages that have gone from the middle of a subject: what is counted, what consumers see, and what is deleted later.
 * @module
 */
import { expect } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
import { keepEverything } from "../../core/policy.ts";
import {
  ack,
  amountOf,
  type Cases,
  configOf,
  deliveriesOf,
  endsOf,
  everything,
  filterOf,
  invoices,
  makeWorker,
  nack,
  nameOf,
  orders,
  publish,
  publishFor,
  pull,
  sequencesOf,
  stateOf,
  storedIn,
  sweep,
  upTo,
  worker,
} from "./kit.ts";

const countCases = ({ timed }: Cases): void => {
  timed("a purge tells and counts only what was there", async (harness, advance) => {
    const { store } = harness;
    for (const length of upTo(10)) await publishFor(store, orders, [length % 2 === 0 ? 1000 : 0], { length });
    await advance(1000);
    expect(await amountOf(store)).toEqual([5, 1 + 3 + 5 + 7 + 9]);
    // 4 is gone already, and so is what lies between it and the next one.
    expect(await store.purge(orders, 4)).toEqual({ deleted: 2 });
    expect(await endsOf(store)).toEqual([5, 10]);
    expect(await amountOf(store)).toEqual([3, 5 + 7 + 9]);
    expect(await store.purge(orders, 4)).toEqual({ deleted: 0 });
    await harness.reopen();
    expect(await harness.store.purge(orders, 7)).toEqual({ deleted: 2 });
    expect(await endsOf(harness.store)).toEqual([9, 10]);
    expect(await amountOf(harness.store)).toEqual([1, 9]);
    expect(await harness.store.purge(orders, sequenceMax)).toEqual({ deleted: 1 });
    expect(await endsOf(harness.store)).toEqual([11, 10]);
    expect(await amountOf(harness.store)).toEqual([0, 0]);
    await publish(harness.store, orders, 2);
    expect(await amountOf(harness.store)).toEqual([2, 20]);
  });

  timed("over long distances, too", async ({ store }, advance) => {
    // Of each hundred the last stays, and all of the third thousand.
    const ttlsMs = upTo(5000).map((n) => (n % 100 === 0 || (n > 2000 && n <= 3000) ? 0 : 1000));
    await publishFor(store, orders, ttlsMs, { length: 3 });
    await advance(1000);
    const left = upTo(5000).filter((n) => ttlsMs[n - 1] === 0);
    expect(await storedIn(store)).toEqual(left);
    expect(await amountOf(store)).toEqual([left.length, 3 * left.length]);
    let stored = left.length;
    for (const through of [50, 100, 1023, 1024, 2047, 2500, 2998, 3072, 4900]) {
      const kept = left.filter((n) => n > through).length;
      expect(await store.purge(orders, through)).toEqual({ deleted: stored - kept });
      expect(await amountOf(store)).toEqual([kept, 3 * kept]);
      expect(await endsOf(store)).toEqual([left.find((n) => n > through) ?? 0, 5000]);
      stored = kept;
    }
  });

  timed("limits keep the newest that are there", async ({ store }, advance) => {
    const ttlsMs = upTo(3000).map((n) => (n % 2 === 0 ? 0 : 1000));
    await publishFor(store, orders, ttlsMs);
    await publishFor(store, invoices, ttlsMs);
    await advance(1000);
    expect(await sweep(store)).toBe(3000);
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 1400 });
    await store.putPolicy(filterOf("invoices.*"), { ...keepEverything, maxBytes: 3000, maxMessages: 301 });
    expect(await sweep(store)).toBe(100 + 1200);
    expect(await endsOf(store)).toEqual([202, 3000]);
    expect(await endsOf(store, invoices)).toEqual([2402, 3000]);
    expect(await amountOf(store)).toEqual([1400, 14_000]);
    expect(await amountOf(store, invoices)).toEqual([300, 3000]);
    await publish(store, orders, 1);
    expect(await endsOf(store)).toEqual([204, 3001]);
    await publish(store, invoices, 1, { length: 15 });
    expect(await endsOf(store, invoices)).toEqual([2406, 3001]);
    expect(await amountOf(store, invoices)).toEqual([299, 2995]);
  });

  timed("age cuts what is left", async ({ store }, advance) => {
    await store.putPolicy(filterOf(">"), { ...keepEverything, maxAgeMs: 5000 });
    await publishFor(store, orders, [0, 1000, 0]);
    await advance(1000);
    await publishFor(store, orders, [1000, 0, 1000, 0]);
    await advance(3999);
    expect(await storedIn(store)).toEqual([1, 3, 5, 7]);
    // A store may remove what it does not show when it is read, or later.
    await sweep(store);
    await advance(1);
    expect(await endsOf(store)).toEqual([5, 7]);
    expect(await amountOf(store)).toEqual([2, 20]);
    const { subjects } = await store.subjects({ filter: filterOf(">"), limit: 10 });
    expect(subjects).toEqual([{ subject: orders, firstSequence: 5, lastSequence: 7, messages: 2, bytes: 20 }]);
    expect(await sweep(store)).toBe(2);
    expect(await amountOf(store)).toEqual([2, 20]);
  });
};

const consumerCases = ({ timed }: Cases): void => {
  timed("explicit: it is settled, leased or not", async ({ store }, advance) => {
    await publishFor(store, orders, [0, 1000, 0, 1000, 0, 1000, 1000, 0]);
    await makeWorker(store, { ack: "explicit" });
    await pull(store, { limit: 5 });
    await advance(1000);
    // Leased are 1, 3 and 5; behind 5 the next is 8.
    expect(await store.peek(orders, worker, everything)).toMatchObject({ ackedThrough: 0, nextSequence: 8 });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, deliveredThrough: 7, pending: 4, ackPending: 3 });
    expect(await nack(store, [2, 3])).toEqual({ status: "nacked", redeliver: 1 });
    expect(await ack(store, [4])).toEqual({ status: "acked", ackedThrough: 0, moved: false });
    expect(await ack(store, [1])).toEqual({ status: "acked", ackedThrough: 2, moved: true });
    expect(deliveriesOf(await pull(store))).toEqual([
      [3, 2],
      [8, 1],
    ]);
    expect(await ack(store, 5)).toEqual({ status: "acked", ackedThrough: 7, moved: true });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 7, deliveredThrough: 8, pending: 1, ackPending: 1 });
  });

  timed("explicit: what was settled before its turn counts once", async ({ store }, advance) => {
    await publishFor(store, orders, [0, 0, 1000, 0, 1000, 0]);
    await makeWorker(store, { ack: "explicit" });
    await pull(store, { limit: 1 });
    expect(await ack(store, [3, 4])).toMatchObject({ moved: true });
    await advance(1000);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, deliveredThrough: 1, pending: 3, ackPending: 1 });
    expect(await ack(store, [5])).toMatchObject({ moved: false });
    expect(await stateOf(store)).toMatchObject({ pending: 3 });
    expect(await ack(store, [2])).toMatchObject({ moved: true });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, deliveredThrough: 5, pending: 2, ackPending: 1 });
    expect(await ack(store, [1])).toMatchObject({ ackedThrough: 5 });
    expect(sequencesOf(await pull(store))).toEqual([6]);
  });

  timed("explicit: a lease that is gone makes room for another", async ({ store }, advance) => {
    await publishFor(store, orders, [1000, 1000, 0, 0, 0]);
    await makeWorker(store, { ack: "explicit", maxAckPending: 2 });
    await pull(store);
    expect(await pull(store)).toMatchObject({ envelopes: [], saturated: true });
    await advance(1000);
    const peeked = await store.peek(orders, worker, everything);
    expect(peeked).toMatchObject({ ackedThrough: 2, nextSequence: 3, saturated: false });
    expect(sequencesOf(peeked)).toEqual([3, 4]);
    expect(sequencesOf(await pull(store))).toEqual([3, 4]);
  });

  timed("explicit: at the end, and what comes behind it", async (harness, advance) => {
    const { store } = harness;
    await publishFor(store, orders, [0, 1000, 1000]);
    await makeWorker(store, { ack: "explicit" });
    await pull(store, { limit: 1 });
    await ack(store, [1]);
    await advance(1000);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 3, deliveredThrough: 3, pending: 0 });
    expect(await pull(store)).toMatchObject({ envelopes: [], nextSequence: 4, nextDueInMs: null });
    await publish(store, orders, 1);
    await harness.reopen();
    expect(deliveriesOf(await pull(harness.store))).toEqual([[4, 1]]);
  });

  timed("explicit: a new one begins with what is there", async ({ store }, advance) => {
    await publishFor(store, orders, [1000, 0, 1000, 0]);
    await advance(1000);
    await makeWorker(store, { ack: "explicit" });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, pending: 2 });
    const later = nameOf("later");
    const start = { kind: "sequence", sequence: 3 } as const;
    const { state } = await store.putConsumer(orders, later, configOf({ ack: "explicit", start }));
    expect(state).toMatchObject({ pending: 1 });
    const bounds = { ...everything, subject: orders, autoAck: true, create: false };
    expect(sequencesOf(await store.pull({ ...bounds, consumer: later }))).toEqual([4]);
    expect(sequencesOf(await store.pull({ ...bounds, consumer: worker }))).toEqual([2, 4]);
  });

  timed("`all` consumers move by acknowledging only, and leave out what is gone", async ({ store }, advance) => {
    await publishFor(store, orders, [0, 1000, 0, 0, 1000, 0]);
    await makeWorker(store);
    await ack(store, 1);
    await advance(1000);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, pending: 3 });
    expect(sequencesOf(await pull(store))).toEqual([3, 4, 6]);
    expect(await ack(store, 2)).toEqual({ status: "acked", ackedThrough: 2, moved: true });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, pending: 3 });
    expect(await ack(store, 4)).toMatchObject({ ackedThrough: 4 });
    expect(await stateOf(store)).toMatchObject({ pending: 1 });
  });
};

export const goneCases = (cases: Cases): void => {
  countCases(cases);
  consumerCases(cases);
};
