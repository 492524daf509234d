/**
 * Retention policies: which one decides, what is gone and from when on, and what is refused.
 * @module
 */
import { expect } from "bun:test";
import { policiesMax } from "../../core/limits.ts";
import { keepEverything, type RetentionPolicy } from "../../core/policy.ts";
import type { MetadataStore } from "../contract.ts";
import {
  ack,
  type Cases,
  configOf,
  deliveriesOf,
  endsOf,
  entryOf,
  everything,
  filterOf,
  invoices,
  makeWorker,
  nack,
  nameOf,
  orders,
  publish,
  publishOne,
  pull,
  refusalOf,
  sequenceOf,
  sequencesOf,
  stateOf,
  subjectOf,
  sweep,
  timeOf,
  turn,
  upTo,
  worker,
} from "./kit.ts";

const policyOf = (policy: Partial<RetentionPolicy>): RetentionPolicy => ({ ...keepEverything, ...policy });

const put = async (store: MetadataStore, filter: string, policy: Partial<RetentionPolicy>): Promise<string> =>
  store.putPolicy(filterOf(filter), policyOf(policy));

/** Statuses of a commit. */
const statusesOf = (outcomes: readonly { readonly status: string }[]): string[] => outcomes.map(({ status }) => status);

const policyCases = ({ case: test }: Cases): void => {
  test("policies are set, compared, listed in byte order and taken away", async (harness) => {
    const { store } = harness;
    expect(await store.policies()).toEqual([]);
    expect(await put(store, "b.>", { maxMessages: 5 })).toBe("created");
    expect(await put(store, "b.>", { maxMessages: 5 })).toBe("same");
    expect(await put(store, "b.>", { maxMessages: 5, discard: "new" })).toBe("replaced");
    expect(await put(store, "*.c", { maxAgeMs: 1 })).toBe("created");
    expect(await put(store, "𠀀", { maxBytes: Number.MAX_SAFE_INTEGER })).toBe("created");
    expect(await put(store, "ｚ", {})).toBe("created");
    const listed = [
      { filter: filterOf("*.c"), policy: policyOf({ maxAgeMs: 1 }) },
      { filter: filterOf("b.>"), policy: policyOf({ maxMessages: 5, discard: "new" }) },
      { filter: filterOf("ｚ"), policy: policyOf({}) },
      { filter: filterOf("𠀀"), policy: policyOf({ maxBytes: Number.MAX_SAFE_INTEGER }) },
    ];
    expect(await store.policies()).toEqual(listed);
    await harness.reopen();
    expect(await harness.store.policies()).toEqual(listed);
    expect(await harness.store.deletePolicy(filterOf("b.>"))).toEqual(policyOf({ maxMessages: 5, discard: "new" }));
    expect(await harness.store.deletePolicy(filterOf("b.>"))).toBeNull();
    expect(await harness.store.policies()).toEqual(listed.filter(({ filter }) => filter !== "b.>"));
  });

  test("there is a bound on policies, and replacing one is below it", async ({ store }) => {
    await Promise.all(upTo(policiesMax).map((n) => put(store, `many.${n}`, { maxMessages: n })));
    expect(await refusalOf(put(store, "more", { maxMessages: 1 }))).toBe("too_many_policies");
    expect(await put(store, "many.7", { maxMessages: 1 })).toBe("replaced");
    await store.deletePolicy(filterOf("many.8"));
    expect(await put(store, "more", { maxMessages: 1 })).toBe("created");
    await publish(store, subjectOf("many.7"), 3);
    expect(await endsOf(store, subjectOf("many.7"))).toEqual([3, 3]);
  });

  test("the most specific filter decides alone", async ({ store }) => {
    await put(store, ">", { maxMessages: 1 });
    await put(store, "a.>", { maxMessages: 2 });
    await put(store, "*.b", { maxMessages: 3 });
    await put(store, "a.*", { maxMessages: 4 });
    await put(store, "a.b", { maxBytes: 1000 });
    await put(store, "a.*.c", { maxMessages: 5 });
    const kept = { "z.z": 1, a: 1, "a.z": 4, "z.b": 3, "a.b": 9, "a.b.c": 5, "a.b.z": 2, "a.b.c.d": 2 };
    for (const [name, count] of Object.entries(kept)) {
      await publish(store, subjectOf(name), 9);
      expect([name, await endsOf(store, subjectOf(name))]).toEqual([name, [10 - count, 9]]);
    }
    await store.deletePolicy(filterOf("a.b"));
    await publish(store, subjectOf("a.b"), 1);
    expect(await endsOf(store, subjectOf("a.b"))).toEqual([7, 10]);
  });
};

