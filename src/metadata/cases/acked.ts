/**
 * Subjects that keep a message until its recipients have acknowledged it, and how these stand to each message.
 * @module
 */
import { expect } from "bun:test";
import type { ConsumerConfig, Sequence } from "../../core/message.ts";
import { keepEverything, type RetentionPolicy } from "../../core/policy.ts";
import type { ConsumerName } from "../../core/subject.ts";
import type { MetadataStore } from "../contract.ts";
import {
  amountOf,
  type Cases,
  configOf,
  deliveriesOf,
  endsOf,
  entryOf,
  everything,
  filterOf,
  invoices,
  nameOf,
  orders,
  publish,
  publishFor,
  publishOne,
  sequencesOf,
  storedIn,
  sweep,
  timeOf,
  turn,
  upTo,
} from "./kit.ts";

const ann = nameOf("ann");
const bob = nameOf("bob");
const cyd = nameOf("cyd");

const acked = (recipients: RetentionPolicy["recipients"], policy: Partial<RetentionPolicy> = {}): RetentionPolicy => ({
  ...keepEverything,
  retain: "acked",
  recipients,
  ...policy,
});

/** Sets the policy of `orders`. */
const retain = async (store: MetadataStore, policy: RetentionPolicy): Promise<string> =>
  store.putPolicy(filterOf("orders.*"), policy);

/** Makes consumers of `orders`. */
const join = async (
  store: MetadataStore,
  names: readonly ConsumerName[],
  config: Partial<ConsumerConfig> = {},
): Promise<void> => {
  for (const name of names) await store.putConsumer(orders, name, configOf(config));
};

/** Acknowledges through a sequence, or exactly these. */
const ackAs = async (store: MetadataStore, consumer: ConsumerName, settled: Sequence | readonly Sequence[]) => {
  const target = typeof settled === "number" ? { through: settled } : { sequences: settled };
  const [outcome] = await store.ack([{ subject: orders, consumer, ...target }]);
  expect(outcome).toMatchObject({ status: "acked" });
};

const pullAs = async (store: MetadataStore, consumer: ConsumerName, limit = 100, autoAck = false) =>
  store.pull({ subject: orders, consumer, ...everything, limit, autoAck, create: false });

/** How the recipients stand to a message, by their names. */
const statusesOf = async (store: MetadataStore, sequence: Sequence): Promise<Readonly<Record<string, string>>> => {
  const receipts = await store.receipts(orders, sequence);
  return Object.fromEntries((receipts?.recipients ?? []).map(({ name, status }) => [name, status]));
};

const explicit = { ack: "explicit", ackWaitMs: 1000 } as const;

