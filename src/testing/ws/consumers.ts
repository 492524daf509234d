/**
 * Subscriptions under a consumer's name.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { ClientError } from "../client.ts";
import { expectError, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { WsClient, WsSubscription } from "../ws-client.ts";
import type { WsGroup } from "./group.ts";

const deliveriesOf = (subscription: WsSubscription): [number, number | undefined][] =>
  subscription.messages.map((message) => [message.sequence, message.deliveries]);

const defineAll = ({ open, fill, admin }: WsGroup): void => {
  test("a subscription resumes after acked_through; from is ignored", async () => {
    const subject = uniqueSubject("all");
    await admin().putConsumer(subject, "c", {});
    await fill(subject, 5);
    const first = await open();
    const subscription = await first.subscribe(subject, { consumer: "c", from: "new" });
    await subscription.count(5);
    expect(subscription.sequences()).toEqual(upTo(5));
    expect(await first.ack(subject, "c", { sequence: 3 })).toEqual({ ackedThrough: 3, moved: true });
    await fill(subject, 2, 6);
    await subscription.count(7);
    expect(subscription.sequences()).toEqual(upTo(7));
    await first.close();
    const second = await open("mts.json.v1");
    const resumed = await second.subscribe(subject, { consumer: "c", from: 1 });
    await resumed.count(4);
    expect(resumed.sequences()).toEqual([4, 5, 6, 7]);
    const wildcard: unknown = await second
      .subscribe(`${subject}.*`, { consumer: "c" })
      .catch((error: unknown) => error);
    expect(wildcard).toBeInstanceOf(ClientError);
  });
};

const defineExplicit = ({ open, fill, admin }: WsGroup): void => {
  /** Acknowledges whatever comes. */
  const ackAll = (client: WsClient, subject: string, subscription: WsSubscription): (() => Promise<void>) => {
    let acked = 0;
    return async () => {
      const sequences = subscription.sequences().slice(acked);
      acked += sequences.length;
      if (sequences.length > 0) await client.ack(subject, "c", { sequences });
    };
  };

  test("sockets and fetches share the leases", async () => {
    const subject = uniqueSubject("shared");
    await admin().putConsumer(subject, "c", { ack: "explicit" });
    const clients = [await open(), await open("mts.json.v1")];
    const subscriptions = await Promise.all(clients.map((client) => client.subscribe(subject, { consumer: "c" })));
    const total = 200;
    const fetched: number[] = [];
    for (let first = 1; first <= total; first += 20) {
      await fill(subject, 20, first);
      fetched.push(...(await admin().fetch(subject, "c", { limit: 3 })).messages.map((message) => message.sequence));
    }
    const received = (): number[] => [...fetched, ...subscriptions.flatMap((subscription) => subscription.sequences())];
    await Promise.race([
      ...subscriptions.map((subscription) => subscription.conditions.until(() => received().length >= total)),
    ]);
    expect(received().toSorted((a, b) => a - b)).toEqual(upTo(total));
    for (const [index, client] of clients.entries()) {
      const subscription = subscriptions[index];
      if (subscription !== undefined) await ackAll(client, subject, subscription)();
    }
    if (fetched.length > 0) await admin().ack(subject, "c", { sequences: fetched });
    expect(await admin().consumer(subject, "c")).toMatchObject({ ackedThrough: total, pending: 0, ackPending: 0 });
  });

  test("what is not acknowledged in time is pushed again with one more delivery", async () => {
    const subject = uniqueSubject("again");
    await admin().putConsumer(subject, "c", { ack: "explicit", ack_wait_ms: 80 });
    await fill(subject, 2);
    const client = await open();
    const subscription = await client.subscribe(subject, { consumer: "c" });
    await subscription.count(2);
    await client.ack(subject, "c", { sequences: [2] });
    await subscription.count(4);
    const ones = deliveriesOf(subscription).filter(([sequence]) => sequence === 1);
    expect(ones.slice(0, 3)).toEqual(ones.slice(0, 3).map((_, index) => [1, index + 1]));
    expect(ones.length).toBeGreaterThan(1);
  });

  test("a nacked message is pushed again, and other sockets may get it", async () => {
    const subject = uniqueSubject("nack");
    await admin().putConsumer(subject, "c", { ack: "explicit" });
    await fill(subject, 1);
    const client = await open();
    const subscription = await client.subscribe(subject, { consumer: "c" });
    await subscription.count(1);
    expect(await client.nack(subject, "c", [1])).toBe(1);
    await subscription.count(2);
    expect(deliveriesOf(subscription)).toEqual([
      [1, 1],
      [1, 2],
    ]);
    await client.unsubscribe(subscription);
    const other = await open("mts.json.v1");
    const second = await other.subscribe(subject, { consumer: "c" });
    expect(await client.nack(subject, "c", [1], 20)).toBe(1);
    await second.count(1);
    expect(deliveriesOf(second)).toEqual([[1, 3]]);
  });

  test("the leases of a socket that has gone run out and pass on", async () => {
    const subject = uniqueSubject("gone");
    await admin().putConsumer(subject, "c", { ack: "explicit", ack_wait_ms: 300 });
    await fill(subject, 3);
    const gone = await open();
    await (await gone.subscribe(subject, { consumer: "c" })).count(3);
    await gone.close();
    const client = await open();
    const subscription = await client.subscribe(subject, { consumer: "c" });
    const acknowledge = ackAll(client, subject, subscription);
    while ((await admin().consumer(subject, "c")).ackedThrough < 3) await acknowledge();
    expect(new Set(subscription.sequences())).toEqual(new Set([1, 2, 3]));
    for (const [, deliveries] of deliveriesOf(subscription)) expect(deliveries).toBeGreaterThanOrEqual(2);
  });

  test("max_ack_pending pauses the pushes, acks let them go on", async () => {
    const subject = uniqueSubject("pending");
    await admin().putConsumer(subject, "c", { ack: "explicit", max_ack_pending: 4 });
    await fill(subject, 12);
    const client = await open();
    const subscription = await client.subscribe(subject, { consumer: "c" });
    for (const done of [4, 8, 12]) {
      await subscription.count(done);
      await client.ping();
      expect(subscription.sequences()).toEqual(upTo(done));
      await client.ack(subject, "c", { sequences: upTo(4, done - 3) });
    }
  });

  test("credit bounds the leases that are taken", async () => {
    const subject = uniqueSubject("credit");
    await admin().putConsumer(subject, "c", { ack: "explicit" });
    await fill(subject, 10);
    const client = await open();
    const subscription = await client.subscribe(subject, { consumer: "c", credit: 2 });
    await subscription.count(2);
    expect((await admin().fetch(subject, "c")).messages.map((message) => message.sequence)).toEqual(upTo(8, 3));
    client.credit(subscription, 5);
    await admin().nack(subject, "c", [5]);
    await subscription.count(3);
    expect(deliveriesOf(subscription).at(-1)).toEqual([5, 2]);
  });

  test("unsubscribing ends the leasing", async () => {
    const subject = uniqueSubject("end");
    await admin().putConsumer(subject, "c", { ack: "explicit" });
    const client = await open();
    const subscription = await client.subscribe(subject, { consumer: "c" });
    await client.unsubscribe(subscription);
    await fill(subject, 3);
    expect((await client.fetch(subject, "c")).messages.map((message) => message.sequence)).toEqual([1, 2, 3]);
    expect(subscription.messages).toEqual([]);
  });
};

