/**
 * What happens to messages by time and by their consumers, through a broker over real stores: times to live, delays,
 * acknowledgements that somebody waits for, dead letters that are sent back.
 */
import { describe, expect, test } from "bun:test";
import { StreamError } from "../core/errors.ts";
import { type ConsumerConfig, deadLetterHeaders, isScheduled, type ScheduledReceipt } from "../core/message.ts";
import { keepEverything } from "../core/policy.ts";
import { parseConsumerName, parseFilter, parseSubject } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import {
  type BrokerRig,
  CollectingSink,
  draftOf,
  publishAll,
  startBrokerRig,
  stored,
  subscribeTo,
  textOf,
} from "../testing/broker-rig.ts";
import { withReplaced } from "../testing/faults/seams.ts";

const orders = parseSubject("orders");
const worker = parseConsumerName("worker");

/** Lets everything run that needs no clock. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const explicit = (more: Partial<ConsumerConfig> = {}): ConsumerConfig => ({
  ...{ start: { kind: "first" }, ack: "explicit", ackWaitMs: 30_000, maxDeliver: 0, maxAckPending: 100 },
  ...more,
});

const fetchRequest = (limit = 100) => ({
  ...{ subject: orders, consumer: worker, limit, bodyBytesMax: 1024 * 1024, waitMs: 0, autoAck: false },
});

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "ok",
    (thrown: unknown) => (thrown instanceof StreamError ? thrown.code : thrown),
  );

describe("time to live", () => {
  test("what is over is not pushed from memory either, and the rest is", async () => {
    await using rig = await startBrokerRig();
    const sink = new CollectingSink();
    const subscription = await subscribeTo(rig, "orders", sink, { credit: 0 });
    await publishAll(rig, [
      draftOf("orders", "short", { ttlMs: 1000 }),
      draftOf("orders", "stays"),
      draftOf("orders", "long", { ttlMs: 5000 }),
    ]);
    await settled();
    const heldBytes = rig.broker.gauges().tailBytes;
    rig.clock.advance(1000);
    subscription.credit(100);
    expect(textOf(await sink.count(2))).toEqual(["stays", "long"]);
    expect(textOf(await stored(rig, "orders"))).toEqual(["stays", "long"]);
    expect(sink.pushed.map(({ expiresAtMs, timestampMs }) => (expiresAtMs ?? 0) - timestampMs)).toEqual([
      -(sink.pushed[0]?.timestampMs ?? 0),
      5000,
    ]);
    // Nor is it kept in memory.
    expect(rig.broker.gauges().tailBytes).toBeLessThan(heldBytes);
    rig.clock.advance(4000);
    rig.clock.advance(60_000);
    expect(textOf(await stored(rig, "orders"))).toEqual(["stays"]);
    expect(await codeOf(rig.broker.message(orders, 1))).toBe("message_expired");
  });

  test("a subscription does not look for ever for a last message that is gone", async () => {
    let reads = 0;
    await using rig = await startBrokerRig({
      wrapMetadata: (inner) =>
        withReplaced<MetadataStore>(inner, {
          range: (...request) => {
            reads++;
            return inner.range(...request);
          },
        }),
    });
    const sink = new CollectingSink();
    await publishAll(rig, [draftOf("orders", "stays"), draftOf("orders", "goes", { ttlMs: 10 })]);
    const subscription = await subscribeTo(rig, "orders", sink, { credit: 0, from: { kind: "first" } });
    rig.clock.advance(10);
    subscription.credit(100);
    await sink.count(1);
    await settled();
    expect(reads).toBeLessThan(5);
    await publishAll(rig, [draftOf("orders", "next")]);
    expect(textOf(await sink.count(2))).toEqual(["stays", "next"]);
    const from = { kind: "sequence", sequence: 2 } as const;
    const request = { subject: orders, from, limit: 1, bodyBytesMax: 100, waitMs: 0 };
    expect(await rig.broker.read(request)).toMatchObject({ nextSequence: 4, messages: [{ sequence: 3 }] });
  });

  test("it is pushed while it lasts", async () => {
    await using rig = await startBrokerRig();
    const sink = new CollectingSink();
    await subscribeTo(rig, "*", sink);
    await publishAll(rig, [draftOf("orders", "short", { ttlMs: 1 })]);
    expect(textOf(await sink.count(1))).toEqual(["short"]);
  });
});

describe("delays", () => {
  const schedule = async ({ broker }: BrokerRig, more: Parameters<typeof draftOf>[2]): Promise<ScheduledReceipt> => {
    const [outcome] = await broker.publish([draftOf("orders", "later", more)]);
    if (outcome === undefined || outcome instanceof StreamError || !isScheduled(outcome)) {
      throw new Error(`It was not put aside: ${JSON.stringify(outcome)}`);
    }
    return outcome;
  };

  test("a delayed message comes when it is due, to whoever waits for it", async () => {
    await using rig = await startBrokerRig();
    const sink = new CollectingSink();
    await subscribeTo(rig, ">", sink);
    const poll = rig.broker.read({
      ...{ subject: orders, from: { kind: "first" }, limit: 10, bodyBytesMax: 1000, waitMs: 60_000 },
    });
    const receipt = await schedule(rig, { deliverAt: { inMs: 700 }, messageId: "a", ttlMs: 1000 });
    expect(receipt).toMatchObject({ subject: orders, dueAtMs: rig.clock.nowMs + 700, duplicate: false });
    expect(await schedule(rig, { deliverAt: { inMs: 900 }, messageId: "a" })).toMatchObject({
      scheduleId: receipt.scheduleId,
      duplicate: true,
    });
    await settled();
    rig.clock.advance(699);
    await settled();
    expect(sink.pushed).toEqual([]);
    rig.clock.advance(1);
    const [pushed] = await sink.count(1);
    expect(pushed).toMatchObject({ sequence: 1, timestampMs: receipt.dueAtMs, expiresAtMs: receipt.dueAtMs + 1000 });
    expect(textOf((await poll).messages)).toEqual(["later"]);
  });

  test("an earlier one is not kept waiting by a later one, a past one not at all", async () => {
    await using rig = await startBrokerRig();
    const sink = new CollectingSink();
    await subscribeTo(rig, "orders", sink);
    await schedule(rig, { deliverAt: { inMs: 3_600_000 } });
    await settled();
    await schedule(rig, { deliverAt: { atMs: rig.clock.nowMs + 10 } });
    await publishAll(rig, [draftOf("orders", "now", { deliverAt: { atMs: rig.clock.nowMs - 1 } })]);
    expect(textOf(await sink.count(1))).toEqual(["now"]);
    await settled();
    rig.clock.advance(10);
    expect(textOf(await sink.count(2))).toEqual(["now", "later"]);
    // Many in a row, in the order in which they are due.
    for (const inMs of [500, 300, 400]) {
      await rig.broker.publish([draftOf("orders", String(inMs), { deliverAt: { inMs } })]);
    }
    await settled();
    rig.clock.advance(1000);
    expect(textOf((await sink.count(5)).slice(2))).toEqual(["300", "400", "500"]);
    for (let hours = 0; hours < 3600; hours += 60) {
      rig.clock.advance(60_000);
      await settled();
    }
    expect((await sink.count(6)).at(-1)?.sequence).toBe(6);
  });

  test("a subscription to everything hears what was committed before, and then what was due", async () => {
    await using rig = await startBrokerRig();
    const sink = new CollectingSink();
    await subscribeTo(rig, ">", sink);
    for (let round = 0; round < 50; round++) {
      await rig.broker.publish([draftOf(`s.${round}`, "delayed", { deliverAt: { inMs: 1 } })]);
      const publishing = rig.broker.publish([draftOf(`s.${round}`, "a"), draftOf(`s.${round}`, "b")]);
      rig.clock.advance(1);
      await publishing;
    }
    rig.clock.advance(1000);
    const pushed = await sink.count(150);
    for (let round = 0; round < 50; round++) {
      const own = pushed.filter(({ subject }) => subject === `s.${round}`);
      expect(own.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    }
  });
});

describe("acknowledgements that are waited for", () => {
  test("an acknowledgement wakes whoever waits for it", async () => {
    await using rig = await startBrokerRig();
    const { broker } = rig;
    await publishAll(rig, [draftOf("orders", "a"), draftOf("orders", "b")]);
    await broker.putConsumer(orders, worker, explicit());
    await broker.fetch(fetchRequest());
    const waiting = broker.awaitReceipts({ subject: orders, sequence: 2, acked: "all" }, 60_000);
    await settled();
    await broker.ack(orders, worker, { sequences: [2] });
    expect(await waiting).toEqual({
      ...{ subject: orders, sequence: 2, released: false, recipientsTotal: 1, acked: 1 },
      recipients: [{ name: worker, status: "acked" }],
    });
    expect(await broker.receipts(orders, 1)).toMatchObject({ acked: 0, recipients: [{ status: "pending" }] });
  });

  test("a fetch that acknowledges wakes them, too; nobody there is nobody who has", async () => {
    await using rig = await startBrokerRig();
    await publishAll(rig, [draftOf("orders", "a")]);
    const waiting = rig.broker.awaitReceipts({ subject: orders, sequence: 1, acked: "all" }, 60_000);
    await settled();
    await rig.broker.fetch({ ...fetchRequest(), autoAck: true });
    expect(await waiting).toMatchObject({ acked: 1, recipientsTotal: 1 });
  });

  test("the time, the signal and the end of the server end it", async () => {
    await using rig = await startBrokerRig();
    const { broker, clock } = rig;
    await publishAll(rig, [draftOf("orders", "a")]);
    const ask = { subject: orders, sequence: 1, acked: 2 } as const;
    expect(await broker.awaitReceipts(ask, 0)).toMatchObject({ acked: 0, recipientsTotal: 0, recipients: [] });
    const timed = broker.awaitReceipts(ask, 1500);
    await settled();
    clock.advance(1000);
    await settled();
    clock.advance(500);
    expect(await timed).toMatchObject({ acked: 0 });
    const client = new AbortController();
    const aborted = broker.awaitReceipts(ask, 60_000, client.signal);
    await settled();
    client.abort();
    expect(await aborted).toMatchObject({ acked: 0 });
    const last = broker.awaitReceipts(ask, 60_000);
    await settled();
    await broker.drain();
    expect(await last).toMatchObject({ acked: 0 });
  });

  test("a message that all its recipients acknowledged is gone, and that counts", async () => {
    await using rig = await startBrokerRig();
    const { broker } = rig;
    const policy = { ...keepEverything, retain: "acked", recipients: [worker] } as const;
    await broker.putPolicy(parseFilter("orders"), policy);
    await publishAll(rig, [draftOf("orders", "a"), draftOf("orders", "b")]);
    const waiting = broker.awaitReceipts({ subject: orders, sequence: 2, acked: "all" }, 60_000);
    await broker.putConsumer(orders, worker, explicit());
    await broker.fetch(fetchRequest());
    await broker.ack(orders, worker, { sequences: [2] });
    expect(await waiting).toMatchObject({ released: true });
    expect(textOf(await stored(rig, "orders"))).toEqual(["a"]);
  });

  test("many who wait look now and then, and all are answered", async () => {
    let looks = 0;
    await using rig = await startBrokerRig({
      wrapMetadata: (inner) =>
        withReplaced<MetadataStore>(inner, {
          receipts: (...request) => {
            looks++;
            return inner.receipts(...request);
          },
        }),
    });
    const { broker, clock } = rig;
    const count = 100;
    const sequences = Array.from({ length: count }, (_, index) => index + 1);
    await publishAll(
      rig,
      sequences.map((sequence) => draftOf("orders", String(sequence))),
    );
    await broker.putConsumer(orders, worker, explicit());
    await broker.fetch(fetchRequest());
    const waiting = sequences.map((sequence) => broker.awaitReceipts({ subject: orders, sequence, acked: 1 }, 60_000));
    await settled();
    for (const sequence of sequences) await broker.ack(orders, worker, { sequences: [sequence] });
    // All of them looked when they came, and no one looks for each acknowledgement.
    expect(looks).toBe(count);
    clock.advance(25);
    expect((await Promise.all(waiting)).every(({ acked }) => acked === 1)).toBe(true);
    expect(looks).toBe(2 * count);
  });

  test("what was never published cannot be waited for", async () => {
    await using rig = await startBrokerRig();
    for (const sequence of [0, 1]) {
      expect(await codeOf(rig.broker.receipts(orders, sequence))).toBe("message_not_found");
      expect(await codeOf(rig.broker.awaitReceipts({ subject: orders, sequence, acked: 1 }, 60_000))).toBe(
        "message_not_found",
      );
    }
  });
});

describe("dead letters", () => {
  const dead = parseSubject("dead");

  /** A subject whose messages were all given up. */
  const withLetters = async (count: number): Promise<BrokerRig> => {
    const rig = await startBrokerRig();
    const { broker } = rig;
    await broker.putConsumer(orders, worker, explicit({ maxDeliver: 1, deadLetter: dead }));
    await publishAll(
      rig,
      Array.from({ length: count }, (_, index) => draftOf("orders", `m${index + 1}`)),
    );
    const { messages } = await broker.fetch(fetchRequest());
    const sequences = messages.map(({ sequence }) => sequence);
    await broker.nack(orders, worker, sequences, 0, "does not parse");
    return rig;
  };

  test("they are pushed to whoever follows them, with the reason", async () => {
    await using rig = await startBrokerRig();
    const sink = new CollectingSink();
    await subscribeTo(rig, "dead", sink);
    await rig.broker.putConsumer(orders, worker, explicit({ maxDeliver: 1, deadLetter: dead }));
    await publishAll(rig, [draftOf("orders", "bad", { headers: { kind: "x" } })]);
    await rig.broker.fetch(fetchRequest());
    await rig.broker.nack(orders, worker, [1], 0, "does not parse");
    const [letter] = await sink.count(1);
    expect(textOf(sink.pushed)).toEqual(["bad"]);
    expect(letter?.headers).toMatchObject({
      kind: "x",
      [deadLetterHeaders.consumer]: worker,
      [deadLetterHeaders.subject]: orders,
      [deadLetterHeaders.sequence]: "1",
      [deadLetterHeaders.error]: "does not parse",
    });
  });

  test("they are sent back, no more than asked for, and pushed again", async () => {
    await using rig = await withLetters(5);
    const sink = new CollectingSink();
    await subscribeTo(rig, "orders", sink);
    const request = { subject: orders, consumer: worker, perSecond: Number.POSITIVE_INFINITY };
    expect(await rig.broker.redrive({ ...request, limit: 2 })).toEqual({ redriven: 2, more: true });
    expect(textOf(await sink.count(2))).toEqual(["m1", "m2"]);
    expect(sink.pushed.map(({ sequence, headers }) => [sequence, headers])).toEqual([
      [6, {}],
      [7, {}],
    ]);
    expect(await rig.broker.redrive({ ...request, limit: 100 })).toEqual({ redriven: 3, more: false });
    expect(await stored(rig, "dead")).toEqual([]);
    const again = await rig.broker.fetch(fetchRequest());
    expect(again.messages.map(({ sequence, deliveries }) => [sequence, deliveries])).toEqual(
      [6, 7, 8, 9, 10].map((sequence) => [sequence, 1]),
    );
  });

  test("at a rate: the first at once, the others as time passes, and not beyond a minute", async () => {
    await using rig = await withLetters(5);
    const request = { subject: orders, consumer: worker, limit: 100, perSecond: 10 };
    const running = rig.broker.redrive(request);
    await settled();
    expect(await stored(rig, "orders")).toHaveLength(6);
    rig.clock.advance(100);
    await settled();
    expect(await stored(rig, "orders")).toHaveLength(7);
    rig.clock.advance(200);
    await settled();
    expect(await stored(rig, "orders")).toHaveLength(9);
    for (let ms = 0; ms < 1000; ms += 50) {
      rig.clock.advance(50);
      await settled();
    }
    expect(await running).toEqual({ redriven: 5, more: false });

    await using slow = await withLetters(5);
    const crawling = slow.broker.redrive({ ...request, perSecond: 0.02 });
    for (let ms = 0; ms <= 60_000; ms += 5000) {
      await settled();
      slow.clock.advance(5000);
    }
    expect(await crawling).toEqual({ redriven: 2, more: true });
  });

  test("a client that goes ends it", async () => {
    await using rig = await withLetters(5);
    const client = new AbortController();
    const running = rig.broker.redrive({ subject: orders, consumer: worker, limit: 100, perSecond: 1 }, client.signal);
    await settled();
    client.abort();
    expect(await running).toEqual({ redriven: 1, more: true });
  });

  test("a consumer without them, and none at all", async () => {
    await using rig = await startBrokerRig();
    const request = { subject: orders, consumer: worker, limit: 1, perSecond: 1 };
    expect(await codeOf(rig.broker.redrive(request))).toBe("consumer_not_found");
    await rig.broker.putConsumer(orders, worker, explicit());
    expect(await codeOf(rig.broker.redrive(request))).toBe("no_dead_letters");
  });
});
