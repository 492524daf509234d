/**
 * Consumers that acknowledge everything through a sequence (`ack: "all"`), and what holds for every consumer.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectError, sequencesOf, textsOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const patientMs = 25_000;

/** Publishes `count` messages whose bodies are their sequences. */
export const fill = async (context: CaseContext, subject: string, count: number, first = 1): Promise<void> => {
  await context.client().publishBatch(upTo(count, first).map((index) => ({ subject, body: `${index}` })));
};

const defineFetching = (context: CaseContext): void => {
  test("a fetch makes an unknown consumer that starts at the first message", async () => {
    const subject = uniqueSubject("made");
    await fill(context, subject, 3);
    const page = await context.client().fetch(subject, "c");
    expect(textsOf(page.messages)).toEqual(["1", "2", "3"]);
    expect(page.messages.map((message) => message.deliveries)).toEqual([1, 1, 1]);
    expect(page).toMatchObject({ firstSequence: 1, lastSequence: 3 });
    expect(await context.admin().consumer(subject, "c")).toMatchObject({
      name: "c",
      subject,
      ack: "all",
      ackedThrough: 0,
      deliveredThrough: 3,
      pending: 3,
    });
  });

  test("the same comes again until it is acknowledged", async () => {
    const subject = uniqueSubject("again");
    const client = context.client();
    await fill(context, subject, 4);
    const fetched = async (limit?: number): Promise<number[]> =>
      sequencesOf((await client.fetch(subject, "c", limit === undefined ? {} : { limit })).messages);
    expect(await fetched(2)).toEqual([1, 2]);
    expect(await fetched(3)).toEqual([1, 2, 3]);
    expect(await client.ack(subject, "c", { sequence: 2 })).toEqual({ ackedThrough: 2, moved: true });
    expect(await fetched()).toEqual([3, 4]);
    expect(await client.ack(subject, "c", { sequence: 4 })).toEqual({ ackedThrough: 4, moved: true });
    expect(await fetched()).toEqual([]);
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 4, pending: 0 });
  });

  test("a message that was handed out before says so", async () => {
    const subject = uniqueSubject("again");
    await fill(context, subject, 1);
    const [first] = (await context.client().fetch(subject, "c")).messages;
    const [second] = (await context.client().fetch(subject, "c")).messages;
    expect(first?.deliveries).toBe(1);
    expect(second?.deliveries).toBeGreaterThan(1);
  });

  test("auto_ack acknowledges what it answers", async () => {
    const subject = uniqueSubject("auto");
    const client = context.client();
    await fill(context, subject, 3);
    expect(sequencesOf((await client.fetch(subject, "c", { limit: 2, autoAck: true })).messages)).toEqual([1, 2]);
    expect((await context.admin().consumer(subject, "c")).ackedThrough).toBe(2);
    expect(sequencesOf((await client.fetch(subject, "c", { autoAck: true })).messages)).toEqual([3]);
    expect((await client.fetch(subject, "c", { autoAck: true })).messages).toEqual([]);
  });

  test("consumers of one subject are independent", async () => {
    const subject = uniqueSubject("two");
    const client = context.client();
    await fill(context, subject, 2);
    await client.fetch(subject, "one", { autoAck: true });
    expect(sequencesOf((await client.fetch(subject, "two")).messages)).toEqual([1, 2]);
    expect((await context.admin().consumers(subject)).map((consumer) => consumer.name)).toEqual(["one", "two"]);
  });

  test("a waiting fetch is answered by the publish", async () => {
    const subject = uniqueSubject("poll");
    const other = await context.open();
    const waiting = context.client().fetch(subject, "c", { waitMs: patientMs });
    await other.read(subject);
    await other.publish({ subject, body: "hello" });
    expect(textsOf((await waiting).messages)).toEqual(["hello"]);
  });

  test("a fetch that waits in vain answers an empty page", async () => {
    const subject = uniqueSubject("poll");
    const page = await context.client().fetch(subject, "c", { waitMs: 30 });
    expect(page).toMatchObject({ messages: [], firstSequence: 1, lastSequence: 0, nextSequence: 1 });
  });

  test("max_bytes bounds a fetch, and one message always comes", async () => {
    const subject = uniqueSubject("bytes");
    await context.client().publishBatch(upTo(3).map(() => ({ subject, body: "x".repeat(1000) })));
    expect(sequencesOf((await context.client().fetch(subject, "c", { bodyBytesMax: 2000 })).messages)).toEqual([1, 2]);
    expect(sequencesOf((await context.client().fetch(subject, "c", { bodyBytesMax: 1 })).messages)).toEqual([1]);
  });

  test("a consumer goes on behind what was deleted", async () => {
    const subject = uniqueSubject("purged");
    await fill(context, subject, 4);
    await context.client().fetch(subject, "c", { limit: 1, autoAck: true });
    await context.admin().purge(subject, 3);
    expect(sequencesOf((await context.client().fetch(subject, "c")).messages)).toEqual([4]);
    expect((await context.admin().consumer(subject, "c")).pending).toBe(1);
  });
};

