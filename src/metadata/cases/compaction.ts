/**
 * Objects that take more room than what is left in them is worth, and moving what is left.
 * @module
 */
import { expect } from "bun:test";
import type { BodyRef } from "../../core/message.ts";
import type { Subject } from "../../core/subject.ts";
import type { CommitEntry, MetadataStore, SparseObject, SparseRequest } from "../contract.ts";
import {
  type Cases,
  deadNamesOf,
  digestOf,
  entryOf,
  everything,
  invoices,
  makeWorker,
  nack,
  orders,
  publishOne,
  pull,
  sequencesOf,
  subjectOf,
  turn,
  upTo,
} from "./kit.ts";

const leaseMs = 60_000;

/** The `n`th body of 10 bytes of an object, each with a checksum of its own. */
const bodyOf = (object: string, n: number): BodyRef => ({ object, offset: n * 10, length: 10, sha256: digestOf(n) });

/** A message with that body. */
const messageOf = (subject: Subject, object: string, n: number): CommitEntry => ({
  subject,
  headers: {},
  body: bodyOf(object, n),
});

/** Commits so many messages into an object, in one go. */
const fill = async (store: MetadataStore, subject: Subject, object: string, count: number): Promise<void> => {
  await store.commit(upTo(count).map((n) => messageOf(subject, object, n)));
};

/** Takes what is sparse; small objects are of no interest unless asked for. */
const take = async (store: MetadataStore, request: Partial<SparseRequest> = {}): Promise<readonly SparseObject[]> =>
  store.takeSparse({
    aliveShareMax: 0.5,
    tinyBytes: 0,
    tinyMin: 1,
    minAgeMs: 0,
    objectsMax: 100,
    aliveBytesMax: 1_000_000,
    leaseMs,
    ...request,
  });

const namesOf = (objects: readonly SparseObject[]): readonly string[] => objects.map(({ object }) => object);

/**
 * Resolves when all that was deleted is out of the way: rows go in the background, those of the newest subject, which
 * are deleted last here, after all others.
 */
const cleaned = async (store: MetadataStore): Promise<void> => {
  const id = crypto.randomUUID();
  const marker = subjectOf(`marker.${id}`);
  const object = `marker/${id}`;
  await publishOne(store, entryOf(marker, { object }));
  const before = await store.countDead();
  await store.purge(marker, 1);
  while ((await store.referenced([object]))[0] === true || (await store.countDead()) === before) await turn();
};

const purge = async (store: MetadataStore, subject: Subject, through: number): Promise<void> => {
  await store.purge(subject, through);
  await cleaned(store);
};

/** How many of the messages that the store deletes are dead objects by now, the markers left out. */
const deadOf = async (store: MetadataStore): Promise<readonly string[]> => {
  const dead = await deadNamesOf(store.takeDead({ limit: 1000, minAgeMs: 0, leaseMs: 1 }));
  return dead.filter((object) => !object.startsWith("marker/")).toSorted();
};

