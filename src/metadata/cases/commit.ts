/**
 * Committing: sequences, times, duplicates, expectations, and that everything is kept as given.
 * @module
 */
import { expect } from "bun:test";
import type { Headers } from "../../core/message.ts";
import {
  type Cases,
  digestOf,
  entryOf,
  everything,
  invoices,
  orders,
  publish,
  publishOne,
  sequenceOf,
  sequencesOf,
  subjectOf,
  timeOf,
  upTo,
} from "./kit.ts";

export const commitCases = ({ case: test, timed }: Cases): void => {
  test("an empty batch answers an empty array", async ({ store }) => {
    expect(await store.commit([])).toEqual([]);
  });

  test("sequences are 1, 2, 3 … per subject in the order of the entries", async ({ store }) => {
    const batch = [orders, invoices, orders, orders, invoices].map((subject) => entryOf(subject));
    const outcomes = await store.commit(batch);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(batch.map(() => "committed"));
    expect(outcomes.map(sequenceOf)).toEqual([1, 1, 2, 3, 2]);
    expect((await publish(store, orders, 2)).map(sequenceOf)).toEqual([4, 5]);
  });

  test("sequences stay dense when batches overlap", async ({ store }) => {
    const batches = await Promise.all(upTo(20).map(() => publish(store, orders, 7)));
    const sequences = batches.flat().map(sequenceOf);
    expect(sequences.toSorted((a, b) => a - b)).toEqual(upTo(140));
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual(upTo(140));
  });

  test("what a body takes in its object is kept beside its length", async (harness) => {
    const { store } = harness;
    const bodies = [{ length: 1000, storedLength: 90 }, { length: 1000 }, { length: 7, storedLength: 7 }];
    await store.commit(bodies.map((body) => entryOf(orders, body)));
    await harness.reopen();
    const { envelopes } = await harness.store.range(orders, 1, everything);
    expect(envelopes.map(({ body }) => [body.length, body.storedLength])).toEqual([
      [1000, 90],
      [1000, undefined],
      [7, 7],
    ]);
    expect(await harness.store.subject(orders)).toMatchObject({ messages: 3, bytes: 2007 });
  });

  test("sequences go on after reopening, and the epoch stays", async (harness) => {
    const { epoch } = harness.store;
    await publish(harness.store, orders, 3);
    await harness.reopen();
    expect(harness.store.epoch).toBe(epoch);
    expect(epoch).not.toBe("");
    expect((await publish(harness.store, orders, 2)).map(sequenceOf)).toEqual([4, 5]);
    expect(sequencesOf(await harness.store.range(orders, 1, everything))).toEqual(upTo(5));
  });

  test("a large batch over many subjects", async ({ store }) => {
    const subjects = upTo(50).map((index) => subjectOf(`many.s${index}`));
    const outcomes = await store.commit(upTo(40).flatMap(() => subjects.map((subject) => entryOf(subject))));
    expect(outcomes.map(sequenceOf)).toEqual(upTo(40).flatMap((sequence) => subjects.map(() => sequence)));
    const heads = await store.heads(subjects);
    expect(heads).toEqual(subjects.map(() => ({ firstSequence: 1, lastSequence: 40 })));
  });

  test("body references and digests come back as they were", async ({ store }) => {
    const bodies = [
      { object: "segment/1", offset: 0, length: 7, sha256: digestOf(1) },
      { object: "segment/1", offset: 7, length: 9, sha256: digestOf(2) },
      { object: "large/ä", offset: 2 ** 52, length: 2 ** 40, sha256: digestOf(3) },
      { object: "", offset: 0, length: 0, sha256: digestOf(4) },
    ];
    await store.commit(bodies.map((body) => entryOf(orders, body)));
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes.map((envelope) => envelope.body)).toEqual(bodies);
    expect(envelopes.every((envelope) => envelope.body.sha256 instanceof Uint8Array)).toBe(true);
    expect(await store.subject(orders)).toMatchObject({ bytes: 16 + 2 ** 40, messages: 4 });
  });

  test("headers come back as they were", async ({ store }) => {
    const headers = [
      "{}",
      '{"content-type":"text/plain"}',
      '{"empty":"","":"no name"}',
      '{"名前":"日本 🎉","quote":"\\"\\\\","control":"\\u0000\\n"}',
      '{"__proto__":"kept","constructor":"kept","toString":"kept"}',
      '{"b":"1","a":"2","10":"3"}',
    ].map((text) => JSON.parse(text) as Headers);
    await store.commit(headers.map((each) => entryOf(orders, { headers: each })));
    const { envelopes } = await store.range(orders, 1, everything);
    // By entries: a comparison of objects overlooks `__proto__`.
    expect(envelopes.map((envelope) => Object.entries(envelope.headers).toSorted())).toEqual(
      headers.map((each) => Object.entries(each).toSorted()),
    );
  });

  test("headers of 64 KiB", async ({ store }) => {
    const headers = { note: "é".repeat(32 * 1024) };
    await publishOne(store, entryOf(orders, { headers }));
    const { envelopes } = await store.range(orders, 1, everything);
    expect(envelopes[0]?.headers).toEqual(headers);
  });

  test("a commit is visible to every read after it", async ({ store }) => {
    for (const sequence of upTo(20)) {
      const outcome = await publishOne(store, entryOf(orders));
      expect(sequenceOf(outcome)).toBe(sequence);
      expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: sequence }]);
      const { envelopes } = await store.range(orders, sequence, everything);
      expect(envelopes.map((envelope) => envelope.timestampMs)).toEqual([timeOf(outcome)]);
    }
  });

  test("a message id is a duplicate the second time, with the first answer", async ({ store }) => {
    const first = await publishOne(store, entryOf(orders, { messageId: "a" }));
    await publish(store, orders, 3);
    const second = await publishOne(store, entryOf(orders, { messageId: "a", length: 999 }));
    expect(second).toEqual({ status: "duplicate", sequence: sequenceOf(first), timestampMs: timeOf(first) });
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: 4 }]);
  });

  test("duplicates inside one batch", async ({ store }) => {
    const ids = ["a", "b", "a", undefined, "b", undefined, "A"];
    const outcomes = await store.commit(ids.map((id) => entryOf(orders, id === undefined ? {} : { messageId: id })));
    expect(outcomes.map((outcome) => [outcome.status, sequenceOf(outcome)])).toEqual([
      ["committed", 1],
      ["committed", 2],
      ["duplicate", 1],
      ["committed", 3],
      ["duplicate", 2],
      ["committed", 4],
      ["committed", 5],
    ]);
  });

  test("message ids are per subject", async ({ store }) => {
    const outcomes = await store.commit([orders, invoices].map((subject) => entryOf(subject, { messageId: "a" })));
    expect(outcomes.map((outcome) => outcome.status)).toEqual(["committed", "committed"]);
  });

  test("duplicates survive reopening and purging", async (harness) => {
    await publishOne(harness.store, entryOf(orders, { messageId: "a" }));
    await harness.store.purge(orders, 1);
    await harness.reopen();
    const again = await publishOne(harness.store, entryOf(orders, { messageId: "a" }));
    expect([again.status, sequenceOf(again)]).toEqual(["duplicate", 1]);
  });

  test("a duplicate is answered before the expected last sequence is looked at", async ({ store }) => {
    await store.commit([entryOf(orders, { messageId: "a" }), entryOf(orders)]);
    const again = await publishOne(store, entryOf(orders, { messageId: "a", expectedLastSequence: 77 }));
    expect([again.status, sequenceOf(again)]).toEqual(["duplicate", 1]);
  });

  test("a refused message leaves its message id free", async ({ store }) => {
    const refused = await publishOne(store, entryOf(orders, { messageId: "a", expectedLastSequence: 5 }));
    expect(refused).toEqual({ status: "wrong_last_sequence", lastSequence: 0 });
    expect(await publishOne(store, entryOf(orders, { messageId: "a" }))).toMatchObject({ status: "committed" });
  });

  test("a subject whose only message was refused was never published to", async ({ store }) => {
    await publishOne(store, entryOf(orders, { expectedLastSequence: 5 }));
    expect(await store.subject(orders)).toBeNull();
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: 0 }]);
  });

  test("the expected last sequence is that before the entry, inside a batch too", async ({ store }) => {
    const expected = [0, 0, 1, 5, 2, undefined, 4];
    const outcomes = await store.commit(
      expected.map((each) => entryOf(orders, each === undefined ? {} : { expectedLastSequence: each })),
    );
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      "committed",
      "wrong_last_sequence",
      "committed",
      "wrong_last_sequence",
      "committed",
      "committed",
      "committed",
    ]);
    expect(outcomes[1]).toEqual({ status: "wrong_last_sequence", lastSequence: 1 });
    expect(outcomes[3]).toEqual({ status: "wrong_last_sequence", lastSequence: 2 });
    expect(await store.heads([orders])).toEqual([{ firstSequence: 1, lastSequence: 5 }]);
  });

  test("of two that expect the same, one wins", async ({ store }) => {
    const outcomes = await Promise.all(
      upTo(10).map(() => publishOne(store, entryOf(orders, { expectedLastSequence: 0 }))),
    );
    expect(outcomes.filter((outcome) => outcome.status === "committed")).toHaveLength(1);
  });

  test("the expected last sequence counts deleted messages", async ({ store }) => {
    await publish(store, orders, 3);
    await store.purge(orders, 3);
    expect(await publishOne(store, entryOf(orders, { expectedLastSequence: 0 }))).toEqual({
      status: "wrong_last_sequence",
      lastSequence: 3,
    });
    expect(sequenceOf(await publishOne(store, entryOf(orders, { expectedLastSequence: 3 })))).toBe(4);
  });

  test("one batch of everything", async ({ store }) => {
    await store.commit([entryOf(orders, { messageId: "old" })]);
    const outcomes = await store.commit([
      entryOf(orders, { messageId: "old" }),
      entryOf(invoices, { expectedLastSequence: 9 }),
      entryOf(orders, { messageId: "new", object: "segment/2" }),
      entryOf(invoices, { expectedLastSequence: 0 }),
      entryOf(orders, { messageId: "new" }),
      entryOf(invoices, { messageId: "new" }),
    ]);
    expect(outcomes.map((outcome) => [outcome.status, sequenceOf(outcome)])).toEqual([
      ["duplicate", 1],
      ["wrong_last_sequence", 0],
      ["committed", 2],
      ["committed", 1],
      ["duplicate", 2],
      ["committed", 2],
    ]);
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([1, 2]);
    expect(sequencesOf(await store.range(invoices, 1, everything))).toEqual([1, 2]);
  });

  timed("a message id is forgotten after the window", async ({ store, dedupeWindowMs }, advance) => {
    await publishOne(store, entryOf(orders, { messageId: "a" }));
    await advance(dedupeWindowMs - 1);
    expect(await publishOne(store, entryOf(orders, { messageId: "a" }))).toMatchObject({ status: "duplicate" });
    await advance(2);
    // The duplicate did not lengthen the window.
    expect(await publishOne(store, entryOf(orders, { messageId: "a" }))).toMatchObject({ sequence: 2 });
    expect(await publishOne(store, entryOf(orders, { messageId: "a" }))).toMatchObject({
      status: "duplicate",
      sequence: 2,
    });
  });

  timed("ids are forgotten while others are remembered", async ({ store, dedupeWindowMs }, advance) => {
    const ids = upTo(500).map((index) => `id-${index}`);
    await store.commit(ids.map((messageId) => entryOf(orders, { messageId })));
    await advance(dedupeWindowMs / 2);
    await publishOne(store, entryOf(orders, { messageId: "young" }));
    await advance(dedupeWindowMs / 2 + 1);
    const outcomes = await store.commit(["young", ...ids].map((messageId) => entryOf(orders, { messageId })));
    expect(outcomes[0]).toMatchObject({ status: "duplicate", sequence: 501 });
    expect(outcomes.slice(1).every((outcome) => outcome.status === "committed")).toBe(true);
    expect(await publishOne(store, entryOf(orders, { messageId: "young" }))).toMatchObject({ status: "duplicate" });
    expect(await publishOne(store, entryOf(orders, { messageId: "id-1" }))).toMatchObject({ sequence: 502 });
  });

  timed("times never decrease within a subject when the clock is set back", async ({ store }, advance) => {
    const first = timeOf(await publishOne(store, entryOf(orders)));
    await advance(-60_000);
    expect(timeOf(await publishOne(store, entryOf(orders)))).toBe(first);
    expect(timeOf(await publishOne(store, entryOf(invoices)))).toBe(first - 60_000);
    await advance(60_001);
    expect(timeOf(await publishOne(store, entryOf(orders)))).toBe(first + 1);
  });
};