const defineAcking = (context: CaseContext): void => {
  test("an acknowledgement never moves backwards", async () => {
    const subject = uniqueSubject("back");
    const client = context.client();
    await fill(context, subject, 3);
    await client.fetch(subject, "c");
    await client.ack(subject, "c", { sequence: 3 });
    for (const sequence of [3, 2, 0]) {
      expect(await client.ack(subject, "c", { sequence })).toEqual({ ackedThrough: 3, moved: false });
    }
    expect((await client.fetch(subject, "c")).messages).toEqual([]);
  });

  test("an acknowledgement beyond the last sequence is refused", async () => {
    const subject = uniqueSubject("beyond");
    const client = context.client();
    await fill(context, subject, 2);
    await client.fetch(subject, "c");
    await expectError(client.ack(subject, "c", { sequence: 3 }), "sequence_out_of_range");
    await expectError(client.ack(subject, "c", { sequence: 2 ** 31 - 1 }), "sequence_out_of_range");
    expect((await context.admin().consumer(subject, "c")).ackedThrough).toBe(0);
  });

  test("what only explicit consumers can do is refused", async () => {
    const subject = uniqueSubject("mode");
    const client = context.client();
    await fill(context, subject, 2);
    await client.fetch(subject, "c");
    await expectError(client.ack(subject, "c", { sequences: [1] }), "wrong_ack_mode");
    await expectError(client.nack(subject, "c", [1]), "wrong_ack_mode");
  });

  test("an unknown consumer cannot acknowledge", async () => {
    const subject = uniqueSubject("nobody");
    await fill(context, subject, 1);
    await expectError(context.client().ack(subject, "nobody", { sequence: 1 }), "consumer_not_found");
    await expectError(context.client().nack(subject, "nobody", [1]), "consumer_not_found");
  });

  test("two clients of one consumer read the same", async () => {
    const subject = uniqueSubject("shared");
    const other = await context.open();
    await fill(context, subject, 2);
    expect(sequencesOf((await context.client().fetch(subject, "c")).messages)).toEqual([1, 2]);
    expect(sequencesOf((await other.fetch(subject, "c")).messages)).toEqual([1, 2]);
    await other.ack(subject, "c", { sequence: 2 });
    expect((await context.client().fetch(subject, "c")).messages).toEqual([]);
  });
};

const defineStart = (context: CaseContext): void => {
  test("a consumer starts where it was told to", async () => {
    const subject = uniqueSubject("start");
    const admin = context.admin();
    await fill(context, subject, 4);
    await admin.putConsumer(subject, "first", {});
    await admin.putConsumer(subject, "third", { start: 3 });
    await admin.putConsumer(subject, "new", { start: "new" });
    await admin.putConsumer(subject, "time", { start: "1970-01-01T00:00:00Z" });
    await admin.putConsumer(subject, "explicit", { start: 4, ack: "explicit" });
    await fill(context, subject, 1, 5);
    const fetched = async (name: string): Promise<number[]> =>
      sequencesOf((await context.client().fetch(subject, name)).messages);
    expect(await fetched("first")).toEqual([1, 2, 3, 4, 5]);
    expect(await fetched("third")).toEqual([3, 4, 5]);
    expect(await fetched("new")).toEqual([5]);
    expect(await fetched("time")).toEqual([1, 2, 3, 4, 5]);
    expect(await fetched("explicit")).toEqual([4, 5]);
    expect(await admin.consumer(subject, "third")).toMatchObject({ ackedThrough: 2, pending: 3 });
  });

  test("a consumer may be there before its subject", async () => {
    const subject = uniqueSubject("early");
    const reply = await context.admin().putConsumer(subject, "c", { ack: "explicit" });
    expect(reply).toMatchObject({ created: true, name: "c", subject, ack: "explicit", ackedThrough: 0, pending: 0 });
    await fill(context, subject, 1);
    expect(sequencesOf((await context.client().fetch(subject, "c")).messages)).toEqual([1]);
  });

  test("names of consumers have 1 to 255 bytes of the subject characters", async () => {
    const subject = uniqueSubject("names");
    await fill(context, subject, 1);
    for (const name of ["a b", "a*", ">", "a\u0000", "e\u0301", "x".repeat(256), "ж".repeat(128), "$x"]) {
      await expectError(context.client().fetch(subject, name), "invalid_consumer");
    }
    for (const name of ["x".repeat(255), "группа/1", "a.b", "a@b:c"]) {
      expect(sequencesOf((await context.client().fetch(subject, name)).messages)).toEqual([1]);
      expect((await context.admin().consumer(subject, name)).name).toBe(name);
    }
  });

  test("peek shows what a fetch would and changes nothing", async () => {
    const subject = uniqueSubject("peek");
    const admin = context.admin();
    await fill(context, subject, 3);
    for (const ack of ["all", "explicit"] as const) {
      const before = await admin.putConsumer(subject, ack, { ack });
      expect(sequencesOf((await admin.peek(subject, ack)).messages)).toEqual([1, 2, 3]);
      expect(sequencesOf((await admin.peek(subject, ack, 2)).messages)).toEqual([1, 2]);
      expect({ ...(await admin.consumer(subject, ack)), created: true }).toEqual(before);
      const [message] = (await context.client().fetch(subject, ack, { limit: 1 })).messages;
      expect(message).toMatchObject({ sequence: 1, deliveries: 1 });
    }
    await expectError(admin.consumer(subject, "unknown"), "consumer_not_found");
  });

  test("a deleted consumer is gone and may be made anew", async () => {
    const subject = uniqueSubject("deleted");
    const admin = context.admin();
    await fill(context, subject, 2);
    await context.client().fetch(subject, "c", { autoAck: true });
    expect(await admin.deleteConsumer(subject, "c")).toMatchObject({ name: "c", ackedThrough: 2 });
    await expectError(admin.consumer(subject, "c"), "consumer_not_found");
    await expectError(context.client().ack(subject, "c", { sequence: 1 }), "consumer_not_found");
    expect(sequencesOf((await context.client().fetch(subject, "c")).messages)).toEqual([1, 2]);
  });
};

/** The group. */
export const defineConsumersAll = (context: CaseContext): void => {
  describe("consumers", () => {
    defineFetching(context);
    defineAcking(context);
    defineStart(context);
  });
};
