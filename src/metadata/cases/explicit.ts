/**
 * Consumers that acknowledge message by message, as far as it goes without time.
 * @module
 */
import { expect } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
import {
  ack,
  type Cases,
  configOf,
  deliveriesOf,
  everything,
  makeWorker,
  nack,
  nameOf,
  orders,
  publish,
  pull,
  sequencesOf,
  stateOf,
  upTo,
  worker,
} from "./kit.ts";

const explicit = { ack: "explicit" } as const;

export const explicitCases = ({ case: test }: Cases): void => {
  test("a leased message does not come to the next pull", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store, explicit);
    const page = await pull(store, { limit: 2 });
    expect(deliveriesOf(page)).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(page).toMatchObject({ ack: "explicit", ackedThrough: 0, nextSequence: 3, saturated: false });
    expect(sequencesOf(await pull(store))).toEqual([3, 4, 5]);
    expect(await stateOf(store)).toMatchObject({
      ackedThrough: 0,
      deliveredThrough: 5,
      pending: 5,
      ackPending: 5,
      redelivered: 0,
    });
  });

  test("pulls that overlap share the messages", async ({ store }) => {
    await publish(store, orders, 40);
    await makeWorker(store, explicit);
    const pages = await Promise.all(upTo(10).map(() => pull(store, { limit: 5 })));
    const sequences = pages.flatMap(sequencesOf);
    expect(sequences.toSorted((a, b) => a - b)).toEqual(upTo(40));
  });

  test("a page is bounded by messages and bytes, at least one", async ({ store }) => {
    await publish(store, orders, 5, { length: 100 });
    await makeWorker(store, explicit);
    expect(sequencesOf(await pull(store, { bodyBytesMax: 250 }))).toEqual([1, 2]);
    expect(sequencesOf(await pull(store, { bodyBytesMax: 1 }))).toEqual([3]);
    expect(sequencesOf(await pull(store))).toEqual([4, 5]);
  });

  test("acknowledging out of order: acked_through is the end of what is wholly settled", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store, explicit);
    await pull(store);
    expect(await ack(store, [2])).toEqual({ status: "acked", ackedThrough: 0, moved: true });
    expect(await ack(store, [4, 1])).toEqual({ status: "acked", ackedThrough: 2, moved: true });
    expect(await stateOf(store)).toMatchObject({ pending: 2, ackPending: 2 });
    expect(await ack(store, [3])).toEqual({ status: "acked", ackedThrough: 4, moved: true });
    expect(await ack(store, [5])).toEqual({ status: "acked", ackedThrough: 5, moved: true });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 5, pending: 0, ackPending: 0 });
  });

  test("acknowledging again moves nothing; some of several is enough", async ({ store }) => {
    await publish(store, orders, 3);
    await makeWorker(store, explicit);
    await pull(store);
    await ack(store, [1]);
    expect(await ack(store, [1, 1])).toEqual({ status: "acked", ackedThrough: 1, moved: false });
    expect(await ack(store, [])).toEqual({ status: "acked", ackedThrough: 1, moved: false });
    expect(await ack(store, [0])).toEqual({ status: "acked", ackedThrough: 1, moved: false });
    expect(await ack(store, [1, 2])).toEqual({ status: "acked", ackedThrough: 2, moved: true });
  });

  test("through settles everything up to it, what was never delivered too", async ({ store }) => {
    await publish(store, orders, 6);
    await makeWorker(store, explicit);
    await pull(store, { limit: 3 });
    await ack(store, [1]);
    expect(await ack(store, 2)).toEqual({ status: "acked", ackedThrough: 2, moved: true });
    expect(await ack(store, 2)).toEqual({ status: "acked", ackedThrough: 2, moved: false });
    expect(await stateOf(store)).toMatchObject({ deliveredThrough: 3, ackPending: 1 });
    expect(await ack(store, 5)).toEqual({ status: "acked", ackedThrough: 5, moved: true });
    expect(await stateOf(store)).toMatchObject({ deliveredThrough: 5, pending: 1, ackPending: 0 });
    expect(deliveriesOf(await pull(store))).toEqual([[6, 1]]);
  });

  test("what is acknowledged before its turn is not delivered", async (harness) => {
    const { store } = harness;
    await publish(store, orders, 8);
    await makeWorker(store, explicit);
    expect(await ack(store, [3, 5, 8])).toEqual({ status: "acked", ackedThrough: 0, moved: true });
    expect(await ack(store, [3])).toEqual({ status: "acked", ackedThrough: 0, moved: false });
    expect(await stateOf(store)).toMatchObject({ deliveredThrough: 0, pending: 5, ackPending: 0 });
    await harness.reopen();
    expect(sequencesOf(await pull(harness.store, { limit: 3 }))).toEqual([1, 2, 4]);
    // 5 follows what was delivered and is settled, so the cursor stands behind it.
    expect(await stateOf(harness.store)).toMatchObject({ deliveredThrough: 5, pending: 5, ackPending: 3 });
    expect(sequencesOf(await pull(harness.store))).toEqual([6, 7]);
    expect(await ack(harness.store, [1, 2, 4, 6, 7])).toEqual({ status: "acked", ackedThrough: 8, moved: true });
    expect(await stateOf(harness.store)).toMatchObject({ deliveredThrough: 8, pending: 0, ackPending: 0 });
  });

  test("a limit does not count what was settled before its turn", async ({ store }) => {
    await publish(store, orders, 100);
    await makeWorker(store, explicit);
    await ack(
      store,
      upTo(100).filter((sequence) => sequence % 10 !== 1),
    );
    expect(sequencesOf(await pull(store, { limit: 5 }))).toEqual([1, 11, 21, 31, 41]);
    expect(sequencesOf(await pull(store, { limit: 100 }))).toEqual([51, 61, 71, 81, 91]);
    expect(await stateOf(store)).toMatchObject({ deliveredThrough: 100, pending: 10, ackPending: 10 });
  });

  test("through moves over what was settled before its turn", async ({ store }) => {
    await publish(store, orders, 6);
    await makeWorker(store, explicit);
    await ack(store, [2, 4, 5]);
    expect(await ack(store, 1)).toEqual({ status: "acked", ackedThrough: 2, moved: true });
    expect(await ack(store, 3)).toEqual({ status: "acked", ackedThrough: 5, moved: true });
    expect(await stateOf(store)).toMatchObject({ deliveredThrough: 5, pending: 1 });
  });

  test("beyond the last is out of range and nothing of the request is applied", async ({ store }) => {
    await publish(store, orders, 3);
    await makeWorker(store, explicit);
    await pull(store);
    const outOfRange = { status: "sequence_out_of_range", lastSequence: 3 } as const;
    expect(await ack(store, [1, 4])).toEqual(outOfRange);
    expect(await ack(store, sequenceMax)).toEqual(outOfRange);
    expect(await nack(store, [1, 4])).toEqual(outOfRange);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 0, ackPending: 3 });
    expect(await pull(store)).toMatchObject({ envelopes: [] });
  });

  test("an acknowledgement on a subject that nobody published to is out of range", async ({ store }) => {
    await makeWorker(store, explicit);
    expect(await ack(store, [1])).toEqual({ status: "sequence_out_of_range", lastSequence: 0 });
  });

  test("maxAckPending bounds what is leased, and says so", async ({ store }) => {
    await publish(store, orders, 6);
    await makeWorker(store, { ...explicit, maxAckPending: 3 });
    const page = await pull(store);
    expect(sequencesOf(page)).toEqual([1, 2, 3]);
    expect(page.saturated).toBe(true);
    expect(await pull(store)).toMatchObject({ envelopes: [], saturated: true });
    await ack(store, [2]);
    expect(sequencesOf(await pull(store))).toEqual([4]);
    await ack(store, 4);
    const rest = await pull(store);
    expect(sequencesOf(rest)).toEqual([5, 6]);
    expect(rest.saturated).toBe(false);
  });

  test("full without new messages is not saturated", async ({ store }) => {
    await publish(store, orders, 3);
    await makeWorker(store, { ...explicit, maxAckPending: 3 });
    expect(await pull(store)).toMatchObject({ saturated: false });
    await publish(store, orders, 1);
    expect(await pull(store)).toMatchObject({ envelopes: [], saturated: true });
  });

  test("nacked messages count as pending, and come again before new ones", async ({ store }) => {
    await publish(store, orders, 6);
    await makeWorker(store, { ...explicit, maxAckPending: 4 });
    await pull(store, { limit: 3 });
    expect(await nack(store, [3, 1, 1])).toEqual({ status: "nacked", redeliver: 2 });
    expect(await stateOf(store)).toMatchObject({ ackPending: 3, redelivered: 0, ackedThrough: 0 });
    expect(deliveriesOf(await pull(store))).toEqual([
      [1, 2],
      [3, 2],
      [4, 1],
    ]);
    expect(await stateOf(store)).toMatchObject({ ackPending: 4, redelivered: 2, deliveredThrough: 4 });
  });

  test("bounds hold over redeliveries and new messages together", async ({ store }) => {
    await publish(store, orders, 6, { length: 100 });
    await makeWorker(store, explicit);
    await pull(store, { limit: 3 });
    await nack(store, [1, 2, 3]);
    expect(sequencesOf(await pull(store, { limit: 2 }))).toEqual([1, 2]);
    expect(sequencesOf(await pull(store, { bodyBytesMax: 200 }))).toEqual([3, 4]);
    expect(sequencesOf(await pull(store, { bodyBytesMax: 1 }))).toEqual([5]);
  });

  test("only what is leased or nacked can be nacked", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store, explicit);
    await pull(store, { limit: 3 });
    await ack(store, [2]);
    expect(await nack(store, [0, 2, 4])).toEqual({ status: "nacked", redeliver: 0 });
    expect(await nack(store, [1, 2, 5])).toEqual({ status: "nacked", redeliver: 1 });
    expect(await nack(store, [1])).toEqual({ status: "nacked", redeliver: 1 });
    expect(await nack(store, [])).toEqual({ status: "nacked", redeliver: 0 });
    expect(deliveriesOf(await pull(store))).toEqual([
      [1, 2],
      [4, 1],
      [5, 1],
    ]);
  });

  test("a nack at maxDeliver settles", async ({ store }) => {
    await publish(store, orders, 3);
    await makeWorker(store, { ...explicit, maxDeliver: 2 });
    await pull(store, { limit: 2 });
    expect(await nack(store, [1, 2])).toEqual({ status: "nacked", redeliver: 2 });
    await pull(store, { limit: 1 });
    expect(await nack(store, [1, 2])).toEqual({ status: "nacked", redeliver: 1 });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, pending: 2, ackPending: 1 });
    expect(deliveriesOf(await pull(store))).toEqual([
      [2, 2],
      [3, 1],
    ]);
  });

  test("a nacked message can be acknowledged", async ({ store }) => {
    await publish(store, orders, 2);
    await makeWorker(store, explicit);
    await pull(store);
    await nack(store, [1, 2], 60_000);
    expect(await ack(store, [1])).toEqual({ status: "acked", ackedThrough: 1, moved: true });
    expect(await pull(store)).toMatchObject({ envelopes: [], nextDueInMs: expect.any(Number) as number });
    expect(await ack(store, 2)).toEqual({ status: "acked", ackedThrough: 2, moved: true });
    expect(await pull(store)).toMatchObject({ envelopes: [], nextDueInMs: null });
  });

  test("autoAck settles what is returned at once: redeliveries, and new ones beyond maxAckPending", async ({
    store,
  }) => {
    await publish(store, orders, 6);
    await makeWorker(store, { ...explicit, maxAckPending: 2 });
    await pull(store);
    await nack(store, [1]);
    const page = await pull(store, { limit: 3, autoAck: true });
    expect(deliveriesOf(page)).toEqual([
      [1, 2],
      [3, 1],
      [4, 1],
    ]);
    expect(page).toMatchObject({ ackedThrough: 1, nextSequence: 5, saturated: false });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, deliveredThrough: 4, pending: 3, ackPending: 1 });
    expect(await ack(store, [2])).toEqual({ status: "acked", ackedThrough: 4, moved: true });
  });

  test("leases, nacks and counts survive reopening", async (harness) => {
    await publish(harness.store, orders, 6);
    await makeWorker(harness.store, { ...explicit, maxAckPending: 4 });
    await pull(harness.store, { limit: 3 });
    await ack(harness.store, [2]);
    await nack(harness.store, [3]);
    const state = await stateOf(harness.store);
    await harness.reopen();
    expect(await stateOf(harness.store)).toEqual(state);
    expect(deliveriesOf(await pull(harness.store))).toEqual([
      [3, 2],
      [4, 1],
      [5, 1],
    ]);
  });

  test("a peek shows the pull and changes nothing", async ({ store }) => {
    await publish(store, orders, 8);
    await makeWorker(store, { ...explicit, maxAckPending: 4 });
    await pull(store, { limit: 3 });
    await nack(store, [2]);
    await ack(store, [4]);
    const before = await stateOf(store);
    const peeked = await store.peek(orders, worker, everything);
    expect(await stateOf(store)).toEqual(before);
    expect(await store.peek(orders, worker, everything)).toEqual(peeked);
    expect(deliveriesOf(peeked)).toEqual([
      [2, 2],
      [5, 1],
    ]);
    // Where new messages come from is where it was.
    expect(peeked.nextSequence).toBe(5);
    const pulled = await pull(store);
    expect(pulled).toMatchObject({ head: peeked.head, ackedThrough: 0, nextSequence: 6 });
    expect(pulled.envelopes).toEqual(peeked.envelopes);
  });

  test("consumers of one subject do not see each other", async ({ store }) => {
    await publish(store, orders, 3);
    await makeWorker(store, explicit);
    const other = nameOf("other");
    await store.putConsumer(orders, other, configOf(explicit));
    await pull(store);
    await ack(store, [1, 2, 3]);
    const page = await store.pull({ subject: orders, consumer: other, ...everything, autoAck: false, create: false });
    expect(sequencesOf(page)).toEqual([1, 2, 3]);
    expect(await store.consumer(orders, other)).toMatchObject({ ackedThrough: 0, ackPending: 3 });
  });
};
