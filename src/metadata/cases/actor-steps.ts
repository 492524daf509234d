/**
 * Steps of application actors: all of one or nothing, once, and what they publish.
 * @module
 */
import { expect } from "bun:test";
import { keepEverything } from "../../core/policy.ts";
import type { ActorCommitOutcome, CommitEntry, MetadataStore } from "../contract.ts";
import {
  bytesOf,
  claim,
  counter,
  leaseMs,
  positionsIn,
  recordOf,
  rowsIn,
  step,
  stepOf,
  stepOn,
  textOf,
} from "./actor-kit.ts";
import {
  amountOf,
  type Cases,
  deadNamesOf,
  digestOf,
  endsOf,
  entryOf,
  everything,
  filterOf,
  hearing,
  invoices,
  orders,
  publish,
  publishOne,
  storedIn,
  timeOf,
  turn,
  upTo,
} from "./kit.ts";

/** A step that changes everything there is. */
const much = (publishes: readonly CommitEntry[] = []) => ({
  positions: [{ subject: orders, through: 5 }],
  state: bytesOf("state"),
  alarmAtMs: 1234,
  rows: [{ key: "row", value: bytesOf("value") }],
  failure: "because",
  publishes,
});

/** That nothing of a step is there. */
const expectNothing = async (store: MetadataStore, revision = 0): Promise<void> => {
  expect(await recordOf(store)).toMatchObject({ revision, state: null, alarmAtMs: null, restarts: 0, lastError: null });
  expect(await positionsIn(store)).toEqual([]);
  expect(await rowsIn(store)).toEqual([]);
};

const onceCases = ({ case: when, timed }: Cases): void => {
  timed("a step changes everything at once, and what it does not name stays", async ({ store }, advance) => {
    const claimed = await claim(store);
    await advance(10);
    const outcome = await step(store, claimed, much([entryOf(invoices)]));
    expect(outcome).toMatchObject({
      status: "committed",
      revision: 1,
      outcomes: [{ status: "committed", sequence: 1 }],
    });
    const record = await recordOf(store);
    const { updatedAtMs } = claimed;
    expect(record).toMatchObject({
      ...{ fence: 1, revision: 1, owner: "node-1", leaseLeftMs: leaseMs, alarmAtMs: 1234 },
      ...{ restarts: 1, lastError: "because", updatedAtMs: updatedAtMs + 10 },
    });
    expect(textOf(record.state)).toBe("state");
    expect(await positionsIn(store)).toEqual([[orders, 5, 0]]);
    expect(await rowsIn(store)).toEqual([["row", "value"]]);
    await advance(10);
    expect(await stepOn(store)).toEqual({ ...record, revision: 2, updatedAtMs: updatedAtMs + 20 });
    expect(await stepOn(store, { alarmAtMs: null })).toMatchObject({ alarmAtMs: null, restarts: 1 });
    const failed = await stepOn(store, { failure: "ä".repeat(512) });
    expect(failed).toMatchObject({ restarts: 2, lastError: "ä".repeat(512), revision: 4 });
    expect(await positionsIn(store)).toEqual([[orders, 5, 0]]);
  });

  when("a step with another fence changes nothing", async ({ store }) => {
    const record = await claim(store);
    for (const fence of [0, 2]) {
      expect(await step(store, { ...record, fence }, much([entryOf(orders)]))).toEqual({ status: "fenced" });
    }
    await expectNothing(store);
    expect(await endsOf(store)).toEqual([1, 0]);
  });

  timed("who lost the lease to somebody else changes nothing", async ({ store }, advance) => {
    const before = await claim(store);
    await advance(leaseMs);
    await claim(store, counter, "node-2");
    expect(await step(store, before, much([entryOf(orders)]))).toEqual({ status: "fenced" });
    await expectNothing(store);
    expect(await recordOf(store)).toMatchObject({ owner: "node-2", leaseLeftMs: leaseMs });
    expect(await endsOf(store)).toEqual([1, 0]);
  });

  when("a step of an actor that is not known is fenced", async ({ store }) => {
    const request = { name: counter, fence: 1, revision: 0, leaseMs, positions: [], rows: [], publishes: [] };
    expect(await store.actors.commit(request)).toEqual({ status: "fenced" });
    expect(await store.actors.get(counter)).toBeNull();
  });

  when("a repeated step was done before, and is not done again", async (harness) => {
    const { store } = harness;
    const record = await claim(store);
    const request = stepOf(record, much([entryOf(invoices), entryOf(invoices)]));
    expect(await store.actors.commit(request)).toMatchObject({ status: "committed", revision: 1 });
    const after = await recordOf(store);
    const repeated: ActorCommitOutcome = { status: "committed", revision: 1, outcomes: [] };
    expect(await store.actors.commit(request)).toEqual(repeated);
    expect(await recordOf(store)).toEqual(after);
    expect(await endsOf(store, invoices)).toEqual([1, 2]);
    await harness.reopen();
    expect(await harness.store.actors.commit(request)).toEqual(repeated);
    expect(await endsOf(harness.store, invoices)).toEqual([1, 2]);
    expect(await recordOf(harness.store)).toMatchObject({ revision: 1, restarts: 1 });
  });

  when("a step that is no repetition and not the next is fenced", async ({ store }) => {
    const record = await claim(store);
    await stepOn(store);
    await stepOn(store);
    for (const revision of [0, 3, 10]) {
      expect(await step(store, { ...record, revision }, much([entryOf(orders)]))).toEqual({ status: "fenced" });
    }
    await expectNothing(store, 2);
  });

  when("after another claim a repeated step is fenced", async ({ store }) => {
    const record = await claim(store);
    await step(store, record, { state: bytesOf("once") });
    await claim(store);
    expect(await step(store, record, { state: bytesOf("twice") })).toEqual({ status: "fenced" });
    expect(textOf((await recordOf(store)).state)).toBe("once");
  });
};

