/**
 * Making, comparing, listing and deleting consumers, and where they start.
 * @module
 */
import { expect } from "bun:test";
import { sequenceMax } from "../../core/limits.ts";
import type { AckMode, ConsumerConfig, ConsumerStart } from "../../core/message.ts";
import type { MetadataStore } from "../contract.ts";
import {
  ack,
  type Cases,
  configOf,
  deliveriesOf,
  invoices,
  makeWorker,
  nameOf,
  orders,
  publish,
  pull,
  refusalOf,
  sequencesOf,
  stateOf,
  subjectOf,
  timeOf,
  worker,
} from "./kit.ts";

/** `[ackedThrough, deliveredThrough, pending]` of a consumer that is made now. */
const positionsOf = async (store: MetadataStore, start: ConsumerStart, ackMode: AckMode) => {
  const name = nameOf(`${ackMode}.${JSON.stringify(start).replace(/[^a-z0-9]/g, "-")}`);
  const { state } = await store.putConsumer(orders, name, configOf({ start, ack: ackMode }));
  return [state.ackedThrough, state.deliveredThrough, state.pending];
};

export const consumerCases = ({ case: test, timed }: Cases): void => {
  test("created, the same, another", async ({ store }) => {
    const created = await store.putConsumer(orders, worker, configOf());
    expect(created.status).toBe("created");
    const { createdAtMs, ...state } = created.state;
    expect(createdAtMs).toBeGreaterThan(0);
    expect(state).toEqual({
      name: worker,
      subject: orders,
      ack: "all",
      ackedThrough: 0,
      deliveredThrough: 0,
      pending: 0,
      ackPending: 0,
      redelivered: 0,
    });
    expect(await store.putConsumer(orders, worker, configOf())).toEqual({ status: "same", state: created.state });
    expect(await store.putConsumer(orders, worker, configOf({ ackWaitMs: 1 }))).toEqual({
      status: "differs",
      state: created.state,
    });
  });

  test("every field of the configuration counts, and a refused one changes nothing", async (harness) => {
    const config = configOf({ ack: "explicit", start: { kind: "sequence", sequence: 2 } });
    await publish(harness.store, orders, 3);
    await harness.store.putConsumer(orders, worker, config);
    const others: Partial<ConsumerConfig>[] = [
      { start: { kind: "first" } },
      { start: { kind: "sequence", sequence: 3 } },
      { start: { kind: "time", timestampMs: 2 } },
      { ack: "all" },
      { ackWaitMs: 29_999 },
      { maxDeliver: 1 },
      { maxAckPending: 999 },
    ];
    await harness.reopen();
    for (const other of others) {
      const { status } = await harness.store.putConsumer(orders, worker, { ...config, ...other });
      expect([other, status]).toEqual([other, "differs"]);
    }
    expect((await harness.store.putConsumer(orders, worker, config)).status).toBe("same");
  });

  test("the start is compared as it was given, not as it was resolved", async ({ store }) => {
    await publish(store, orders, 3);
    const config = configOf({ start: { kind: "new" } });
    await store.putConsumer(orders, worker, config);
    await publish(store, orders, 3);
    const again = await store.putConsumer(orders, worker, config);
    expect(again).toMatchObject({ status: "same", state: { ackedThrough: 3, pending: 3 } });
    const resolved = configOf({ start: { kind: "sequence", sequence: 4 } });
    expect((await store.putConsumer(orders, worker, resolved)).status).toBe("differs");
  });

  test("the same name on another subject is another consumer", async ({ store }) => {
    await makeWorker(store);
    expect((await store.putConsumer(invoices, worker, configOf({ ack: "explicit" }))).status).toBe("created");
    expect(await store.consumer(orders, worker)).toMatchObject({ subject: orders, ack: "all" });
    expect(await store.consumer(invoices, worker)).toMatchObject({ subject: invoices, ack: "explicit" });
  });

  test("starts before anything was published", async ({ store }) => {
    for (const mode of ["all", "explicit"] as const) {
      expect(await positionsOf(store, { kind: "first" }, mode)).toEqual([0, 0, 0]);
      expect(await positionsOf(store, { kind: "new" }, mode)).toEqual([0, 0, 0]);
      expect(await positionsOf(store, { kind: "sequence", sequence: 0 }, mode)).toEqual([0, 0, 0]);
      expect(await positionsOf(store, { kind: "sequence", sequence: 1 }, mode)).toEqual([0, 0, 0]);
      expect(await positionsOf(store, { kind: "time", timestampMs: 5 }, mode)).toEqual([0, 0, 0]);
    }
  });

  test("starts in a full subject", async ({ store }) => {
    const outcomes = await publish(store, orders, 5);
    const last = outcomes.at(-1);
    const lastAt = last === undefined ? 0 : timeOf(last);
    for (const mode of ["all", "explicit"] as const) {
      expect(await positionsOf(store, { kind: "first" }, mode)).toEqual([0, 0, 5]);
      expect(await positionsOf(store, { kind: "new" }, mode)).toEqual([5, 5, 0]);
      expect(await positionsOf(store, { kind: "sequence", sequence: 0 }, mode)).toEqual([0, 0, 5]);
      expect(await positionsOf(store, { kind: "sequence", sequence: 3 }, mode)).toEqual([2, 2, 3]);
      expect(await positionsOf(store, { kind: "sequence", sequence: 6 }, mode)).toEqual([5, 5, 0]);
      expect(await positionsOf(store, { kind: "time", timestampMs: 0 }, mode)).toEqual([0, 0, 5]);
      expect(await positionsOf(store, { kind: "time", timestampMs: lastAt + 1 }, mode)).toEqual([5, 5, 0]);
    }
  });

  test("starts when the first messages are gone", async ({ store }) => {
    await publish(store, orders, 5);
    await store.purge(orders, 3);
    expect(await positionsOf(store, { kind: "first" }, "all")).toEqual([0, 0, 2]);
    expect(await positionsOf(store, { kind: "first" }, "explicit")).toEqual([3, 3, 2]);
    expect(await positionsOf(store, { kind: "sequence", sequence: 2 }, "all")).toEqual([1, 1, 2]);
    expect(await positionsOf(store, { kind: "sequence", sequence: 2 }, "explicit")).toEqual([3, 3, 2]);
    expect(await positionsOf(store, { kind: "time", timestampMs: 0 }, "all")).toEqual([3, 3, 2]);
    await store.purge(orders, 5);
    expect(await positionsOf(store, { kind: "new" }, "explicit")).toEqual([5, 5, 0]);
    expect(await positionsOf(store, { kind: "time", timestampMs: 1 }, "explicit")).toEqual([5, 5, 0]);
  });

  timed("a start by time is the first message at or after it", async ({ store }, advance) => {
    await publish(store, orders, 2);
    await advance(1000);
    const [middle] = await publish(store, orders, 2);
    const timestampMs = middle === undefined ? 0 : timeOf(middle);
    await advance(1000);
    await publish(store, orders, 2);
    for (const mode of ["all", "explicit"] as const) {
      expect(await positionsOf(store, { kind: "time", timestampMs: timestampMs - 1 }, mode)).toEqual([2, 2, 4]);
      expect(await positionsOf(store, { kind: "time", timestampMs }, mode)).toEqual([2, 2, 4]);
      expect(await positionsOf(store, { kind: "time", timestampMs: timestampMs + 1 }, mode)).toEqual([4, 4, 2]);
    }
  });

  test("a start beyond the end waits for that sequence", async ({ store }) => {
    await publish(store, orders, 2);
    for (const mode of ["all", "explicit"] as const) {
      await store.deleteConsumer(orders, worker);
      await makeWorker(store, { ack: mode, start: { kind: "sequence", sequence: sequenceMax } });
      expect(await stateOf(store)).toMatchObject({ ackedThrough: sequenceMax - 1, pending: 0 });
      expect(await pull(store)).toMatchObject({ envelopes: [], nextSequence: sequenceMax });
    }
    await store.deleteConsumer(orders, worker);
    await makeWorker(store, { ack: "explicit", start: { kind: "sequence", sequence: 4 } });
    await publish(store, orders, 3);
    expect(deliveriesOf(await pull(store))).toEqual([
      [4, 1],
      [5, 1],
    ]);
  });

  test("all of a subject, in byte order of their names", async ({ store }) => {
    const names = ["z", "A", "a.b", "a-b", "é", "ｚ", "𠀀"];
    await publish(store, orders, 2);
    for (const [index, name] of names.entries()) {
      await store.putConsumer(orders, nameOf(name), configOf({ ack: index % 2 === 0 ? "all" : "explicit" }));
    }
    await store.putConsumer(invoices, nameOf("other"), configOf());
    const states = await store.consumers(orders);
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(states.map((state) => state.name as string)).toEqual(sorted);
    for (const state of states) expect(await store.consumer(orders, state.name)).toEqual(state);
    expect(await store.consumers(subjectOf("nobody.here"))).toEqual([]);
  });

  test("what is not there", async ({ store }) => {
    expect(await store.consumer(orders, worker)).toBeNull();
    expect(await store.deleteConsumer(orders, worker)).toBeNull();
    const of = { subject: orders, consumer: worker };
    expect(await store.ack([{ ...of, through: 1 }])).toEqual([{ status: "consumer_not_found" }]);
    expect(await store.nack([{ ...of, sequences: [1], delayMs: 0 }])).toEqual([{ status: "consumer_not_found" }]);
  });

  test("a deleted consumer answers its state, and a new one starts anew", async (harness) => {
    await publish(harness.store, orders, 5);
    await makeWorker(harness.store, { ack: "explicit" });
    await pull(harness.store, { limit: 3 });
    await ack(harness.store, [1, 5]);
    const state = await stateOf(harness.store);
    expect(await harness.store.deleteConsumer(orders, worker)).toEqual(state);
    expect(await harness.store.consumer(orders, worker)).toBeNull();
    await harness.reopen();
    await makeWorker(harness.store, { ack: "explicit" });
    expect(await stateOf(harness.store)).toMatchObject({ ackedThrough: 0, pending: 5, ackPending: 0 });
    expect(sequencesOf(await pull(harness.store))).toEqual([1, 2, 3, 4, 5]);
  });

  test("a pull makes an unknown consumer, a peek does not", async ({ store }) => {
    await publish(store, orders, 2);
    const bounds = { limit: 10, bodyBytesMax: 1000 };
    const peeked = await store.peek(orders, worker, bounds);
    expect(peeked).toMatchObject({ ack: "all", ackedThrough: 0 });
    expect(deliveriesOf(peeked)).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(await store.consumer(orders, worker)).toBeNull();
    expect(await pull(store)).toEqual(peeked);
    expect((await store.putConsumer(orders, worker, configOf())).status).toBe("same");
  });

  test("a pull that is told not to make the consumer is refused", async ({ store }) => {
    await publish(store, orders, 2);
    expect(await refusalOf(pull(store, { create: false }))).toBe("consumer_not_found");
    expect(await refusalOf(pull(store, { create: false, autoAck: true }))).toBe("consumer_not_found");
    expect(await store.consumer(orders, worker)).toBeNull();
    await makeWorker(store, { ack: "explicit" });
    expect(sequencesOf(await pull(store, { create: false }))).toEqual([1, 2]);
    await store.deleteConsumer(orders, worker);
    expect(await refusalOf(pull(store, { create: false }))).toBe("consumer_not_found");
  });

  test("a pull on a subject that nobody published to", async ({ store }) => {
    const page = {
      head: { firstSequence: 1, lastSequence: 0 },
      ackedThrough: 0,
      nextSequence: 1,
      envelopes: [],
      nextDueInMs: null,
      saturated: false,
    };
    expect(await pull(store)).toEqual({ ...page, ack: "all" });
    await store.deleteConsumer(orders, worker);
    await makeWorker(store, { ack: "explicit" });
    expect(await pull(store)).toEqual({ ...page, ack: "explicit" });
  });

  test("several acknowledgements in one call, applied in order, each answered for itself", async ({ store }) => {
    await publish(store, orders, 5);
    await makeWorker(store);
    const other = nameOf("other");
    await store.putConsumer(orders, other, configOf({ ack: "explicit" }));
    const of = { subject: orders, consumer: worker };
    const outcomes = await store.ack([
      { ...of, through: 2 },
      { ...of, through: 1 },
      { ...of, through: 9 },
      { ...of, sequences: [3] },
      { subject: orders, consumer: nameOf("nobody"), through: 1 },
      { subject: orders, consumer: other, sequences: [1] },
      { subject: orders, consumer: other, sequences: [1] },
      { ...of, through: 4 },
    ]);
    expect(outcomes).toEqual([
      { status: "acked", ackedThrough: 2, moved: true },
      { status: "acked", ackedThrough: 2, moved: false },
      { status: "sequence_out_of_range", lastSequence: 5 },
      { status: "wrong_ack_mode" },
      { status: "consumer_not_found" },
      { status: "acked", ackedThrough: 1, moved: true },
      { status: "acked", ackedThrough: 1, moved: false },
      { status: "acked", ackedThrough: 4, moved: true },
    ]);
    expect(await store.ack([])).toEqual([]);
    expect(await store.nack([])).toEqual([]);
  });

  test("how far behind the consumers of all subjects are, page by page", async ({ store }) => {
    expect(await store.consumerBacklogs(undefined, 10)).toEqual([]);
    const [none, quick, slow] = [subjectOf("none"), nameOf("quick"), nameOf("slow")];
    await publish(store, orders, 6);
    await store.putConsumer(orders, slow, configOf());
    await store.putConsumer(orders, quick, configOf());
    await store.putConsumer(orders, worker, configOf({ ack: "explicit" }));
    await store.putConsumer(none, slow, configOf({ ack: "explicit" }));
    await store.ack([{ subject: orders, consumer: quick, through: 5 }]);
    await pull(store, { limit: 3 });
    await ack(store, [2]);
    const page = await store.consumerBacklogs(undefined, 3);
    expect(page).toEqual([
      { subject: none, name: slow, pending: 0, ackPending: 0 },
      { subject: orders, name: quick, pending: 1, ackPending: 0 },
      { subject: orders, name: slow, pending: 6, ackPending: 0 },
    ]);
    const rest = await store.consumerBacklogs({ subject: orders, name: slow }, 3);
    expect(rest).toEqual([{ subject: orders, name: worker, pending: 5, ackPending: 2 }]);
    expect(await store.consumerBacklogs({ subject: orders, name: worker }, 3)).toEqual([]);
    // The same as each tells of itself, also when messages are gone at the beginning and in the middle.
    await store.purge(orders, 1);
    await ack(store, [4]);
    for (const { subject, name, pending, ackPending } of await store.consumerBacklogs(undefined, 10)) {
      expect(await store.consumer(subject, name)).toMatchObject({ pending, ackPending });
    }
  });
};