const defineDeletion = ({ open, fill, admin }: WsGroup): void => {
  test.each(["all", "explicit"] as const)(
    "deleting a consumer (%s) ends its subscriptions, and nothing else",
    async (ack) => {
      const subject = uniqueSubject("deleted");
      await admin().putConsumer(subject, "c", { ack });
      const clients = [await open(), await open("mts.json.v1")];
      const subscriptions = await Promise.all(clients.map((client) => client.subscribe(subject, { consumer: "c" })));
      const plain = await clients[0]?.subscribe(subject);
      await admin().deleteConsumer(subject, "c");
      for (const subscription of subscriptions) {
        await subscription.conditions.until(() => subscription.errors.length > 0);
        expect(subscription.errors.map((error) => error.code)).toEqual(["consumer_not_found"]);
      }
      await fill(subject, 3);
      await plain?.count(3);
      for (const client of clients) await client.ping();
      expect(subscriptions.map((subscription) => subscription.messages.length)).toEqual([0, 0]);
      await expectError(admin().consumer(subject, "c"), "consumer_not_found");
    },
  );
};

/** The group. */
export const defineWsConsumers = (group: WsGroup): void => {
  describe("consumers", () => {
    defineAll(group);
    defineExplicit(group);
    defineDeletion(group);
  });
};