const takeCases = ({ case: test, timed }: Cases): void => {
  test("an object is sparse when at most so much of it is alive, and comes with what is", async (harness) => {
    const { store } = harness;
    await fill(store, orders, "segment/1", 10);
    expect(await take(store)).toEqual([]);
    await purge(store, orders, 4);
    expect(await take(store)).toEqual([]);
    await purge(store, orders, 5);
    expect(await take(store, { aliveShareMax: 0.49 })).toEqual([]);
    await harness.reopen();
    const bodies = upTo(5).map((n) => bodyOf("segment/1", n + 5));
    expect(await take(harness.store)).toEqual([{ object: "segment/1", bodies }]);
  });

  test("messages of all subjects count, however far apart they are", async ({ store }) => {
    await store.commit([
      messageOf(orders, "segment/1", 3),
      messageOf(invoices, "segment/1", 1),
      ...upTo(500).map((n) => messageOf(orders, "segment/2", n)),
      messageOf(orders, "segment/1", 2),
      messageOf(invoices, "segment/1", 4),
      messageOf(invoices, "segment/1", 5),
    ]);
    await purge(store, orders, 501);
    expect(await take(store)).toEqual([]);
    await purge(store, invoices, 2);
    expect(await take(store)).toEqual([
      { object: "segment/1", bodies: [bodyOf("segment/1", 2), bodyOf("segment/1", 5)] },
    ]);
  });

  test("bytes are those in the store", async ({ store }) => {
    const compressed = { object: "segment/1", length: 1000, storedLength: 30 };
    await store.commit([entryOf(orders, { object: "segment/1", offset: 30, length: 40 }), entryOf(orders, compressed)]);
    await purge(store, orders, 1);
    expect(await take(store, { aliveShareMax: 0.42 })).toEqual([]);
    expect(await take(store, { aliveShareMax: 0.43 })).toEqual([
      { object: "segment/1", bodies: [{ ...compressed, offset: 0, sha256: digestOf(1) }] },
    ]);
  });

  test("small ones are worth joining when there are enough of them", async ({ store }) => {
    for (const n of upTo(3)) await fill(store, orders, `segment/${n}`, n);
    await fill(store, orders, "segment/large", 4);
    const small = { tinyBytes: 40, tinyMin: 4 };
    expect(await take(store, small)).toEqual([]);
    expect(await take(store, { ...small, tinyBytes: 41, objectsMax: 1 })).toHaveLength(1);
    expect((await take(store, { ...small, tinyMin: 2 })).length).toBeGreaterThanOrEqual(2);
    expect(namesOf(await take(store, { ...small, tinyMin: 1 }))).not.toContain("segment/large");
  });

  test("no more than asked for, but one at least", async ({ store }) => {
    for (const n of upTo(6)) await fill(store, subjectOf(`orders.${n}`), `segment/${n}`, 4);
    for (const n of upTo(6)) await store.purge(subjectOf(`orders.${n}`), 2);
    await cleaned(store);
    expect(await take(store, { objectsMax: 2 })).toHaveLength(2);
    expect(await take(store, { aliveBytesMax: 59 })).toHaveLength(2);
    expect(await take(store, { aliveBytesMax: 1 })).toHaveLength(1);
    expect(await take(store)).toHaveLength(1);
    expect(await take(store)).toEqual([]);
  });

  test("each is handed out to one caller at a time", async ({ store }) => {
    for (const n of upTo(20)) await fill(store, subjectOf(`orders.${n}`), `segment/${n}`, 2);
    for (const n of upTo(20)) await store.purge(subjectOf(`orders.${n}`), 1);
    await cleaned(store);
    const hands = await Promise.all(upTo(6).map(() => take(store, { objectsMax: 4 })));
    expect(hands.map(({ length }) => length)).toEqual([4, 4, 4, 4, 4, 0]);
    expect(new Set(hands.flatMap(namesOf)).size).toBe(20);
  });

  test("an object with nothing left is dead, not sparse", async ({ store }) => {
    await fill(store, orders, "segment/1", 3);
    await purge(store, orders, 3);
    expect(await take(store, { tinyBytes: 1000 })).toEqual([]);
    expect(await deadOf(store)).toEqual(["segment/1"]);
  });

  test("a body that several messages share comes once", async ({ store }) => {
    const letters = subjectOf("dead.orders");
    await fill(store, orders, "segment/1", 4);
    await makeWorker(store, { ack: "explicit", maxDeliver: 1, deadLetter: letters });
    await pull(store);
    await nack(store, [3, 4]);
    await purge(store, orders, 3);
    const [first, ...others] = await take(store, { aliveShareMax: 0.75 });
    expect(first).toEqual({ object: "segment/1", bodies: [bodyOf("segment/1", 3), bodyOf("segment/1", 4)] });
    expect(others).toEqual([]);
  });

  timed("none into which a delayed message points, or a message came lately", async ({ store }, advance) => {
    await fill(store, orders, "segment/1", 4);
    await store.commit([{ ...messageOf(orders, "segment/1", 5), deliverAt: { inMs: 5000 } }]);
    await advance(1000);
    await purge(store, orders, 4);
    await fill(store, invoices, "segment/2", 4);
    await purge(store, invoices, 3);
    expect(await take(store, { minAgeMs: 1 })).toEqual([]);
    await advance(999);
    expect(await take(store, { minAgeMs: 1000 })).toEqual([]);
    await advance(1);
    expect(namesOf(await take(store, { minAgeMs: 1000 }))).toEqual(["segment/2"]);
    await advance(3000);
    await store.commitDue(10);
    await advance(1000);
    expect(await take(store, { minAgeMs: 1000 })).toEqual([{ object: "segment/1", bodies: [bodyOf("segment/1", 5)] }]);
  });

  timed("when the lease runs out another caller may have it", async ({ store }, advance) => {
    await fill(store, orders, "segment/1", 2);
    await purge(store, orders, 1);
    expect(await take(store)).toHaveLength(1);
    await advance(leaseMs - 1);
    expect(await take(store)).toEqual([]);
    await advance(1);
    expect(await take(store)).toHaveLength(1);
  });
};