const namedCases = ({ case: test }: Cases): void => {
  test("a policy keeps its recipients", async (harness) => {
    const { store } = harness;
    expect(await retain(store, acked([ann, bob]))).toBe("created");
    expect(await retain(store, acked([ann, bob]))).toBe("same");
    expect(await retain(store, acked([ann, bob], { recipientTimeoutMs: 5 }))).toBe("replaced");
    expect(await retain(store, acked([ann]))).toBe("replaced");
    expect(await retain(store, acked(1))).toBe("replaced");
    expect(await retain(store, acked(1))).toBe("same");
    const policy = acked([ann, bob], { recipientTimeoutMs: 5000, maxMessages: 7, discard: "new" });
    expect(await retain(store, policy)).toBe("replaced");
    await store.putPolicy(filterOf("a.>"), acked(3));
    await harness.reopen();
    expect(await harness.store.policies()).toEqual([
      { filter: filterOf("a.>"), policy: acked(3) },
      { filter: filterOf("orders.*"), policy },
    ]);
    expect(await harness.store.deletePolicy(filterOf("orders.*"))).toEqual(policy);
  });

  test("a message goes with the acknowledgement of the last recipient, not before", async (harness) => {
    const { store } = harness;
    await retain(store, acked([ann, bob]));
    await join(store, [ann, bob]);
    await join(store, [cyd], explicit);
    await publish(store, orders, 5);
    await publish(store, invoices, 5);
    await pullAs(store, cyd, 3);
    await ackAs(store, ann, 4);
    expect(await storedIn(store)).toEqual(upTo(5));
    await ackAs(store, bob, 2);
    expect(await endsOf(store)).toEqual([3, 5]);
    expect(await amountOf(store)).toEqual([3, 30]);
    await ackAs(store, bob, 5);
    expect(await storedIn(store)).toEqual([5]);
    // Whoever is no recipient has what is gone settled.
    expect(await store.consumer(orders, cyd)).toMatchObject({ ackedThrough: 4, pending: 1, ackPending: 0 });
    expect(sequencesOf(await pullAs(store, cyd))).toEqual([5]);
    await ackAs(store, ann, 5);
    expect(await endsOf(store)).toEqual([6, 5]);
    expect(await storedIn(store, invoices)).toEqual(upTo(5));
    await harness.reopen();
    expect(await endsOf(harness.store)).toEqual([6, 5]);
  });

  test("message by message, also from the middle", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await join(store, [ann, bob], explicit);
    await publish(store, orders, 8);
    await pullAs(store, ann);
    await pullAs(store, bob, 5);
    await ackAs(store, ann, [2, 3, 6, 7]);
    // 7 was not handed out to bob yet.
    await ackAs(store, bob, [3, 5, 7]);
    expect(await storedIn(store)).toEqual([1, 2, 4, 5, 6, 8]);
    await ackAs(store, ann, [1]);
    expect(await storedIn(store)).toEqual([1, 2, 4, 5, 6, 8]);
    await ackAs(store, bob, [1]);
    expect(await endsOf(store)).toEqual([2, 8]);
    await ackAs(store, bob, [2]);
    expect(await storedIn(store)).toEqual([4, 5, 6, 8]);
    expect(await amountOf(store)).toEqual([4, 40]);
    expect(await store.consumers(orders)).toMatchObject([
      { name: ann, ackedThrough: 3, pending: 3, ackPending: 3 },
      { name: bob, ackedThrough: 3, pending: 3, ackPending: 1 },
    ]);
    expect(deliveriesOf(await pullAs(store, bob))).toEqual([
      [6, 1],
      [8, 1],
    ]);
    await ackAs(store, ann, 8);
    await ackAs(store, bob, [8]);
    expect(await storedIn(store)).toEqual([4, 6]);
    await ackAs(store, bob, 8);
    expect(await endsOf(store)).toEqual([9, 8]);
  });

  test("an acknowledgement through a sequence completes what others acknowledged one by one", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await join(store, [ann]);
    await join(store, [bob], explicit);
    await publish(store, orders, 9);
    await pullAs(store, bob, 6);
    await ackAs(store, bob, [1, 3, 4, 6, 8]);
    expect(await storedIn(store)).toEqual(upTo(9));
    await ackAs(store, ann, 3);
    expect(await storedIn(store)).toEqual([2, 4, 5, 6, 7, 8, 9]);
    await ackAs(store, ann, 9);
    expect(await storedIn(store)).toEqual([2, 5, 7, 9]);
    await ackAs(store, bob, 8);
    expect(await storedIn(store)).toEqual([9]);
  });

  test("several acknowledgements of one call", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await join(store, [ann, bob], explicit);
    await publish(store, orders, 4);
    await store.ack([
      { subject: orders, consumer: ann, sequences: [1, 3] },
      { subject: orders, consumer: bob, sequences: [3] },
      { subject: orders, consumer: cyd, through: 4 },
      { subject: orders, consumer: bob, sequences: [4, 1] },
    ]);
    expect(await storedIn(store)).toEqual([2, 4]);
  });

  test("fetching with auto_ack acknowledges", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await join(store, [ann]);
    await join(store, [bob], explicit);
    await publish(store, orders, 4);
    expect(sequencesOf(await pullAs(store, ann, 3, true))).toEqual([1, 2, 3]);
    expect(sequencesOf(await pullAs(store, bob, 2, true))).toEqual([1, 2]);
    expect(await storedIn(store)).toEqual([3, 4]);
    expect(sequencesOf(await pullAs(store, bob, 2, true))).toEqual([3, 4]);
    expect(await storedIn(store)).toEqual([4]);
    expect(sequencesOf(await pullAs(store, ann, 3, true))).toEqual([4]);
    expect(await endsOf(store)).toEqual([5, 4]);
  });

  test("what is given back on its last delivery is given up, which counts as acknowledged", async ({ store }) => {
    await retain(store, acked([ann]));
    await join(store, [ann], { ...explicit, maxDeliver: 1 });
    await publish(store, orders, 3);
    await pullAs(store, ann, 2);
    await store.nack([{ subject: orders, consumer: ann, sequences: [2], delayMs: 0 }]);
    expect(await storedIn(store)).toEqual([1, 3]);
  });

  test("who is named and not there owes every message", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await join(store, [ann]);
    await publish(store, orders, 3);
    await ackAs(store, ann, 3);
    expect(await storedIn(store)).toEqual([1, 2, 3]);
    expect(await sweep(store)).toBe(0);
    await join(store, [bob]);
    await ackAs(store, bob, 2);
    expect(await storedIn(store)).toEqual([3]);
    await store.deleteConsumer(orders, bob);
    await ackAs(store, ann, 3);
    expect(await sweep(store)).toBe(0);
    expect(await storedIn(store)).toEqual([3]);
  });

  test("what came before a recipient is not owed to it, but somebody must have acknowledged it", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await publish(store, orders, 4);
    await join(store, [ann], { start: { kind: "sequence", sequence: 3 } });
    await join(store, [bob], { ...explicit, start: { kind: "new" } });
    expect(await sweep(store)).toBe(0);
    expect(await storedIn(store)).toEqual([1, 2, 3, 4]);
    await ackAs(store, ann, 3);
    // 1 and 2 are nobody's, and a later one is acknowledged.
    expect(await storedIn(store)).toEqual([4]);
    await publish(store, orders, 2);
    await ackAs(store, bob, [6]);
    expect(await storedIn(store)).toEqual([4, 5, 6]);
    await ackAs(store, ann, 6);
    expect(await storedIn(store)).toEqual([5]);
  });

  test("a sweep releases what a new policy or a new recipient no longer keeps", async ({ store }) => {
    await join(store, [ann]);
    await join(store, [bob], explicit);
    await publish(store, orders, 6);
    await pullAs(store, bob);
    await ackAs(store, ann, 5);
    await ackAs(store, bob, [1, 2, 4]);
    await retain(store, acked([ann, bob]));
    expect(await sweep(store)).toBe(3);
    expect(await storedIn(store)).toEqual([3, 5, 6]);
    await retain(store, acked([ann, cyd]));
    expect(await sweep(store)).toBe(0);
    await join(store, [cyd], { start: { kind: "new" } });
    expect(await sweep(store)).toBe(2);
    expect(await storedIn(store)).toEqual([6]);
    await store.deletePolicy(filterOf("orders.*"));
    await ackAs(store, ann, 6);
    expect(await sweep(store)).toBe(0);
    expect(await storedIn(store)).toEqual([6]);
  });

  test("the object goes with the last message that is released", async ({ store }) => {
    await retain(store, acked([ann]));
    await join(store, [ann], explicit);
    await publish(store, orders, 2, { object: "segment/1" });
    await publish(store, orders, 2, { object: "segment/2" });
    await pullAs(store, ann);
    await ackAs(store, ann, [3, 4]);
    expect(await store.countDead()).toBe(1);
    expect(await store.referenced(["segment/1", "segment/2"])).toEqual([true, false]);
    await ackAs(store, ann, [1, 2]);
    while ((await store.countDead()) < 2) await turn();
  });

  test("limits hold beside it, and what is released leaves room", async ({ store }) => {
    await retain(store, acked([ann], { maxMessages: 3, discard: "new" }));
    await join(store, [ann], explicit);
    await publish(store, orders, 3);
    expect(await publishOne(store, entryOf(orders))).toEqual({ status: "subject_full" });
    await pullAs(store, ann);
    await ackAs(store, ann, [2]);
    expect(await publishOne(store, entryOf(orders))).toMatchObject({ status: "committed", sequence: 4 });
    expect(await publishOne(store, entryOf(orders))).toEqual({ status: "subject_full" });
    await retain(store, acked([ann], { maxMessages: 2 }));
    await publish(store, orders, 1);
    expect(await storedIn(store)).toEqual([4, 5]);
  });

  test("very many at once", async ({ store }) => {
    await retain(store, acked([ann, bob]));
    await join(store, [ann]);
    await join(store, [bob], { ...explicit, maxAckPending: 5 });
    for (let round = 0; round < 3; round++) await publish(store, orders, 8000);
    await pullAs(store, bob, 1);
    for (let from = 2; from <= 24_000; from += 8000)
      await ackAs(
        store,
        bob,
        upTo(7999).map((n) => from + n - 1),
      );
    await ackAs(store, ann, 24_000);
    expect(await storedIn(store)).toEqual([1, 8001, 16_001]);
    expect(await amountOf(store)).toEqual([3, 30]);
    expect(sequencesOf(await pullAs(store, bob))).toEqual([8001, 16_001]);
    await ackAs(store, bob, 24_000);
    expect(await endsOf(store)).toEqual([24_001, 24_000]);
  });
};

