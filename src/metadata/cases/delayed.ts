/**
 * Messages that are committed later.
 * @module
 */
import { expect } from "bun:test";
import { keepEverything } from "../../core/policy.ts";
import {
  type Cases,
  deadNamesOf,
  digestOf,
  entryOf,
  everything,
  filterOf,
  hearing,
  invoices,
  orders,
  publish,
  publishOne,
  sequenceOf,
  sequencesOf,
  timeOf,
  turn,
  upTo,
} from "./kit.ts";

const timeCases = ({ timed }: Cases): void => {
  timed("a message with a delay is kept aside until it is due, and no read shows it", async (harness, advance) => {
    const { store } = harness;
    const nowMs = timeOf(await publishOne(store, entryOf(orders)));
    const delayed = { headers: { kind: "later" }, object: "segment/2", offset: 7, length: 70, storedLength: 50 };
    const body = { object: "segment/2", offset: 7, length: 70, sha256: digestOf(1), storedLength: 50 };
    const outcome = await publishOne(store, entryOf(orders, { ...delayed, deliverAt: { inMs: 5000 } }));
    expect(outcome).toMatchObject({ status: "scheduled", dueAtMs: nowMs + 5000, duplicate: false });
    expect("scheduleId" in outcome && typeof outcome.scheduleId).toBe("string");
    await store.commit([entryOf(invoices, { deliverAt: { inMs: 6000 } })]);
    expect(await store.heads([orders, invoices])).toEqual([
      { firstSequence: 1, lastSequence: 1 },
      { firstSequence: 1, lastSequence: 0 },
    ]);
    expect(await store.subject(invoices)).toBeNull();
    expect(await store.commitDue(100)).toEqual({ committed: 0, nextInMs: 5000 });
    await advance(4999);
    expect(await store.commitDue(100)).toEqual({ committed: 0, nextInMs: 1 });
    await harness.reopen();
    await advance(1);
    expect(await harness.store.commitDue(100)).toEqual({ committed: 1, nextInMs: 1000 });
    const page = await harness.store.range(orders, 2, everything);
    expect(page.envelopes).toEqual([
      { subject: orders, sequence: 2, timestampMs: nowMs + 5000, headers: { kind: "later" }, body },
    ]);
    await advance(1500);
    expect(await harness.store.commitDue(100)).toEqual({ committed: 1, nextInMs: null });
    expect(await harness.store.commitDue(100)).toEqual({ committed: 0, nextInMs: null });
    expect(await harness.store.subject(invoices)).toMatchObject({ createdAtMs: nowMs + 6500, messages: 1, bytes: 10 });
  });

  timed("a time that has come or is past is now", async ({ store }, advance) => {
    const nowMs = timeOf(await publishOne(store, entryOf(orders)));
    const at = (atMs: number) => publishOne(store, entryOf(orders, { deliverAt: { atMs } }));
    expect(await at(nowMs + 1)).toMatchObject({ status: "scheduled", dueAtMs: nowMs + 1 });
    expect(await at(nowMs)).toMatchObject({ status: "committed", sequence: 2, timestampMs: nowMs });
    expect(await at(1)).toMatchObject({ status: "committed", sequence: 3 });
    const inNoTime = await publishOne(store, entryOf(orders, { deliverAt: { inMs: 0 } }));
    expect(inNoTime).toMatchObject({ status: "committed", sequence: 4 });
    await advance(1);
    expect(await store.commitDue(1)).toEqual({ committed: 1, nextInMs: null });
  });

  timed("the earliest is committed first, and no more than asked for", async ({ store }, advance) => {
    const delays = [400, 100, 300, 200, 100];
    const entries = delays.map((inMs, index) => entryOf(orders, { offset: index, deliverAt: { inMs } }));
    await store.commit(entries);
    await advance(300);
    expect(await store.commitDue(2)).toEqual({ committed: 2, nextInMs: 0 });
    expect(await store.commitDue(100)).toEqual({ committed: 2, nextInMs: 100 });
    await advance(100);
    expect(await store.commitDue(100)).toEqual({ committed: 1, nextInMs: null });
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes.map(({ body }) => body.offset)).toEqual([1, 4, 3, 2, 0]);
  });

  timed("several callers commit each of them once", async ({ store }, advance) => {
    await store.commit(upTo(100).map((n) => entryOf(orders, { offset: n, deliverAt: { inMs: 10 } })));
    await advance(10);
    const answers = await Promise.all(upTo(8).map(() => store.commitDue(20)));
    expect(answers.reduce((sum, { committed }) => sum + committed, 0)).toBe(100);
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes.map(({ body }) => body.offset)).toEqual(upTo(100));
  });

  timed("their time to live begins when they are committed", async ({ store }, advance) => {
    const nowMs = timeOf(await publishOne(store, entryOf(orders)));
    await store.commit([entryOf(orders, { ttlMs: 1000, deliverAt: { inMs: 5000 } })]);
    await advance(5500);
    await store.commitDue(10);
    const { envelopes } = await store.range(orders, 2, everything);
    expect(envelopes).toMatchObject([{ timestampMs: nowMs + 5500, expiresAtMs: nowMs + 6500 }]);
    await advance(1000);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([1]);
  });

  timed("who listens is told of them, and not of what is published", async ({ store }, advance) => {
    await publish(store, orders, 2);
    await store.commit([
      entryOf(orders, { deliverAt: { inMs: 10 } }),
      entryOf(invoices, { deliverAt: { inMs: 10 } }),
      entryOf(orders, { deliverAt: { inMs: 10 } }),
    ]);
    await advance(10);
    const heard = await hearing(store);
    await store.commitDue(10);
    expect(await heard()).toEqual([
      { subject: invoices, first: 1, last: 1 },
      { subject: orders, first: 3, last: 4 },
    ]);
  });
};