const publishCases = ({ case: when, timed }: Cases): void => {
  timed("what a step publishes is dense with what others publish, and told", async ({ store }) => {
    const nowMs = timeOf(await publishOne(store, entryOf(orders)));
    await claim(store);
    const heard = await hearing(store);
    const body = { object: "segment/2", offset: 7, length: 70, sha256: digestOf(2), storedLength: 50 };
    const outcome = await step(store, await recordOf(store), {
      publishes: [
        entryOf(orders, { object: "segment/2" }),
        entryOf(invoices, { headers: { kind: "made" }, ...body }),
        entryOf(orders, { object: "segment/2" }),
      ],
    });
    expect(outcome).toEqual({
      status: "committed",
      revision: 1,
      outcomes: [
        { status: "committed", sequence: 2, timestampMs: nowMs },
        { status: "committed", sequence: 1, timestampMs: nowMs },
        { status: "committed", sequence: 3, timestampMs: nowMs },
      ],
    });
    expect(await heard()).toEqual([
      { subject: invoices, first: 1, last: 1 },
      { subject: orders, first: 2, last: 3 },
    ]);
    await publish(store, orders, 1);
    expect(await storedIn(store)).toEqual([1, 2, 3, 4]);
    expect(await amountOf(store)).toEqual([4, 40]);
    const { envelopes } = await store.range(invoices, 1, everything);
    expect(envelopes).toEqual([
      { subject: invoices, sequence: 1, timestampMs: nowMs, headers: { kind: "made" }, body },
    ]);
    expect(await store.referenced(["segment/1", "segment/2"])).toEqual([true, true]);
    expect((await store.audit?.()) ?? []).toEqual([]);
  });

  when("bodies of a step die with the last message that needs them", async ({ store }) => {
    await claim(store);
    await stepOn(store, { publishes: [entryOf(orders, { object: "segment/9" })] });
    await store.purge(orders, 1);
    while ((await store.countDead()) === 0) await turn();
    const dead = store.takeDead({ limit: 10, minAgeMs: 0, leaseMs: 1000 });
    expect(await deadNamesOf(dead)).toEqual(["segment/9"]);
  });

  when("duplicates are fine, inside a step and over steps", async ({ store }) => {
    await publishOne(store, entryOf(orders, { messageId: "a" }));
    await claim(store);
    const outcome = await step(store, await recordOf(store), {
      state: bytesOf("done"),
      publishes: ["a", "b", "b"].map((messageId) => entryOf(orders, { messageId })),
    });
    expect(outcome).toMatchObject({
      status: "committed",
      outcomes: [
        { status: "duplicate", sequence: 1 },
        { status: "committed", sequence: 2 },
        { status: "duplicate", sequence: 2 },
      ],
    });
    expect(await publishOne(store, entryOf(orders, { messageId: "b" }))).toMatchObject({ status: "duplicate" });
    expect(textOf((await recordOf(store)).state)).toBe("done");
    expect(await endsOf(store)).toEqual([1, 2]);
  });

  timed("a step may publish for later", async ({ store }, advance) => {
    await claim(store);
    const outcome = await step(store, await recordOf(store), {
      publishes: [entryOf(orders, { deliverAt: { inMs: 500 }, messageId: "later" })],
    });
    expect(outcome).toMatchObject({ status: "committed", outcomes: [{ status: "scheduled", duplicate: false }] });
    expect(await endsOf(store)).toEqual([1, 0]);
    const again = await step(store, await recordOf(store), {
      publishes: [entryOf(orders, { deliverAt: { inMs: 500 }, messageId: "later" })],
    });
    expect(again).toMatchObject({ status: "committed", outcomes: [{ status: "scheduled", duplicate: true }] });
    await advance(500);
    expect(await store.commitDue(10)).toEqual({ committed: 1, nextInMs: null });
    expect(await endsOf(store)).toEqual([1, 1]);
  });

  when("policies hold for what a step publishes", async ({ store }) => {
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 2 });
    await claim(store);
    await stepOn(store, { publishes: upTo(5).map((n) => entryOf(orders, { offset: n })) });
    expect(await storedIn(store)).toEqual([4, 5]);
  });

  timed("messages of a step have their time to live", async ({ store }, advance) => {
    await claim(store);
    await stepOn(store, { publishes: [entryOf(orders, { ttlMs: 100 }), entryOf(orders)] });
    await advance(100);
    expect(await storedIn(store)).toEqual([2]);
  });
};

