/**
 * Dead letters: messages that a consumer gave up, and sending them back.
 * @module
 */
import { expect } from "bun:test";
import { deadLetterHeaders, type Headers } from "../../core/message.ts";
import { keepEverything } from "../../core/policy.ts";
import type { MetadataStore, NackOutcome } from "../contract.ts";
import {
  ack,
  type Cases,
  configOf,
  digestOf,
  entryOf,
  everything,
  filterOf,
  hearing,
  makeWorker,
  nack,
  nameOf,
  orders,
  publish,
  publishOne,
  pull,
  refusalOf,
  sequencesOf,
  stateOf,
  subjectOf,
  timeOf,
  turn,
  worker,
} from "./kit.ts";

const letters = subjectOf("dead.orders");
const twice = { ack: "explicit", ackWaitMs: 1000, maxDeliver: 2, deadLetter: letters } as const;
const once = { ...twice, maxDeliver: 1 } as const;

/** What is in the subject of dead letters. */
const lettersIn = async (store: MetadataStore) => (await store.range(letters, 1, everything)).envelopes;

const headersIn = async (store: MetadataStore): Promise<readonly Headers[]> =>
  (await lettersIn(store)).map(({ headers }) => headers);

/** The sequences that the dead letters had before. */
const originsIn = async (store: MetadataStore): Promise<readonly number[]> =>
  (await headersIn(store)).map((headers) => Number(headers[deadLetterHeaders.sequence]));

/** Gives leased messages back and says why. */
const blame = async (store: MetadataStore, sequences: readonly number[], error?: string): Promise<NackOutcome> => {
  const [outcome] = await store.nack([{ subject: orders, consumer: worker, sequences, delayMs: 0, error }]);
  if (outcome === undefined) throw new Error("A nack got no outcome.");
  return outcome;
};