const countCases = ({ case: test }: Cases): void => {
  test("so many of any consumers", async ({ store }) => {
    await retain(store, acked(2));
    await join(store, [ann]);
    await join(store, [bob], explicit);
    await publish(store, orders, 5);
    await ackAs(store, ann, 4);
    await ackAs(store, bob, [2]);
    expect(await storedIn(store)).toEqual([1, 3, 4, 5]);
    await join(store, [cyd], explicit);
    await ackAs(store, cyd, [1, 5]);
    expect(await storedIn(store)).toEqual([3, 4, 5]);
    await ackAs(store, bob, [5]);
    expect(await storedIn(store)).toEqual([3, 4]);
    await ackAs(store, cyd, 4);
    expect(await endsOf(store)).toEqual([6, 5]);
  });

  test("who began behind a message does not count for it", async ({ store }) => {
    await retain(store, acked(2));
    await join(store, [ann], explicit);
    await publish(store, orders, 3);
    await join(store, [bob], { start: { kind: "sequence", sequence: 3 } });
    await join(store, [cyd], { ...explicit, start: { kind: "new" } });
    await ackAs(store, ann, 3);
    expect(await storedIn(store)).toEqual([1, 2, 3]);
    await ackAs(store, bob, 3);
    expect(await storedIn(store)).toEqual([1, 2]);
    expect(await sweep(store)).toBe(0);
    await store.deleteConsumer(orders, bob);
    await join(store, [bob], { ack: "explicit" });
    await ackAs(store, bob, [2]);
    expect(await storedIn(store)).toEqual([1]);
  });

  test("one is enough: the first that acknowledges takes it from the others", async ({ store }) => {
    await retain(store, acked(1));
    await join(store, [ann, bob], explicit);
    await publish(store, orders, 3);
    await pullAs(store, ann);
    await pullAs(store, bob);
    await ackAs(store, bob, [2]);
    expect(await storedIn(store)).toEqual([1, 3]);
    expect(await store.consumer(orders, ann)).toMatchObject({ pending: 2, ackPending: 2 });
    const [late] = await store.ack([{ subject: orders, consumer: ann, sequences: [2] }]);
    expect(late).toEqual({ status: "acked", ackedThrough: 0, moved: false });
  });
};