const refusalCases = ({ case: when }: Cases): void => {
  when("a wrong last sequence refuses the whole step", async ({ store }) => {
    await publish(store, orders, 2);
    const record = await claim(store);
    const heard = await hearing(store);
    const publishes = [
      entryOf(invoices, { object: "segment/7", messageId: "kept?" }),
      entryOf(orders, { expectedLastSequence: 1 }),
      entryOf(invoices, { deliverAt: { inMs: 1000 } }),
    ];
    const outcome = await step(store, record, much(publishes));
    expect(outcome).toMatchObject({
      status: "refused",
      outcomes: [{}, { status: "wrong_last_sequence", lastSequence: 2 }, {}],
    });
    await expectNothing(store);
    expect(await store.subject(invoices)).toBeNull();
    expect(await endsOf(store)).toEqual([1, 2]);
    expect(await store.referenced(["segment/7"])).toEqual([false]);
    expect(await store.commitDue(10)).toEqual({ committed: 0, nextInMs: null });
    expect(await heard()).toEqual([]);
    const right = [entryOf(invoices, { messageId: "kept?" }), entryOf(orders, { expectedLastSequence: 2 })];
    expect(await step(store, record, much(right))).toMatchObject({
      status: "committed",
      revision: 1,
      outcomes: [
        { status: "committed", sequence: 1 },
        { status: "committed", sequence: 3 },
      ],
    });
    expect((await store.audit?.()) ?? []).toEqual([]);
  });

  when("a subject without room refuses the whole step, and a fence is looked at before", async ({ store }) => {
    await store.putPolicy(filterOf("orders.*"), { ...keepEverything, maxMessages: 2, discard: "new" });
    const record = await claim(store);
    const publishes = upTo(3).map((n) => entryOf(orders, { offset: n, object: "segment/8" }));
    expect(await step(store, { ...record, fence: 9 }, { publishes })).toEqual({ status: "fenced" });
    const outcome = await step(store, record, much(publishes));
    expect(outcome).toMatchObject({ status: "refused", outcomes: [{}, {}, { status: "subject_full" }] });
    await expectNothing(store);
    expect(await store.subject(orders)).toBeNull();
    expect(await store.referenced(["segment/8"])).toEqual([false]);
    expect(await step(store, record, much(publishes.slice(1)))).toMatchObject({ status: "committed", revision: 1 });
    expect(await storedIn(store)).toEqual([1, 2]);
    // What was done is done, although there is no room for it any more.
    expect(await step(store, record, much(publishes.slice(1)))).toEqual({
      status: "committed",
      revision: 1,
      outcomes: [],
    });
  });

  when("a body that is being deleted refuses the whole step", async ({ store }) => {
    await publishOne(store, entryOf(orders, { object: "segment/5" }));
    await store.purge(orders, 1);
    while ((await store.countDead()) === 0) await turn();
    await store.takeDead({ limit: 10, minAgeMs: 0, leaseMs: 1000 });
    const record = await claim(store);
    const publishes = [entryOf(invoices), entryOf(invoices, { object: "segment/5" })];
    const outcome = await step(store, record, much(publishes));
    expect(outcome).toMatchObject({ status: "refused", outcomes: [{}, { status: "body_gone" }] });
    await expectNothing(store);
    expect(await store.subject(invoices)).toBeNull();
    // A body that only waits for its deletion is alive again with the step.
    await store.condemn(["segment/6"]);
    await stepOn(store, { publishes: [entryOf(invoices, { object: "segment/6" })] });
    expect(await store.referenced(["segment/6"])).toEqual([true]);
    expect(await store.countDead()).toBe(1);
  });

  when("a refused step renews nothing and leaves the actor as it was", async ({ store }) => {
    await claim(store);
    const before = await stepOn(store, { ...much(), failure: undefined });
    const publishes = [entryOf(orders, { expectedLastSequence: 7 })];
    const outcome = await step(store, before, { ...much(publishes), leaseMs: 60_000, state: bytesOf("other") });
    expect(outcome).toMatchObject({ status: "refused" });
    const { leaseLeftMs, ...after } = await recordOf(store);
    expect(leaseLeftMs).toBeLessThanOrEqual(leaseMs);
    expect({ ...after, leaseLeftMs: before.leaseLeftMs }).toEqual(before);
  });
};

/** Steps of actors. */
export const actorStepCases = (cases: Cases): void => {
  onceCases(cases);
  publishCases(cases);
  refusalCases(cases);
};