const giveUpCases = ({ case: test, timed }: Cases): void => {
  test("the consumer shows where its dead letters go, which is part of its configuration", async (harness) => {
    const { store } = harness;
    await makeWorker(store, twice);
    expect(await stateOf(store)).toMatchObject({ deadLetter: letters });
    expect(await store.putConsumer(orders, worker, configOf(twice))).toMatchObject({ status: "same" });
    const other = { ...twice, deadLetter: subjectOf("dead.others") };
    expect(await store.putConsumer(orders, worker, configOf(other))).toMatchObject({ status: "differs" });
    const without = { ...twice, deadLetter: undefined };
    expect(await store.putConsumer(orders, worker, configOf(without))).toMatchObject({ status: "differs" });
    await harness.reopen();
    expect(await stateOf(harness.store)).toMatchObject({ deadLetter: letters });
    await harness.store.putConsumer(orders, nameOf("plain"), configOf(without));
    expect((await harness.store.consumer(orders, nameOf("plain")))?.deadLetter).toBeUndefined();
  });

  test("a nack on the last delivery is one, with the last reason that was given", async ({ store }) => {
    const headers = { kind: "order", [deadLetterHeaders.error]: "of another life" };
    const entry = entryOf(orders, { headers, object: "segment/2", offset: 5, length: 50, storedLength: 40 });
    const timestampMs = timeOf(await publishOne(store, entry));
    await publish(store, orders, 2, { headers: { kind: "order" } });
    await makeWorker(store, twice);
    await pull(store);
    expect(await blame(store, [1, 2, 3], "first")).toEqual({ status: "nacked", redeliver: 3 });
    expect(await lettersIn(store)).toEqual([]);
    await pull(store);
    expect(await blame(store, [1], "second")).toEqual({ status: "nacked", redeliver: 0 });
    expect(await blame(store, [2])).toEqual({ status: "nacked", redeliver: 0 });
    const found = await lettersIn(store);
    expect(found[0]).toMatchObject({
      subject: letters,
      sequence: 1,
      headers: {
        kind: "order",
        "dead-letter-reason": "max_deliver",
        "dead-letter-consumer": worker,
        "dead-letter-subject": orders,
        "dead-letter-sequence": "1",
        "dead-letter-timestamp": String(timestampMs),
        "dead-letter-deliveries": "2",
        "dead-letter-error": "second",
      },
      body: { object: "segment/2", offset: 5, length: 50, sha256: digestOf(1), storedLength: 40 },
    });
    expect(found[1]?.headers).toMatchObject({ "dead-letter-sequence": "2", "dead-letter-error": "first" });
    expect(found).toHaveLength(2);
    // It is settled where it was, and stays there.
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, pending: 1, ackPending: 1 });
    expect(sequencesOf(await store.range(orders, 1, everything))).toEqual([1, 2, 3]);
  });

  test("without a reason there is no header of one, whatever the message came with", async ({ store }) => {
    await publishOne(store, entryOf(orders, { headers: { [deadLetterHeaders.error]: "of another life" } }));
    await makeWorker(store, once);
    await pull(store);
    await nack(store, [1]);
    const [headers] = await headersIn(store);
    expect(Object.keys(headers ?? {}).toSorted()).toEqual([
      "dead-letter-consumer",
      "dead-letter-deliveries",
      "dead-letter-reason",
      "dead-letter-sequence",
      "dead-letter-subject",
      "dead-letter-timestamp",
    ]);
  });

  timed("a lease that runs out on the last delivery is one, at the next pull", async (harness, advance) => {
    const { store } = harness;
    await publish(store, orders, 3);
    await makeWorker(store, twice);
    await pull(store);
    await blame(store, [1], "slow");
    await advance(1000);
    await pull(store);
    await advance(999);
    await pull(store);
    expect(await lettersIn(store)).toEqual([]);
    await ack(store, [3]);
    await advance(1);
    expect(await pull(store)).toMatchObject({ ackedThrough: 3, envelopes: [] });
    await harness.reopen();
    expect(await headersIn(harness.store)).toMatchObject([
      { "dead-letter-sequence": "1", "dead-letter-deliveries": "2", "dead-letter-error": "slow" },
      { "dead-letter-sequence": "2", "dead-letter-deliveries": "2" },
    ]);
    expect(await stateOf(harness.store)).toMatchObject({ ackedThrough: 3, pending: 0, ackPending: 0 });
  });

  timed("so it is when anybody looks at the consumer, acknowledges or gives back", async ({ store }, advance) => {
    await publish(store, orders, 3);
    await makeWorker(store, once);
    const steps = [() => stateOf(store), () => ack(store, [2]), () => nack(store, [3])];
    for (const [index, step] of steps.entries()) {
      await pull(store, { limit: 1 });
      await advance(1000);
      await step();
      expect(await originsIn(store)).toEqual([1, 2, 3].slice(0, index + 1));
    }
  });

  timed("a sweep gives up what nobody asks for any more", async ({ store }, advance) => {
    await publish(store, orders, 2);
    await makeWorker(store, once);
    await pull(store);
    await store.expire(undefined, 100);
    expect(await lettersIn(store)).toEqual([]);
    await advance(1000);
    const heard = await hearing(store);
    await store.expire(undefined, 100);
    expect(await originsIn(store)).toEqual([1, 2]);
    expect(await heard()).toEqual([{ subject: letters, first: 1, last: 2 }]);
    await store.expire(undefined, 100);
    expect(await lettersIn(store)).toHaveLength(2);
  });

  test("who listens is told of them", async ({ store }) => {
    await publish(store, orders, 2);
    await makeWorker(store, once);
    await pull(store);
    const heard = await hearing(store);
    await nack(store, [1, 2]);
    expect(await heard()).toEqual([{ subject: letters, first: 1, last: 2 }]);
  });

  timed("what was acknowledged, or is not stored any more, is none", async ({ store }, advance) => {
    await publish(store, orders, 3);
    await publish(store, orders, 2, { ttlMs: 500 });
    await makeWorker(store, once);
    await pull(store);
    await ack(store, [2]);
    await store.purge(orders, 1);
    await advance(1000);
    await stateOf(store);
    expect(await originsIn(store)).toEqual([3]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 5, pending: 0, ackPending: 0 });
  });

  test("what is acknowledged as it is handed out never is one", async ({ store }) => {
    await publish(store, orders, 2);
    await makeWorker(store, once);
    await pull(store, { autoAck: true });
    expect(await nack(store, [1, 2])).toEqual({ status: "nacked", redeliver: 0 });
    expect(await lettersIn(store)).toEqual([]);
  });

  test("its body is needed as long as either of the two is there", async ({ store }) => {
    await publishOne(store, entryOf(orders));
    await makeWorker(store, once);
    await pull(store);
    await nack(store, [1]);
    await publishOne(store, entryOf(orders, { object: "segment/2" }));
    await store.purge(orders, 2);
    while ((await store.countDead()) === 0) await turn();
    expect(await store.referenced(["segment/1", "segment/2"])).toEqual([true, false]);
    await store.purge(letters, 1);
    while ((await store.countDead()) === 1) await turn();
    expect(await store.referenced(["segment/1"])).toEqual([false]);
  });
};

