/**
 * What the SDK knows of the life of a body: messages that go by themselves or are committed later, pointers, decoded
 * bodies, dead letters.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { uniqueSubject, useTestServer } from "../testing/server.ts";
import { connect, type Message, type Mts, MtsError } from "./index.ts";

const hourMs = 3_600_000;
const server = useTestServer();
let mts: Mts;
beforeAll(() => {
  mts = connect(server().url);
});
afterAll(() => mts.close());

const bodyOf = async ({ pointer }: Message): Promise<Uint8Array> => {
  if (pointer === undefined) throw new Error("there is no pointer");
  const response = await fetch(new URL(pointer.url, server().url), { headers: pointer.headers });
  return new Uint8Array(await response.arrayBuffer());
};

describe("publish", () => {
  test("later: the answer says when, and it comes then", async () => {
    const subject = uniqueSubject("sdk.later");
    const subscription = mts.subscribe(subject);
    await subscription.ready;
    const at = new Date(Date.now() + hourMs);
    for (const options of [
      { delayMs: hourMs },
      { deliverAt: at },
      { deliverAt: +at },
      { deliverAt: at.toISOString() },
    ]) {
      const scheduled = await mts.publish(subject, "in an hour", options);
      if ("sequence" in scheduled) throw new Error("it was committed");
      expect(Object.keys(scheduled).sort()).toEqual(["deliverAt", "duplicate", "scheduledId", "subject"]);
      expect(scheduled).toMatchObject({ subject, duplicate: false });
      if ("deliverAt" in options) expect(scheduled.deliverAt).toBe(+at);
    }
    await mts.publish(subject, "soon", { delayMs: 50 });
    const { value } = await subscription.next();
    expect([value?.sequence, value?.text()]).toEqual([1, "soon"]);
    subscription.close();
  });

  test("many at once: each is answered in its own way", async () => {
    const subject = uniqueSubject("sdk.later");
    const results = await mts.publishBatch([
      { subject, body: "now" },
      { subject, body: "later", delayMs: hourMs, messageId: "id" },
      { subject, body: "later", delayMs: hourMs, messageId: "id" },
      { subject, body: "wrong", delayMs: hourMs, expectedLast: 0 },
      { subject, body: "past", deliverAt: 1000 },
    ]);
    expect(results).toMatchObject([
      { sequence: 1 },
      { scheduledId: expect.any(String) as string, duplicate: false },
      { scheduledId: expect.any(String) as string, duplicate: true },
      { code: "invalid_parameter" },
      { sequence: 2 },
    ]);
  });

  test("for a while: it is gone by itself", async () => {
    const subject = uniqueSubject("sdk.ttl");
    await mts.publish(subject, "short", { ttlMs: 20 });
    await mts.publish(subject, "long", { ttlMs: hourMs });
    for (;;) {
      const { messages } = await mts.fetch({ subject });
      if (messages.length === 2) continue;
      expect(messages.map((message) => message.text())).toEqual(["long"]);
      break;
    }
    const { value } = await mts.subscribe(subject, { from: "first", limit: 1 }).next();
    expect(value?.text()).toBe("long");
    expect(await mts.publish(subject, "x", { ttlMs: 0 }).catch((error: unknown) => error)).toMatchObject({
      code: "invalid_parameter",
    });
  });
});

describe("delivery", () => {
  test("pointers in place of bodies, however many there are", async () => {
    const subject = uniqueSubject("sdk.pointer");
    const body = crypto.getRandomValues(new Uint8Array(60_000));
    // A pointer costs no credit of bodies: with their lengths it would be used up.
    const subscription = mts.subscribe(subject, { deliver: "pointer", credit: 10 });
    await subscription.ready;
    await Promise.all(Array.from({ length: 100 }, () => mts.publish(subject, body, { headers: { a: "b" } })));
    let count = 0;
    for await (const message of subscription) {
      expect([message.sequence, message.data.length, message.headers]).toEqual([++count, 0, { a: "b" }]);
      expect(message.pointer).toMatchObject({ size: body.length, contentEncoding: null, format: "s3-pointer-v1" });
      if (count === 100) {
        expect(Buffer.from(await bodyOf(message)).equals(body)).toBe(true);
        break;
      }
    }
    const [fetched] = (await mts.fetch({ subject, consumer: "c", limit: 1, deliver: "pointer" })).messages;
    expect(fetched?.pointer?.expiresAt).toBeGreaterThan(Date.now());
    await fetched?.ack();
    expect((await mts.consumer(subject, "c")).ackedThrough).toBe(1);
    const [whole] = (await mts.fetch({ subject, limit: 1 })).messages;
    expect([whole?.pointer, whole?.data.length]).toEqual([undefined, body.length]);
  });

  test("decoded bodies", async () => {
    const subject = uniqueSubject("sdk.decoded");
    const subscription = mts.subscribe(`${subject}.*`, { deliver: "decoded", limit: 1 });
    await subscription.ready;
    await mts.publish(`${subject}.a`, Bun.gzipSync("text"), { headers: { "content-encoding": "gzip" } });
    const { value } = await subscription.next();
    expect([value?.text(), value?.headers]).toEqual(["text", {}]);
    const [fetched] = (await mts.fetch({ subject: `${subject}.a`, deliver: "decoded" })).messages;
    expect(fetched?.text()).toBe("text");
  });
});

describe("dead letters", () => {
  const prepare = async () => {
    const subject = uniqueSubject("sdk.work");
    const deadLetter = uniqueSubject("sdk.dead");
    const consumer = await mts.putConsumer(subject, "c", { ack: "explicit", maxDeliver: 1, deadLetter });
    expect(consumer.deadLetter).toBe(deadLetter);
    await Promise.all(["1", "2", "3", "4"].map((body) => mts.publish(subject, body)));
    return { subject, deadLetter };
  };
  const reasons = async (subject: string): Promise<readonly (string | undefined)[]> => {
    const { messages } = await mts.fetch({ subject });
    return messages
      .toSorted((a, b) => Number(a.headers["dead-letter-sequence"]) - Number(b.headers["dead-letter-sequence"]))
      .map(({ headers }) => headers["dead-letter-error"]);
  };

  test("a nack says why, each message its own reason", async () => {
    const { subject, deadLetter } = await prepare();
    const { messages } = await mts.fetch({ subject, consumer: "c" });
    const why = ["no stock", "no stock", undefined, "no price"];
    // Without awaiting: those with the same reason travel together, the others do not.
    await Promise.all(messages.map((message, index) => message.nack(0, why[index])));
    expect(await reasons(deadLetter)).toEqual(why);
  });

  test("by number too", async () => {
    const { subject, deadLetter } = await prepare();
    await mts.fetch({ subject, consumer: "c" });
    expect(await mts.nack(subject, "c", [1, 2, 3, 4], 0, { error: "все" })).toBe(0);
    expect(await reasons(deadLetter)).toEqual(Array.from({ length: 4 }, () => "все"));
    const error = await mts.nack(subject, "c", [1], 0, { error: "x".repeat(1025) }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MtsError);
  });
});