const idCases = ({ timed }: Cases): void => {
  const later = { messageId: "m", deliverAt: { inMs: 1000 } };

  timed("a message id that waits is found again, with a delay or without", async (harness, advance) => {
    const { store } = harness;
    const first = await publishOne(store, entryOf(orders, later));
    await advance(100);
    expect(await publishOne(store, entryOf(orders, later))).toMatchObject({ ...first, duplicate: true });
    await harness.reopen();
    const plain = entryOf(orders, { messageId: "m", object: "segment/2" });
    expect(await publishOne(harness.store, plain)).toMatchObject({ ...first, duplicate: true });
    expect(await harness.store.referenced(["segment/2"])).toEqual([false]);
    // The id is one of its subject.
    expect(await publishOne(harness.store, entryOf(invoices, { messageId: "m" }))).toMatchObject({ sequence: 1 });
    await advance(900);
    expect(await harness.store.commitDue(10)).toEqual({ committed: 1, nextInMs: null });
    expect(await publishOne(harness.store, plain)).toMatchObject({ status: "duplicate", sequence: 1 });
    expect(await publishOne(harness.store, entryOf(orders, later))).toMatchObject({ status: "duplicate", sequence: 1 });
  });

  timed("so it is inside one commit", async ({ store }, advance) => {
    const outcomes = await store.commit([
      entryOf(orders, later),
      entryOf(orders, { messageId: "n" }),
      entryOf(orders, later),
      entryOf(orders, { messageId: "m" }),
      entryOf(orders, { messageId: "n", deliverAt: { inMs: 1000 } }),
    ]);
    const [first] = outcomes;
    expect(outcomes.map(({ status }) => status)).toEqual([
      "scheduled",
      "committed",
      "scheduled",
      "scheduled",
      "duplicate",
    ]);
    expect(outcomes[2]).toMatchObject({ ...first, duplicate: true });
    expect(outcomes[3]).toMatchObject({ ...first, duplicate: true });
    await advance(1000);
    expect(await store.commitDue(10)).toEqual({ committed: 1, nextInMs: null });
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: 2 }]);
  });

  timed("the id is remembered from the commit on, however long it waited", async (harness, advance) => {
    const { store, dedupeWindowMs } = harness;
    const entry = entryOf(orders, { messageId: "m", deliverAt: { inMs: 3 * dedupeWindowMs } });
    const first = await publishOne(store, entry);
    await advance(2 * dedupeWindowMs);
    expect(await publishOne(store, entry)).toMatchObject({ ...first, duplicate: true });
    await advance(dedupeWindowMs);
    await store.commitDue(10);
    await advance(dedupeWindowMs - 1);
    expect(await publishOne(store, entry)).toMatchObject({ status: "duplicate", sequence: 1 });
    await advance(1);
    expect(await publishOne(store, entry)).toMatchObject({ status: "scheduled", duplicate: false });
  });
};