const limitCases = ({ case: test }: Cases): void => {
  test("messages: the oldest go, also within one commit, and nothing else changes", async (harness) => {
    const { store } = harness;
    await put(store, "orders.*", { maxMessages: 3 });
    await publish(store, invoices, 9);
    expect((await publish(store, orders, 2)).map(sequenceOf)).toEqual([1, 2]);
    expect(await endsOf(store)).toEqual([1, 2]);
    expect((await publish(store, orders, 5)).map(sequenceOf)).toEqual([3, 4, 5, 6, 7]);
    const shown = { head: { firstSequence: 5, lastSequence: 7 } };
    expect(await store.range(orders, 1, everything)).toMatchObject(shown);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([5, 6, 7]);
    expect(await store.subject(orders)).toMatchObject({ firstSequence: 5, messages: 3, bytes: 30 });
    await harness.reopen();
    expect(sequencesOf(await harness.store.range(orders, 1, everything))).toEqual([5, 6, 7]);
    expect(await endsOf(harness.store, invoices)).toEqual([1, 9]);
  });

  test("bytes: as many of the newest as there is room for", async ({ store }) => {
    await put(store, ">", { maxBytes: 100 });
    for (const length of [40, 40, 20]) await publish(store, orders, 1, { length });
    expect(await endsOf(store)).toEqual([1, 3]);
    await publish(store, orders, 1, { length: 1 });
    expect(await endsOf(store)).toEqual([2, 4]);
    await publish(store, orders, 3, { length: 0 });
    expect(await endsOf(store)).toEqual([2, 7]);
    await publish(store, orders, 1, { length: 100 });
    // Empty bodies fit beside any other.
    expect(await endsOf(store)).toEqual([5, 8]);
    expect(await store.subject(orders)).toMatchObject({ messages: 4, bytes: 100 });
    await publish(store, orders, 250, { length: 1 });
    expect(await endsOf(store)).toEqual([159, 258]);
  });

  test("a body that is larger than all the bytes is refused, whatever is discarded", async ({ store }) => {
    await put(store, ">", { maxBytes: 100 });
    const entries = [50, 101, 50].map((length) => entryOf(orders, { length }));
    expect(statusesOf(await store.commit(entries))).toEqual(["committed", "subject_full", "committed"]);
    expect(await endsOf(store)).toEqual([1, 2]);
  });

  test("discard new: what does not fit is refused, the others of the commit go on", async ({ store }) => {
    await put(store, "orders.*", { maxMessages: 3, maxBytes: 100, discard: "new" });
    const entries = [60, 50, 30, 11, 10, 0].map((length) => entryOf(orders, { length }));
    const outcomes = await store.commit([entryOf(invoices), ...entries, entryOf(invoices)]);
    expect(statusesOf(outcomes)).toEqual([
      "committed",
      "committed",
      "subject_full",
      "committed",
      "subject_full",
      "committed",
      "subject_full",
      "committed",
    ]);
    expect(outcomes.map(sequenceOf)).toEqual([1, 1, 0, 2, 0, 3, 0, 2]);
    expect(await store.subject(orders)).toMatchObject({ messages: 3, bytes: 100 });
    await store.purge(orders, 1);
    expect(statusesOf(await publish(store, orders, 2))).toEqual(["committed", "subject_full"]);
    expect(await endsOf(store)).toEqual([2, 4]);
  });

  test("a duplicate, and then a wrong last sequence, are told before the limit", async ({ store }) => {
    await put(store, ">", { maxMessages: 1, discard: "new" });
    expect(await publishOne(store, entryOf(orders, { messageId: "m" }))).toMatchObject({ status: "committed" });
    expect(await publishOne(store, entryOf(orders, { messageId: "m" }))).toMatchObject({ sequence: 1 });
    const wrong = entryOf(orders, { messageId: "n", expectedLastSequence: 7 });
    expect(await publishOne(store, wrong)).toEqual({ status: "wrong_last_sequence", lastSequence: 1 });
    const right = entryOf(orders, { messageId: "n", expectedLastSequence: 1 });
    expect(await publishOne(store, right)).toEqual({ status: "subject_full" });
    // What was refused is not remembered.
    await store.purge(orders, 1);
    expect(await publishOne(store, right)).toMatchObject({ status: "committed", sequence: 2 });
  });

  test("a stricter policy holds for what is stored: at the next commit, or the sweep", async ({ store }) => {
    const names = ["a", "b", "c", "d", "e"].map(subjectOf);
    for (const name of names) await publish(store, name, 20, { length: 5 });
    await put(store, "*", { maxMessages: 10 });
    await put(store, "c", { maxBytes: 12 });
    await put(store, "d", { maxMessages: 3, discard: "new" });
    await store.deletePolicy(filterOf("e"));
    await publish(store, subjectOf("a"), 1);
    expect(await endsOf(store, subjectOf("a"))).toEqual([12, 21]);
    // Of a, b and e down to 10, of c down to 2; d refuses what comes and keeps what it has.
    expect(await sweep(store)).toBe(10 + 18 + 10);
    expect(await sweep(store)).toBe(0);
    const heads = await store.heads(names);
    expect(heads.map(({ firstSequence }) => firstSequence)).toEqual([12, 11, 19, 1, 11]);
    expect(await publishOne(store, entryOf(subjectOf("d")))).toEqual({ status: "subject_full" });
  });

  test("the newest stays, though it alone has more bytes than a stricter policy allows", async ({ store }) => {
    await publish(store, orders, 3, { length: 50 });
    await put(store, ">", { maxBytes: 20 });
    expect(await sweep(store)).toBe(2);
    expect(await endsOf(store)).toEqual([3, 3]);
    await publish(store, orders, 1, { length: 20 });
    expect(await endsOf(store)).toEqual([4, 4]);
  });

  test("explicit consumers: what goes is settled; the others go on behind it", async ({ store }) => {
    await put(store, ">", { maxMessages: 4 });
    await makeWorker(store, { ack: "explicit" });
    const other = nameOf("other");
    await store.putConsumer(orders, other, configOf());
    await publish(store, orders, 4);
    await pull(store, { limit: 3 });
    await publish(store, orders, 2);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, deliveredThrough: 3, pending: 4, ackPending: 1 });
    expect(await store.consumer(orders, other)).toMatchObject({ ackedThrough: 0, pending: 4 });
    expect(sequencesOf(await pull(store))).toEqual([4, 5, 6]);
  });

  test("a sweep looks at so many subjects, in byte order, and says where to go on", async ({ store }) => {
    expect(await store.expire(undefined, 10)).toEqual({ expired: 0, next: undefined });
    const names = ["a", "b", "c", "d"].map(subjectOf);
    for (const name of names) await publish(store, name, 5);
    expect(await store.expire(undefined, 10)).toEqual({ expired: 0, next: undefined });
    await put(store, "b", { maxMessages: 3 });
    await put(store, "d", { maxMessages: 1 });
    expect(await store.expire(undefined, 1)).toEqual({ expired: 0, next: "a" });
    expect(await store.expire("a", 2)).toEqual({ expired: 2, next: "c" });
    expect(await store.expire("c", 2)).toEqual({ expired: 4, next: undefined });
    expect(await store.expire("b1", 10)).toEqual({ expired: 0, next: undefined });
  });

  test("many messages are one cut", async (harness) => {
    const { store } = harness;
    for (let round = 0; round < 4; round++) await publish(store, orders, 5000, { object: `segment/${round}` });
    await put(store, "orders.>", { maxBytes: 12_345 });
    expect(await store.expire(undefined, 1)).toEqual({ expired: 18_766, next: undefined });
    expect(await endsOf(store)).toEqual([18_767, 20_000]);
    expect(await store.subject(orders)).toMatchObject({ messages: 1234, bytes: 12_340 });
    // The rows go bit by bit, and the objects that nothing points into any more with them.
    while ((await store.countDead()) < 3) await turn();
    expect(await store.referenced(["segment/2", "segment/3"])).toEqual([false, true]);
  });
};