const roomCases = ({ timed, case: test }: Cases): void => {
  timed("one that its subject has no room for stays held until there is room", async ({ store }, advance) => {
    await store.putPolicy(filterOf("dead.>"), { ...keepEverything, maxMessages: 1, discard: "new" });
    await publish(store, orders, 3);
    await makeWorker(store, once);
    await pull(store);
    expect(await nack(store, [1, 2])).toEqual({ status: "nacked", redeliver: 0 });
    expect(await originsIn(store)).toEqual([1]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 1, pending: 2, ackPending: 2 });
    await advance(1000);
    // Both are overdue now, and neither comes again.
    const page = await pull(store);
    expect(page).toMatchObject({ envelopes: [], ackedThrough: 1 });
    expect(page.nextDueInMs).toBeGreaterThan(0);
    await store.purge(letters, 1);
    await advance(page.nextDueInMs ?? 0);
    await stateOf(store);
    expect(await originsIn(store)).toEqual([2]);
    expect(await stateOf(store)).toMatchObject({ ackedThrough: 2, pending: 1, ackPending: 1 });
    // It can be settled meanwhile.
    expect(await ack(store, [3])).toMatchObject({ status: "acked", ackedThrough: 3, moved: true });
    await store.purge(letters, 2);
    await advance(60_000);
    await stateOf(store);
    expect(await lettersIn(store)).toEqual([]);
  });

  test("they make room like any other message", async ({ store }) => {
    await store.putPolicy(filterOf("dead.>"), { ...keepEverything, maxMessages: 2 });
    await publish(store, orders, 4);
    await makeWorker(store, once);
    await pull(store);
    await nack(store, [1, 2, 3, 4]);
    expect(await originsIn(store)).toEqual([3, 4]);
    expect(await store.heads([letters])).toEqual([{ firstSequence: 3, lastSequence: 4 }]);
  });
};