const bodyCases = ({ timed, case: test }: Cases): void => {
  test("those that wait can be listed with their bodies, page by page", async ({ store }) => {
    const places = [
      { object: "segment/1", offset: 0, length: 10 },
      { object: "segment/2", offset: 7, length: 70, storedLength: 50 },
      { object: "", offset: 0, length: 0 },
    ];
    const deliverAt = { inMs: 60_000 };
    await store.commit([entryOf(orders), ...places.map((place) => entryOf(invoices, { ...place, deliverAt }))]);
    const found: Awaited<ReturnType<NonNullable<typeof store.delayed>>>[number][] = [];
    for (;;) {
      const page = (await store.delayed?.(found.at(-1)?.scheduleId, 2)) ?? [];
      expect(page.length).toBeLessThanOrEqual(2);
      if (page.length === 0) break;
      found.push(...page);
    }
    expect(found.map(({ subject }) => subject)).toEqual([invoices, invoices, invoices]);
    expect(found.map(({ body }) => body)).toMatchObject(places);
    expect(new Set(found.map(({ scheduleId }) => scheduleId)).size).toBe(3);
  });

  test("an object that a delayed message points into is referred to", async ({ store }) => {
    await publishOne(store, entryOf(orders));
    await store.commit([entryOf(orders, { deliverAt: { inMs: 1000 } }), entryOf(orders, { object: "segment/2" })]);
    await store.purge(orders, 2);
    while ((await store.countDead()) === 0) await turn();
    expect(await deadNamesOf(store.takeDead({ limit: 10, minAgeMs: 0, leaseMs: 1000 }))).toEqual(["segment/2"]);
    expect(await store.referenced(["segment/1"])).toEqual([true]);
    expect(await store.condemn(["segment/1"])).toBe(0);
    const gone = entryOf(orders, { object: "segment/2", deliverAt: { inMs: 1000 } });
    expect(await publishOne(store, gone)).toEqual({ status: "body_gone" });
  });

  timed("its message hands the reference on", async ({ store }, advance) => {
    await store.commit([
      entryOf(orders, { deliverAt: { inMs: 1000 } }),
      entryOf(orders, { deliverAt: { inMs: 2000 } }),
    ]);
    await advance(1000);
    await store.commitDue(10);
    await store.purge(orders, 1);
    await advance(1000);
    await store.commitDue(10);
    expect(await store.referenced(["segment/1"])).toEqual([true]);
    await store.purge(orders, 2);
    while ((await store.countDead()) === 0) await turn();
    expect(await store.referenced(["segment/1"])).toEqual([false]);
  });

  timed("it brings an object back to life, and an empty body needs none", async ({ store }, advance) => {
    await store.condemn(["segment/1"]);
    const empty = entryOf(orders, { object: "", length: 0, deliverAt: { inMs: 1000 } });
    await store.commit([entryOf(orders, { deliverAt: { inMs: 1000 } }), empty]);
    expect(await store.countDead()).toBe(0);
    await advance(1000);
    expect(await store.commitDue(10)).toEqual({ committed: 2, nextInMs: null });
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes.map(({ body }) => body.object)).toEqual(["segment/1", ""]);
  });
};

const policyCases = ({ timed }: Cases): void => {
  timed("what a policy has no room for waits on, and holds nobody else up", async ({ store }, advance) => {
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 2, discard: "new" });
    await publish(store, orders, 1);
    const delayed = (subject: typeof orders) => entryOf(subject, { deliverAt: { inMs: 1000 } });
    await store.commit([delayed(orders), delayed(orders), delayed(orders), delayed(invoices)]);
    await advance(1000);
    const { committed, nextInMs } = await store.commitDue(10);
    expect(committed).toBe(2);
    expect(nextInMs).toBeGreaterThan(0);
    expect(await store.heads([orders, invoices])).toEqual([
      { firstSequence: 1, lastSequence: 2 },
      { firstSequence: 1, lastSequence: 1 },
    ]);
    await store.purge(orders, 2);
    await advance(nextInMs ?? 0);
    expect(await store.commitDue(10)).toEqual({ committed: 2, nextInMs: null });
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([3, 4]);
  });

  timed("they make room like any other message", async ({ store }, advance) => {
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 2 });
    const outcomes = await publish(store, orders, 2);
    expect(outcomes.map(sequenceOf)).toEqual([1, 2]);
    await store.commit([entryOf(orders, { deliverAt: { inMs: 1000 } })]);
    await advance(1000);
    await store.commitDue(10);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([2, 3]);
  });
};

export const delayedCases = (cases: Cases): void => {
  timeCases(cases);
  idCases(cases);
  bodyCases(cases);
  policyCases(cases);
};