/** Moves the `n`th body of an object to another one, to where it is the `to`th. */
const moveOf = (from: string, n: number, target: string, to: number) => ({
  from: bodyOf(from, n),
  to: { ...bodyOf(target, to), sha256: digestOf(n) },
});

const moveCases = ({ case: test, timed }: Cases): void => {
  test("messages point at what they were moved to, and the source is dead", async (harness) => {
    const { store } = harness;
    await fill(store, orders, "segment/1", 4);
    await purge(store, orders, 2);
    const to = { ...bodyOf("segment/9", 0), sha256: digestOf(4), storedLength: 7 };
    const moves = [moveOf("segment/1", 3, "segment/9", 7), { from: bodyOf("segment/1", 4), to }];
    expect(await store.moveBodies(moves)).toBe(2);
    await harness.reopen();
    const { envelopes } = await harness.store.range(orders, 1, everything);
    expect(envelopes.map(({ sequence, body }) => [sequence, body])).toEqual([
      [3, { ...bodyOf("segment/9", 7), sha256: digestOf(3) }],
      [4, to],
    ]);
    expect(await harness.store.referenced(["segment/1", "segment/9"])).toEqual([false, true]);
    expect(await deadOf(harness.store)).toEqual(["segment/1"]);
    expect(sequencesOf(await pull(harness.store))).toEqual([3, 4]);
    expect(await harness.store.subject(orders)).toMatchObject({ messages: 2, bytes: 20 });
    // Again is fine.
    expect(await harness.store.moveBodies(moves)).toBe(0);
    expect(await harness.store.referenced(["segment/9"])).toEqual([true]);
  });

  test("a source keeps what was not moved", async ({ store }) => {
    await fill(store, orders, "segment/1", 4);
    expect(await store.moveBodies([moveOf("segment/1", 1, "segment/9", 1)])).toBe(1);
    expect(await store.referenced(["segment/1", "segment/9"])).toEqual([true, true]);
    expect(await deadOf(store)).toEqual([]);
    // Of the four bytes' worth three are left, of the one that was moved all.
    expect(await take(store, { aliveShareMax: 0.74 })).toEqual([]);
    expect(namesOf(await take(store, { aliveShareMax: 0.75 }))).toEqual(["segment/1"]);
    await purge(store, orders, 1);
    expect(await deadOf(store)).toEqual(["segment/9"]);
  });

  test("several objects become one, which is counted and found like any other", async ({ store }) => {
    // Far apart from each other in the subject.
    for (const n of upTo(6)) {
      await fill(store, orders, `segment/${n}`, 1);
      await fill(store, orders, `large/${n}`, 100);
    }
    const moves = upTo(6).map((n) => moveOf(`segment/${n}`, 1, "segment/9", n));
    expect(await store.moveBodies(moves)).toBe(6);
    expect(await deadOf(store)).toEqual(upTo(6).map((n) => `segment/${n}`));
    expect(await take(store)).toEqual([]);
    await purge(store, orders, 303);
    const [taken] = await take(store);
    expect(taken).toEqual({
      object: "segment/9",
      bodies: [4, 5, 6].map((n) => ({ ...bodyOf("segment/9", n), sha256: digestOf(1) })),
    });
    const again = (taken?.bodies ?? []).map((from, index) => ({
      from,
      to: { ...from, object: "segment/10", offset: index * 10 },
    }));
    expect(await store.moveBodies(again)).toBe(3);
    expect(await deadOf(store)).toContain("segment/9");
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes.flatMap(({ body }) => (body.object === "segment/10" ? [body.offset] : []))).toEqual([0, 10, 20]);
  });

  test("a message between those that were moved into its object counts once", async ({ store }) => {
    const places = [
      ["segment/1", 1],
      ["segment/9", 2],
      ["segment/1", 3],
    ] as const;
    for (const [object, n] of places) await publishOne(store, messageOf(orders, object, n));
    expect(await store.moveBodies([1, 3].map((n) => moveOf("segment/1", n, "segment/9", n)))).toBe(2);
    for (const n of [2, 1]) expect(await store.moveBodies([moveOf("segment/9", n, "segment/10", n)])).toBe(1);
    expect(await store.referenced(["segment/9"])).toEqual([true]);
    expect(await deadOf(store)).toEqual(["segment/1"]);
    expect(await store.moveBodies([moveOf("segment/9", 3, "segment/10", 3)])).toBe(1);
    expect(await store.referenced(["segment/9", "segment/10"])).toEqual([false, true]);
    await purge(store, orders, 3);
    expect(await store.referenced(["segment/10"])).toEqual([false]);
  });

  test("every message of a body is moved, a dead letter too", async ({ store }) => {
    const letters = subjectOf("dead.orders");
    await fill(store, orders, "segment/1", 1);
    await store.commit([messageOf(invoices, "segment/1", 1)]);
    await makeWorker(store, { ack: "explicit", maxDeliver: 1, deadLetter: letters });
    await pull(store);
    await nack(store, [1]);
    expect(await store.moveBodies([moveOf("segment/1", 1, "segment/9", 5)])).toBe(3);
    for (const subject of [orders, invoices, letters]) {
      const { envelopes } = await store.range(subject, 1, everything);
      expect(envelopes.map(({ body }) => [body.object, body.offset])).toEqual([["segment/9", 50]]);
    }
    for (const subject of [orders, invoices]) await purge(store, subject, 1);
    expect(await store.referenced(["segment/9"])).toEqual([true]);
    await purge(store, letters, 1);
    expect(await deadOf(store)).toEqual(["segment/1", "segment/9"]);
  });

  test("a target that nothing came to point into is dead", async ({ store }) => {
    await fill(store, orders, "segment/1", 2);
    await purge(store, orders, 1);
    const moves = upTo(2).map((n) => moveOf("segment/1", n, `segment/${8 + n}`, 1));
    await purge(store, orders, 2);
    expect(await store.moveBodies(moves)).toBe(0);
    expect(await deadOf(store)).toEqual(["segment/1", "segment/10", "segment/9"]);
  });

  test("what was deleted meanwhile is left out", async ({ store }) => {
    await fill(store, orders, "segment/1", 4);
    await purge(store, orders, 2);
    const moves = upTo(4).map((n) => moveOf("segment/1", n, "segment/9", n));
    expect(await store.moveBodies(moves)).toBe(2);
    expect(await deadOf(store)).toEqual(["segment/1"]);
  });

  test("nothing is moved into an object that is being deleted", async ({ store }) => {
    await fill(store, orders, "segment/1", 2);
    await store.condemn(["segment/8", "segment/9"]);
    expect(await deadNamesOf(store.takeDead({ limit: 1, minAgeMs: 0, leaseMs }))).toEqual(["segment/8"]);
    expect(await store.moveBodies([moveOf("segment/1", 1, "segment/8", 1)])).toBe(0);
    expect(await store.referenced(["segment/1", "segment/8"])).toEqual([true, false]);
    // One that waits comes back to life.
    const moves = [moveOf("segment/1", 1, "segment/8", 1), moveOf("segment/1", 2, "segment/9", 1)];
    expect(await store.moveBodies(moves)).toBe(1);
    expect(await store.referenced(["segment/1", "segment/8", "segment/9"])).toEqual([true, false, true]);
    expect(await store.countDead()).toBe(1);
  });

  timed("a source lingers for who still has its address", async ({ store }, advance) => {
    await fill(store, orders, "segment/1", 1);
    await store.moveBodies([moveOf("segment/1", 1, "segment/9", 1)], 5000);
    expect(await store.countDead()).toBe(1);
    await advance(6999);
    expect(await deadNamesOf(store.takeDead({ limit: 10, minAgeMs: 2000, leaseMs }))).toEqual([]);
    await advance(1);
    expect(await deadNamesOf(store.takeDead({ limit: 10, minAgeMs: 2000, leaseMs }))).toEqual(["segment/1"]);
  });
};

export const compactionCases = (cases: Cases): void => {
  takeCases(cases);
  moveCases(cases);
};