const timedCases = ({ timed }: Cases): void => {
  timed("a lease that runs out on the last delivery is given up, and that releases", async ({ store }, advance) => {
    await retain(store, acked([ann]));
    await join(store, [ann], { ...explicit, maxDeliver: 1 });
    await publish(store, orders, 4);
    await pullAs(store, ann, 2);
    await ackAs(store, ann, [2]);
    await advance(1000);
    expect(sequencesOf(await pullAs(store, ann, 1))).toEqual([3]);
    expect(await storedIn(store)).toEqual([3, 4]);
    await advance(1000);
    // Nobody asks for it, so that the sweep does it.
    expect(await sweep(store)).toBe(1);
    expect(await storedIn(store)).toEqual([4]);
  });

  timed("what is expired is gone for recipients too, and does not come back by them", async ({ store }, advance) => {
    await retain(store, acked([ann, bob], { maxAgeMs: 5000 }));
    await join(store, [ann, bob], explicit);
    await publishFor(store, orders, [0, 1000, 0, 1000]);
    await ackAs(store, ann, [2, 3]);
    await advance(1000);
    expect(await storedIn(store)).toEqual([1, 3]);
    await ackAs(store, bob, [3]);
    expect(await storedIn(store)).toEqual([1]);
    await advance(4000);
    expect(await endsOf(store)).toEqual([5, 4]);
    expect(await sweep(store)).toBeLessThanOrEqual(1);
    expect(await amountOf(store)).toEqual([0, 0]);
  });

  timed("a recipient that gives no sign is not waited for, on what is as old", async ({ store }, advance) => {
    await retain(store, acked([ann, bob], { recipientTimeoutMs: 60_000 }));
    await join(store, [ann, bob]);
    await publish(store, orders, 2);
    await advance(30_000);
    await publish(store, orders, 2);
    await ackAs(store, ann, 3);
    await advance(28_000);
    expect(await sweep(store)).toBe(0);
    // bob was last heard of when it was made.
    await advance(2000);
    expect(await statusesOf(store, 2)).toEqual({ ann: "acked", bob: "timed_out" });
    expect(await statusesOf(store, 3)).toEqual({ ann: "acked", bob: "pending" });
    expect(await sweep(store)).toBe(2);
    expect(await storedIn(store)).toEqual([3, 4]);
    // A fetch is a sign.
    await pullAs(store, bob);
    await advance(58_000);
    expect(await sweep(store)).toBe(0);
    expect(await statusesOf(store, 3)).toEqual({ ann: "acked", bob: "pending" });
    await advance(2000);
    expect(await sweep(store)).toBe(1);
    expect(await storedIn(store)).toEqual([4]);
  });

  timed("what nobody has acknowledged stays, whoever is late", async ({ store }, advance) => {
    await retain(store, acked([ann, bob], { recipientTimeoutMs: 60_000 }));
    await join(store, [ann], explicit);
    await publish(store, orders, 4);
    await advance(200_000);
    expect(await statusesOf(store, 1)).toEqual({ ann: "timed_out", bob: "timed_out" });
    expect(await sweep(store)).toBe(0);
    // By acknowledging 2, ann gives up what is before it and was not waited for, but for what it just gave a sign of.
    await ackAs(store, ann, [2]);
    expect(await statusesOf(store, 1)).toEqual({ ann: "pending", bob: "timed_out" });
    expect(await storedIn(store)).toEqual([1, 3, 4]);
    await advance(60_000);
    expect(await sweep(store)).toBe(1);
    expect(await storedIn(store)).toEqual([3, 4]);
  });

  timed("who is not there is waited for since the policy was set", async ({ store }, advance) => {
    await join(store, [ann]);
    await publish(store, orders, 1);
    await ackAs(store, ann, 1);
    await advance(500_000);
    await retain(store, acked([ann, bob], { recipientTimeoutMs: 60_000 }));
    expect(await statusesOf(store, 1)).toEqual({ ann: "acked", bob: "absent" });
    expect(await sweep(store)).toBe(0);
    await advance(59_000);
    expect(await sweep(store)).toBe(0);
    await advance(1000);
    expect(await statusesOf(store, 1)).toEqual({ ann: "acked", bob: "timed_out" });
    expect(await sweep(store)).toBe(1);
    expect(await endsOf(store)).toEqual([2, 1]);
  });

  timed("signs are fetches, acknowledgements and giving back, also without effect", async ({ store }, advance) => {
    await retain(store, acked([ann, bob], { recipientTimeoutMs: 10_000 }));
    await join(store, [ann]);
    await join(store, [bob], explicit);
    await publish(store, orders, 2);
    await ackAs(store, ann, 1);
    const signs = [
      () => pullAs(store, bob, 1),
      () => pullAs(store, bob, 0),
      () => store.nack([{ subject: orders, consumer: bob, sequences: [2], delayMs: 0 }]),
      () => ackAs(store, bob, 0),
      () => ackAs(store, bob, []),
    ];
    for (const sign of signs) {
      await sign();
      await advance(8000);
      expect(await sweep(store)).toBe(0);
    }
    // Looking is none.
    await store.peek(orders, bob, everything);
    await store.consumer(orders, bob);
    await advance(2000);
    expect(await sweep(store)).toBe(1);
    expect(await storedIn(store)).toEqual([2]);
  });
};

