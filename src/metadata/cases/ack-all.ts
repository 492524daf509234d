/**
 * Consumers that acknowledge everything through a sequence.
 * @module
 */
import { expect } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
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

export const ackAllCases = ({ case: test }: Cases): void => {
  test("the same messages come until they are acknowledged, then marked as repeated", async ({ store }) => {
    await publish(store, orders, 4);
    await makeWorker(store);
    expect(deliveriesOf(await pull(store, { limit: 2 }))).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, deliveredThrough: 2, pending: 4, ackPending: 0 });
    expect(deliveriesOf(await pull(store, { limit: 3 }))).toEqual([
      [1, 2],
      [2, 2],
      [3, 1],
    ]);
    expect(await ack(store, 1)).toEqual({ status: "acked", ackedThrough: 1, moved: true });
    const page = await pull(store);
    expect(deliveriesOf(page)).toEqual([
      [2, 2],
      [3, 2],
      [4, 1],
    ]);
    expect(page).toMatchObject({ ack: "all", ackedThrough: 1, nextSequence: 2, nextDueInMs: null, saturated: false });
  });

  test("a pull is bounded by messages and bytes, at least one", async ({ store }) => {
    await publish(store, orders, 5, { length: 100 });
    expect(sequencesOf(await pull(store, { bodyBytesMax: 250 }))).toEqual([1, 2]);
    expect(sequencesOf(await pull(store, { bodyBytesMax: 1 }))).toEqual([1]);
    expect(sequencesOf(await pull(store, { limit: 4 }))).toEqual([1, 2, 3, 4]);
  });

  test("autoAck acknowledges what was returned, and no more", async ({ store }) => {
    await publish(store, orders, 5);
    const page = await pull(store, { limit: 2, autoAck: true });
    expect(page).toMatchObject({ ackedThrough: 2, nextSequence: 3 });
    expect(sequencesOf(page)).toEqual([1, 2]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, deliveredThrough: 2, pending: 3 });
    expect(deliveriesOf(await pull(store, { limit: 1, autoAck: true }))).toEqual([[3, 1]]);
    await pull(store, { autoAck: true });
    expect(await pull(store, { autoAck: true })).toMatchObject({ envelopes: [], ackedThrough: 5, nextSequence: 6 });
  });

  test("backwards and again is not moved", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store);
    await ack(store, 3);
    expect(await ack(store, 3)).toEqual({ status: "acked", ackedThrough: 3, moved: false });
    expect(await ack(store, 1)).toEqual({ status: "acked", ackedThrough: 3, moved: false });
    expect(await ack(store, 0)).toEqual({ status: "acked", ackedThrough: 3, moved: false });
    // Acknowledged without having been handed out.
    expect(await stateOf(store)).toMatchObject({ deliveredThrough: 3, pending: 2 });
  });

  test("beyond the last is out of range and changes nothing", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store);
    await ack(store, 2);
    for (const through of [6, sequenceMax]) {
      expect(await ack(store, through)).toEqual({ status: "sequence_out_of_range", lastSequence: 5 });
    }
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, deliveredThrough: 2 });
    expect(await ack(store, 5)).toEqual({ status: "acked", ackedThrough: 5, moved: true });
  });

  test("sequences and nacks are for explicit consumers", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store);
    await pull(store);
    expect(await ack(store, [1])).toEqual({ status: "wrong_ack_mode" });
    expect(await nack(store, [1])).toEqual({ status: "wrong_ack_mode" });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, deliveredThrough: 5, ackPending: 0 });
  });

  test("positions survive reopening", async (harness) => {
    await publish(harness.store, orders, 5);
    await makeWorker(harness.store);
    await pull(harness.store, { limit: 4 });
    await ack(harness.store, 2);
    const state = await stateOf(harness.store);
    await harness.reopen();
    expect(await stateOf(harness.store)).toEqual(state);
    expect(deliveriesOf(await pull(harness.store))).toEqual([
      [3, 2],
      [4, 2],
      [5, 1],
    ]);
  });

  test("a peek shows the pull and changes nothing", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store);
    await pull(store, { limit: 2 });
    await ack(store, 1);
    const before = await stateOf(store);
    const peeked = await store.peek(orders, worker, everything);
    expect(await stateOf(store)).toEqual(before);
    expect(await store.peek(orders, worker, everything)).toEqual(peeked);
    expect(await pull(store)).toEqual(peeked);
    expect(sequencesOf(await store.peek(orders, worker, { limit: 2, bodyBytesMax: 1000 }))).toEqual([2, 3]);
  });
};