const ageCases = ({ timed }: Cases): void => {
  timed("a message is gone from the moment on at which it is too old, for every read", async ({ store }, advance) => {
    await put(store, "orders.*", { maxAgeMs: 1000 });
    await publish(store, orders, 3, { length: 7 });
    await advance(400);
    const fourthMs = timeOf((await publish(store, orders, 1))[0] ?? { status: "body_gone" });
    await publish(store, orders, 1);
    await publish(store, invoices, 1);
    await advance(599);
    expect(await endsOf(store)).toEqual([1, 5]);
    await advance(1);
    expect(await endsOf(store)).toEqual([4, 5]);
    const page = await store.range(orders, 1, everything);
    expect(page.head).toEqual({ firstSequence: 4, lastSequence: 5 });
    expect(sequencesOf(page)).toEqual([4, 5]);
    const summary = { subject: orders, firstSequence: 4, lastSequence: 5, messages: 2, bytes: 20 };
    const details = await store.subject(orders);
    expect(details).toMatchObject(summary);
    const { subjects } = await store.subjects({ filter: filterOf("orders.>"), limit: 10 });
    expect(subjects).toEqual([summary]);
    expect(await store.sequenceAt(orders, 0)).toBe(4);
    expect(await store.sequenceAt(orders, fourthMs)).toBe(4);
    expect(await store.sequenceAt(orders, fourthMs + 1)).toBe(6);
    expect(await endsOf(store, invoices)).toEqual([1, 1]);
    await advance(400);
    expect(await endsOf(store)).toEqual([6, 5]);
    expect(await store.subject(orders)).toMatchObject({ firstSequence: 6, lastSequence: 5, messages: 0, bytes: 0 });
    expect(await store.range(orders, 1, everything)).toMatchObject({ envelopes: [] });
    expect(await store.sequenceAt(orders, 0)).toBe(6);
    expect((await publish(store, orders, 2)).map(sequenceOf)).toEqual([6, 7]);
    expect(await endsOf(store)).toEqual([6, 7]);
  });

  timed("age holds at once when it is set, and no more when it is taken away", async (harness, advance) => {
    await publish(harness.store, orders, 5);
    await advance(5000);
    await publish(harness.store, orders, 2);
    await put(harness.store, ">", { maxAgeMs: 5000 });
    expect(await endsOf(harness.store)).toEqual([6, 7]);
    await harness.reopen();
    expect(await endsOf(harness.store)).toEqual([6, 7]);
    await put(harness.store, ">", { maxAgeMs: 5001 });
    expect(await endsOf(harness.store)).toEqual([1, 7]);
    await harness.store.deletePolicy(filterOf(">"));
    await advance(100_000);
    expect(await endsOf(harness.store)).toEqual([1, 7]);
  });

  timed("the sweep changes nothing that is shown", async (harness, advance) => {
    const { store } = harness;
    await put(store, "*.eu", { maxAgeMs: 1000 });
    await makeWorker(store, { ack: "explicit" });
    await publish(store, orders, 1000, { object: "segment/old" });
    await pull(store, { limit: 10 });
    await publish(store, invoices, 10, { object: "segment/old" });
    await advance(500);
    await publish(store, orders, 5);
    await advance(500);
    const shown = async () => [
      await store.subject(orders),
      await store.range(orders, 1, everything),
      await store.peek(orders, worker, everything),
      await store.subjects({ filter: filterOf(">"), limit: 10 }),
    ];
    const before = await shown();
    expect(await sweep(store)).toBe(1010);
    expect(await shown()).toEqual(before);
    while ((await store.countDead()) < 1) await turn();
    expect(await shown()).toEqual(before);
    await harness.reopen();
    expect(await harness.store.subject(orders)).toMatchObject({ firstSequence: 1001, messages: 5 });
  });

  timed("explicit consumers: a peek and a pull after leases and messages are gone", async ({ store }, advance) => {
    await put(store, ">", { maxAgeMs: 1000 });
    await publish(store, orders, 6);
    await makeWorker(store, { ack: "explicit", ackWaitMs: 60_000, maxAckPending: 4 });
    await pull(store);
    await ack(store, [2, 8 - 2]);
    await nack(store, [1, 3]);
    await advance(500);
    await publish(store, orders, 3);
    await ack(store, [7]);
    await advance(500);
    // 1 to 6 are gone, and 7 was settled before its turn.
    const peeked = await store.peek(orders, worker, everything);
    expect(deliveriesOf(peeked)).toEqual([
      [8, 1],
      [9, 1],
    ]);
    expect(peeked).toMatchObject({
      head: { firstSequence: 7, lastSequence: 9 },
      ackedThrough: 7,
      nextSequence: 8,
      nextDueInMs: null,
      saturated: false,
    });
    expect(await pull(store, { limit: 1 })).toMatchObject({ ackedThrough: 7, nextSequence: 9, saturated: false });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 7, deliveredThrough: 8, pending: 2, ackPending: 1 });
    await advance(500);
    expect(await store.peek(orders, worker, everything)).toMatchObject({
      head: { firstSequence: 10, lastSequence: 9 },
      ackedThrough: 9,
      nextSequence: 10,
      envelopes: [],
      nextDueInMs: null,
      saturated: false,
    });
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 9, deliveredThrough: 9, pending: 0, ackPending: 0 });
    expect(await pull(store)).toMatchObject({ envelopes: [], nextSequence: 10 });
  });

  timed(
    "explicit consumers: what is due and gone is not shown, what is due and there is",
    async ({ store }, advance) => {
      await put(store, ">", { maxAgeMs: 1000 });
      await makeWorker(store, { ack: "explicit", ackWaitMs: 700 });
      await publish(store, orders, 2);
      await advance(300);
      await publish(store, orders, 2);
      await pull(store);
      await advance(700);
      const again: [number, number][] = [
        [3, 2],
        [4, 2],
      ];
      expect(deliveriesOf(await store.peek(orders, worker, everything))).toEqual(again);
      expect(deliveriesOf(await pull(store, { limit: 1 }))).toEqual(again.slice(0, 1));
      expect(await store.peek(orders, worker, everything)).toMatchObject({ ackedThrough: 2, nextSequence: 5 });
    },
  );

  timed("acknowledgements and consumers' states see what is gone as settled", async ({ store }, advance) => {
    await put(store, ">", { maxAgeMs: 1000 });
    await publish(store, orders, 4);
    await makeWorker(store, { ack: "explicit" });
    const late = nameOf("late");
    await pull(store, { limit: 2 });
    await advance(1000);
    await publish(store, orders, 2);
    expect(await ack(store, [1, 2])).toEqual({ status: "acked", ackedThrough: 4, moved: false });
    expect(await nack(store, [1])).toEqual({ status: "nacked", redeliver: 0 });
    expect(await store.putConsumer(orders, late, configOf({ ack: "explicit" }))).toMatchObject({
      state: { ackedThrough: 4, pending: 2 },
    });
    await advance(1000);
    expect(await store.consumers(orders)).toMatchObject([
      { name: late, ackedThrough: 6, pending: 0 },
      { name: worker, ackedThrough: 6, pending: 0 },
    ]);
    expect(await store.purge(orders, 6)).toEqual({ deleted: 0 });
    expect(await store.deleteConsumer(orders, late)).toMatchObject({ ackedThrough: 6 });
  });

  timed("`all` consumers move by acknowledging only, and go on behind what is gone", async ({ store }, advance) => {
    await put(store, ">", { maxAgeMs: 1000 });
    await publish(store, orders, 4);
    await makeWorker(store);
    await ack(store, 1);
    await advance(1000);
    await publish(store, orders, 2);
    const shown = { head: { firstSequence: 5, lastSequence: 6 }, ackedThrough: 1, nextSequence: 5 };
    expect(await store.peek(orders, worker, everything)).toMatchObject(shown);
    expect(sequencesOf(await pull(store))).toEqual([5, 6]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, pending: 2 });
  });

  timed("discard new: what is too old makes room before entries are decided on", async ({ store }, advance) => {
    await put(store, ">", { maxAgeMs: 1000, maxMessages: 2, discard: "new" });
    expect(statusesOf(await publish(store, orders, 3))).toEqual(["committed", "committed", "subject_full"]);
    await advance(999);
    expect(statusesOf(await publish(store, orders, 1))).toEqual(["subject_full"]);
    await advance(1);
    expect((await publish(store, orders, 3)).map(sequenceOf)).toEqual([3, 4, 0]);
    expect(await endsOf(store)).toEqual([3, 4]);
  });

  timed("a message id is remembered although its message is gone", async ({ store, dedupeWindowMs }, advance) => {
    await put(store, ">", { maxAgeMs: 10 });
    await publishOne(store, entryOf(orders, { messageId: "m" }));
    await advance(Math.min(1000, dedupeWindowMs - 1));
    expect(await publishOne(store, entryOf(orders, { messageId: "m" }))).toMatchObject({
      status: "duplicate",
      sequence: 1,
    });
    expect(await endsOf(store)).toEqual([2, 1]);
  });
};

export const retentionCases = (cases: Cases): void => {
  policyCases(cases);
  limitCases(cases);
  ageCases(cases);
};