const receiptCases = ({ case: test, timed }: Cases): void => {
  test("null where there is no message yet", async ({ store }) => {
    expect(await store.receipts(orders, 1)).toBeNull();
    await join(store, [ann]);
    expect(await store.receipts(orders, 1)).toBeNull();
    await publish(store, orders, 2);
    expect(await store.receipts(orders, 3)).toBeNull();
    expect(await store.receipts(orders, 2)).not.toBeNull();
  });

  test("without `retain: acked`: all consumers, and those count that the message is owed to", async ({ store }) => {
    await join(store, [bob], explicit);
    await publish(store, orders, 2);
    await join(store, [ann]);
    await join(store, [cyd], { start: { kind: "new" } });
    await ackAs(store, ann, 1);
    expect(await store.receipts(orders, 1)).toEqual({
      subject: orders,
      sequence: 1,
      released: false,
      recipientsTotal: 2,
      acked: 1,
      recipients: [
        { name: ann, status: "acked" },
        { name: bob, status: "pending" },
        { name: cyd, status: "exempt" },
      ],
    });
    await ackAs(store, bob, [2]);
    expect(await store.receipts(orders, 2)).toMatchObject({ recipientsTotal: 2, acked: 1 });
    expect(await statusesOf(store, 2)).toEqual({ ann: "pending", bob: "acked", cyd: "exempt" });
    await pullAs(store, bob);
    await ackAs(store, bob, [1]);
    expect(await statusesOf(store, 1)).toEqual({ ann: "acked", bob: "acked", cyd: "exempt" });
    await store.purge(orders, 1);
    expect(await store.receipts(orders, 1)).toMatchObject({ released: true });
    expect(await storedIn(store)).toEqual([2]);
  });

  test("with names: those, whether or not they are there", async ({ store }) => {
    await retain(store, acked([ann, bob, cyd]));
    await publish(store, orders, 1);
    await join(store, [nameOf("dan")]);
    await join(store, [ann], { start: { kind: "new" } });
    await publish(store, orders, 2);
    await join(store, [cyd], explicit);
    await pullAs(store, cyd, 2);
    await ackAs(store, cyd, [1]);
    expect(await store.receipts(orders, 1)).toEqual({
      subject: orders,
      sequence: 1,
      released: false,
      recipientsTotal: 3,
      acked: 1,
      recipients: [
        { name: ann, status: "exempt" },
        { name: bob, status: "absent" },
        { name: cyd, status: "acked" },
      ],
    });
    expect(await statusesOf(store, 2)).toEqual({ ann: "pending", bob: "absent", cyd: "pending" });
  });

  test("with a number: all consumers, and the number is the total", async ({ store }) => {
    await retain(store, acked(2));
    await join(store, [bob, ann]);
    await publish(store, orders, 2);
    await ackAs(store, bob, 1);
    expect(await store.receipts(orders, 1)).toMatchObject({
      released: false,
      recipientsTotal: 2,
      acked: 1,
      recipients: [
        { name: ann, status: "pending" },
        { name: bob, status: "acked" },
      ],
    });
    await ackAs(store, ann, 1);
    expect(await store.receipts(orders, 1)).toEqual({
      subject: orders,
      sequence: 1,
      released: true,
      recipientsTotal: 2,
      acked: 2,
      recipients: [
        { name: ann, status: "acked" },
        { name: bob, status: "acked" },
      ],
    });
  });

  timed("what is expired is released, and nobody is late on it", async ({ store }, advance) => {
    await retain(store, acked([ann, bob], { recipientTimeoutMs: 1000 }));
    await join(store, [ann]);
    await publishFor(store, orders, [60_000, 0]);
    await ackAs(store, ann, 1);
    await advance(59_999);
    expect(await statusesOf(store, 1)).toEqual({ ann: "acked", bob: "timed_out" });
    await advance(1);
    const receipts = await store.receipts(orders, 1);
    expect(receipts).toMatchObject({ released: true, acked: 1, recipientsTotal: 2 });
    expect(await statusesOf(store, 1)).toEqual({ ann: "acked", bob: "absent" });
  });

  timed("what a consumer gives up counts as acknowledged by it", async ({ store }, advance) => {
    await join(store, [ann], { ...explicit, maxDeliver: 1 });
    const [published] = await publish(store, orders, 2);
    expect(timeOf(published ?? { status: "body_gone" })).toBeGreaterThan(0);
    await pullAs(store, ann, 1);
    await advance(999);
    expect(await statusesOf(store, 1)).toEqual({ ann: "pending" });
    await advance(1);
    expect(await statusesOf(store, 1)).toEqual({ ann: "acked" });
    expect(await statusesOf(store, 2)).toEqual({ ann: "pending" });
  });
};

export const ackedCases = (cases: Cases): void => {
  namedCases(cases);
  countCases(cases);
  timedCases(cases);
  receiptCases(cases);
};
