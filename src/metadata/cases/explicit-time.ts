/**
 * Leases that run out, delays, and deliveries that are used up.
 * @module
 */
import { expect } from "bun:test";
import {
  ack,
  type Cases,
  deliveriesOf,
  everything,
  makeWorker,
  nack,
  orders,
  publish,
  pull,
  sequencesOf,
  stateOf,
  worker,
} from "./kit.ts";

const leased = { ack: "explicit", ackWaitMs: 1000 } as const;

export const explicitTimeCases = ({ timed }: Cases): void => {
  timed("a lease runs out after ackWaitMs, not before", async ({ store }, advance) => {
    await publish(store, orders, 3);
    await makeWorker(store, leased);
    await pull(store, { limit: 2 });
    await advance(400);
    await pull(store);
    expect(await pull(store)).toMatchObject({ envelopes: [], nextDueInMs: 600 });
    await advance(599);
    expect(await pull(store)).toMatchObject({ envelopes: [], nextDueInMs: 1 });
    await advance(1);
    const page = await pull(store);
    expect(deliveriesOf(page)).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(page.nextDueInMs).toBeNull();
    expect(await pull(store)).toMatchObject({ envelopes: [], nextDueInMs: 400 });
    expect(await stateOf(store)).toMatchObject({ ackPending: 3, redelivered: 2, ackedThrough: 0 });
  });

  timed("redeliveries come lowest sequence first, whatever became due first", async ({ store }, advance) => {
    await publish(store, orders, 4);
    await makeWorker(store, leased);
    await pull(store, { limit: 3 });
    await nack(store, [3], 100);
    await nack(store, [1], 300);
    await nack(store, [2], 200);
    await advance(300);
    expect(deliveriesOf(await pull(store, { limit: 2 }))).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(deliveriesOf(await pull(store))).toEqual([
      [3, 2],
      [4, 1],
    ]);
  });

  timed("a nack's delay may be longer than the lease, and can be changed", async ({ store }, advance) => {
    await publish(store, orders, 1);
    await makeWorker(store, leased);
    await pull(store);
    await nack(store, [1], 5000);
    await advance(4999);
    expect(await pull(store)).toMatchObject({ envelopes: [], nextDueInMs: 1 });
    expect(await nack(store, [1], 50)).toEqual({ status: "nacked", redeliver: 1 });
    await advance(50);
    expect(deliveriesOf(await pull(store))).toEqual([[1, 2]]);
  });

  timed("late acknowledgements count", async ({ store }, advance) => {
    await publish(store, orders, 3);
    await makeWorker(store, leased);
    await pull(store);
    await advance(5000);
    expect(await ack(store, [1])).toEqual({ status: "acked", ackedThrough: 1, moved: true });
    expect(await nack(store, [2], 10)).toEqual({ status: "nacked", redeliver: 1 });
    expect(deliveriesOf(await pull(store))).toEqual([[3, 2]]);
    expect(await ack(store, 2)).toEqual({ status: "acked", ackedThrough: 2, moved: true });
  });

  timed("redeliveries come although maxAckPending is reached", async ({ store }, advance) => {
    await publish(store, orders, 5);
    await makeWorker(store, { ...leased, maxAckPending: 2 });
    await pull(store);
    await advance(1000);
    const page = await pull(store);
    expect(deliveriesOf(page)).toEqual([
      [1, 2],
      [2, 2],
    ]);
    expect(page.saturated).toBe(true);
    expect(await stateOf(store)).toMatchObject({ ackPending: 2, redelivered: 2, deliveredThrough: 2 });
  });

  timed("used-up deliveries settle when their lease runs out", async ({ store }, advance) => {
    await publish(store, orders, 3);
    await makeWorker(store, { ...leased, maxDeliver: 2 });
    await pull(store, { limit: 2 });
    await advance(1000);
    expect(sequencesOf(await pull(store, { limit: 1 }))).toEqual([1]);
    await advance(999);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, pending: 3, ackPending: 2 });
    await advance(1);
    // 1 was delivered twice and is settled, 2 only once.
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, pending: 2, ackPending: 1, redelivered: 0 });
    expect(deliveriesOf(await pull(store))).toEqual([
      [2, 2],
      [3, 1],
    ]);
  });

  timed("a used-up message can still be acknowledged inside its lease", async ({ store }, advance) => {
    await publish(store, orders, 1);
    await makeWorker(store, { ...leased, maxDeliver: 1 });
    await pull(store);
    await advance(999);
    expect(await ack(store, [1])).toEqual({ status: "acked", ackedThrough: 1, moved: true });
  });

  timed("what was settled that way moves nothing when it is acknowledged", async ({ store }, advance) => {
    await publish(store, orders, 2);
    await makeWorker(store, { ...leased, maxDeliver: 1 });
    await pull(store, { limit: 1 });
    await advance(1000);
    expect(await ack(store, [1])).toEqual({ status: "acked", ackedThrough: 1, moved: false });
    expect(await nack(store, [1])).toEqual({ status: "nacked", redeliver: 0 });
  });

  timed("used-up deliveries free a saturated consumer, in a pull and in a peek", async ({ store }, advance) => {
    await publish(store, orders, 4);
    await makeWorker(store, { ...leased, maxDeliver: 1, maxAckPending: 2 });
    await pull(store);
    expect(await pull(store)).toMatchObject({ envelopes: [], saturated: true, nextDueInMs: 1000 });
    await advance(1000);
    const peeked = await store.peek(orders, worker, everything);
    expect(peeked).toMatchObject({ ackedThrough: 2, nextSequence: 3 });
    const pulled = await pull(store);
    expect(pulled).toMatchObject({ ackedThrough: 2, saturated: false });
    expect(pulled.envelopes).toEqual(peeked.envelopes);
    expect(sequencesOf(pulled)).toEqual([3, 4]);
  });

  timed("settled stays settled when the clock is set back", async (harness, advance) => {
    await publish(harness.store, orders, 2);
    await makeWorker(harness.store, { ...leased, maxDeliver: 1 });
    await pull(harness.store);
    await advance(1000);
    expect(await stateOf(harness.store)).toMatchObject({ ackedThrough: 2 });
    await advance(-500);
    await harness.reopen();
    expect(await stateOf(harness.store)).toMatchObject({ ackedThrough: 2, ackPending: 0 });
  });

  timed("leases run on while the store is closed", async (harness, advance) => {
    await publish(harness.store, orders, 2);
    await makeWorker(harness.store, leased);
    await pull(harness.store);
    await advance(700);
    await harness.reopen();
    expect(await pull(harness.store)).toMatchObject({ envelopes: [], nextDueInMs: 300 });
    await advance(300);
    expect(deliveriesOf(await pull(harness.store))).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });
};