const redriveCases = ({ case: test }: Cases): void => {
  /** Publishes messages that `worker` has given up. */
  const bury = async (store: MetadataStore, count: number): Promise<void> => {
    await publish(store, orders, count, { headers: { kind: "order" } });
    await makeWorker(store, once);
    const { envelopes } = await pull(store);
    await nack(
      store,
      envelopes.map(({ sequence }) => sequence),
    );
  };
  const redrive = (store: MetadataStore, from = 1, limit = 1000) =>
    store.redrive({ subject: orders, consumer: worker, from, limit });

  test("sends them back without what marks them, the oldest first", async (harness) => {
    const { store } = harness;
    await bury(store, 3);
    const heard = await hearing(store);
    expect(await redrive(store)).toEqual({ redriven: 3, next: undefined });
    expect(await heard()).toEqual([{ subject: orders, first: 4, last: 6 }]);
    await harness.reopen();
    const { head, envelopes } = await harness.store.range(orders, 4, everything);
    expect(head).toEqual({ firstSequence: 1, lastSequence: 6 });
    expect(envelopes.map(({ headers, body }) => [headers, body.offset])).toEqual([
      [{ kind: "order" }, 0],
      [{ kind: "order" }, 1],
      [{ kind: "order" }, 2],
    ]);
    expect(await harness.store.heads([letters])).toEqual([{ firstSequence: 4, lastSequence: 3 }]);
    expect(await redrive(harness.store)).toEqual({ redriven: 0, next: undefined });
    expect(sequencesOf(await pull(harness.store))).toEqual([4, 5, 6]);
  });

  test("as many as asked for, and goes on behind them", async ({ store }) => {
    await bury(store, 5);
    expect(await redrive(store, 1, 2)).toEqual({ redriven: 2, next: 3 });
    expect(await originsIn(store)).toEqual([3, 4, 5]);
    expect(await redrive(store, 4, 1)).toEqual({ redriven: 1, next: 5 });
    expect(await originsIn(store)).toEqual([3, 5]);
    expect(await store.subject(letters)).toMatchObject({ messages: 2, bytes: 20, firstSequence: 3, lastSequence: 5 });
    expect(await redrive(store, 5, 1)).toEqual({ redriven: 1, next: undefined });
    expect(await originsIn(store)).toEqual([3]);
  });

  test("only those of the consumer, past those of others", async ({ store }) => {
    await bury(store, 2);
    const other = nameOf("other");
    await store.putConsumer(orders, other, configOf(once));
    await store.pull({ subject: orders, consumer: other, ...everything, autoAck: false, create: false });
    await store.nack([{ subject: orders, consumer: other, sequences: [1, 2], delayMs: 0 }]);
    await publish(store, letters, 1);
    expect(await store.redrive({ subject: orders, consumer: other, from: 1, limit: 1 })).toEqual({
      redriven: 1,
      next: 4,
    });
    expect(sequencesOf(await store.range(letters, 1, everything))).toEqual([1, 2, 4, 5]);
    expect(await redrive(store)).toEqual({ redriven: 2, next: undefined });
    expect(sequencesOf(await store.range(letters, 1, everything))).toEqual([4, 5]);
  });

  test("looks at a thousand at once", async ({ store }) => {
    await publish(store, letters, 1500);
    await bury(store, 1);
    expect(await redrive(store)).toEqual({ redriven: 0, next: 1001 });
    expect(await redrive(store, 1001)).toEqual({ redriven: 1, next: undefined });
    expect(await store.subject(letters)).toMatchObject({ messages: 1500, lastSequence: 1501 });
  });

  test("keeps the body, and what was sent back can be given up again", async ({ store }) => {
    await bury(store, 1);
    await redrive(store);
    await store.purge(orders, 1);
    expect(await store.referenced(["segment/1"])).toEqual([true]);
    await pull(store);
    await nack(store, [2]);
    expect(await originsIn(store)).toEqual([2]);
    expect(await store.referenced(["segment/1"])).toEqual([true]);
  });

  test("what its subject has no room for stays a dead letter", async ({ store }) => {
    await bury(store, 3);
    await store.putPolicy(filterOf("orders.>"), { ...keepEverything, maxMessages: 4, discard: "new" });
    expect(await redrive(store)).toEqual({ redriven: 1, next: undefined });
    expect(await originsIn(store)).toEqual([2, 3]);
  });

  test("is refused to who has none", async ({ store }) => {
    await publish(store, orders, 1);
    expect(await refusalOf(redrive(store))).toBe("consumer_not_found");
    await makeWorker(store);
    expect(await refusalOf(redrive(store))).toBe("no_dead_letters");
    await store.putConsumer(orders, nameOf("other"), configOf(once));
    const none = await store.redrive({ subject: orders, consumer: nameOf("other"), from: 1, limit: 10 });
    expect(none).toEqual({ redriven: 0, next: undefined });
  });
};

export const deadLetterCases = (cases: Cases): void => {
  giveUpCases(cases);
  roomCases(cases);
  redriveCases(cases);
};
