/**
 * Deleting messages, and what it means for heads, sums and consumers.
 * @module
 */
import { expect } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
import {
  ack,
  type Cases,
  deliveriesOf,
  everything,
  invoices,
  makeWorker,
  orders,
  publish,
  pull,
  sequenceOf,
  sequencesOf,
  stateOf,
  upTo,
} from "./kit.ts";

export const purgeCases = ({ case: test }: Cases): void => {
  test("an unknown subject, and nothing to delete", async ({ store }) => {
    expect(await store.purge(orders, 5)).toEqual({ deleted: 0 });
    expect(await store.subject(orders)).toBeNull();
    await publish(store, orders, 3);
    expect(await store.purge(orders, 0)).toEqual({ deleted: 0 });
    expect(await store.purge(orders, 2)).toEqual({ deleted: 2 });
    expect(await store.purge(orders, 2)).toEqual({ deleted: 0 });
    expect(await store.purge(orders, 1)).toEqual({ deleted: 0 });
  });

  test("a part: what is left stays as it was", async (harness) => {
    await publish(harness.store, orders, 6, { length: 7 });
    await publish(harness.store, invoices, 2);
    const before = await harness.store.range(orders, 5, everything);
    expect(await harness.store.purge(orders, 4)).toEqual({ deleted: 4 });
    const after = { head: { firstSequence: 5, lastSequence: 6 }, envelopes: before.envelopes };
    expect(await harness.store.range(orders, 1, everything)).toEqual(after);
    expect(await harness.store.subject(orders)).toMatchObject({ messages: 2, bytes: 14 });
    expect(await harness.store.subject(invoices)).toMatchObject({ messages: 2 });
    await harness.reopen();
    expect(await harness.store.range(orders, 1, everything)).toEqual(after);
  });

  test("everything: sequences go on where they were", async (harness) => {
    await publish(harness.store, orders, 3);
    expect(await harness.store.purge(orders, 3)).toEqual({ deleted: 3 });
    expect(await harness.store.heads([orders])).toEqual([{ firstSequence: 4, lastSequence: 3 }]);
    expect(await harness.store.subject(orders)).toMatchObject({ messages: 0, bytes: 0 });
    await harness.reopen();
    expect(await harness.store.heads([orders])).toEqual([{ firstSequence: 4, lastSequence: 3 }]);
    expect((await publish(harness.store, orders, 2, { length: 8 })).map(sequenceOf)).toEqual([4, 5]);
    expect(sequencesOf(await harness.store.range(orders, 1, everything))).toEqual([4, 5]);
    expect(await harness.store.subject(orders)).toMatchObject({ messages: 2, bytes: 16 });
  });

  test("beyond the end is everything, and what comes later stays", async ({ store }) => {
    await publish(store, orders, 3);
    expect(await store.purge(orders, sequenceMax)).toEqual({ deleted: 3 });
    expect((await publish(store, orders, 1)).map(sequenceOf)).toEqual([4]);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([4]);
  });

  test("many messages, bit by bit and between publishes", async (harness) => {
    let last = 0;
    for (let round = 0; round < 5; round++) {
      await publish(harness.store, orders, 4000, { object: `segment/${round}` });
      last += 4000;
      expect(await harness.store.purge(orders, last - 1500)).toEqual({ deleted: round === 0 ? 2500 : 4000 });
      expect(await harness.store.heads([orders])).toEqual([{ firstSequence: last - 1499, lastSequence: last }]);
    }
    await harness.reopen();
    const page = await harness.store.range(orders, 1, everything);
    expect(sequencesOf(page)).toEqual(upTo(1500).map((n) => n + 18_500));
    expect(new Set(page.envelopes.map((each) => each.body.object))).toEqual(new Set(["segment/4"]));
    expect(await harness.store.subject(orders)).toMatchObject({ messages: 1500, bytes: 15_000 });
  });

  test("`all` consumers move by acknowledging only, and go on behind the gap", async ({ store }) => {
    await publish(store, orders, 6);
    await makeWorker(store);
    await ack(store, 2);
    await store.purge(orders, 4);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, pending: 2 });
    const page = await pull(store);
    expect(sequencesOf(page)).toEqual([5, 6]);
    expect(page).toMatchObject({ head: { firstSequence: 5, lastSequence: 6 }, ackedThrough: 2, nextSequence: 5 });
  });

  test("`explicit` consumers: deleted leases are settled", async ({ store }) => {
    await publish(store, orders, 6);
    await makeWorker(store, { ack: "explicit" });
    await pull(store, { limit: 4 });
    await store.purge(orders, 2);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, deliveredThrough: 4, pending: 4, ackPending: 2 });
    await ack(store, [3]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 3, pending: 3, ackPending: 1 });
  });

  test("`explicit` consumers: deleting beyond what was delivered moves them", async ({ store }) => {
    await publish(store, orders, 8);
    await makeWorker(store, { ack: "explicit" });
    await pull(store, { limit: 1 });
    await ack(store, [6, 7]);
    await store.purge(orders, 5);
    // 6 and 7 were settled before their turn, so that everything up to 7 is settled now.
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 7, deliveredThrough: 7, pending: 1, ackPending: 0 });
    expect(deliveriesOf(await pull(store))).toEqual([[8, 1]]);
  });

  test("`explicit` consumers: after everything was deleted", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store, { ack: "explicit", maxAckPending: 2 });
    await pull(store);
    await ack(store, [4]);
    await store.purge(orders, sequenceMax);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 5, deliveredThrough: 5, pending: 0, ackPending: 0 });
    expect(await pull(store)).toMatchObject({ envelopes: [], nextSequence: 6, nextDueInMs: null, saturated: false });
    await publish(store, orders, 1);
    expect(deliveriesOf(await pull(store))).toEqual([[6, 1]]);
  });

  test("acknowledging what was deleted moves nothing", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store, { ack: "explicit" });
    await pull(store);
    await store.purge(orders, 3);
    expect(await ack(store, [1, 2])).toEqual({ status: "acked", ackedThrough: 3, moved: false });
    expect(await ack(store, 3)).toEqual({ status: "acked", ackedThrough: 3, moved: false });
    expect(await ack(store, [2, 4])).toEqual({ status: "acked", ackedThrough: 4, moved: true });
  });
};
