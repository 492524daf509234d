/**
 * What the SDK does while nothing goes wrong with the connection.
 * @module
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { findBody, flipBit } from "../testing/faults/damage.ts";
import { uniqueSubject, useTestServer } from "../testing/server.ts";
import { connect, type Message, type Mts, MtsError, type Subscription } from "./index.ts";

const server = useTestServer();
let mts: Mts;
beforeAll(() => {
  mts = connect(server().url);
});
afterAll(() => mts.close());

/** The error that something is refused with. */
const refusal = async (work: Promise<unknown>): Promise<MtsError> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof MtsError) return error;
    throw error;
  }
  throw new Error("it was not refused");
};

const take = async (subscription: Subscription, count: number): Promise<readonly Message[]> => {
  const messages: Message[] = [];
  if (count === 0) return messages;
  for await (const message of subscription) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
};

describe("publish", () => {
  test("what is published is answered with its place and can be fetched", async () => {
    const subject = uniqueSubject("sdk.publish");
    const receipt = await mts.publish(subject, new Uint8Array([0, 255, 1]), { headers: { a: "b" } });
    expect(receipt).toEqual({ subject, sequence: 1, timestamp: receipt.timestamp, duplicate: false });
    const page = await mts.fetch({ subject });
    expect(page).toMatchObject({ subject, epoch: mts.epoch, firstSequence: 1, lastSequence: 1, nextSequence: 2 });
    const [message] = page.messages;
    expect(message).toMatchObject({ subject, sequence: 1, headers: { a: "b" }, deliveries: 1 });
    expect(message?.timestamp).toBe(receipt.timestamp);
    expect([...(message?.data ?? [])]).toEqual([0, 255, 1]);
  });

  test("a body is text, bytes or what JSON can say", async () => {
    const subject = uniqueSubject("sdk.body");
    const words = new Uint16Array([1, 2, 3]).subarray(1);
    await mts.publish(subject, "\ufeffgrün");
    await mts.publish(subject, words);
    await mts.publish(subject, words.slice().buffer);
    await mts.publish(subject, { celsius: 21 });
    await mts.publish(subject, [1], { headers: { "Content-Type": "application/x" } });
    const { messages } = await mts.fetch({ subject });
    expect(messages[0]?.text()).toBe("\ufeffgrün");
    expect(messages[0]?.headers).toEqual({});
    expect([...(messages[1]?.data ?? [])]).toEqual([2, 0, 3, 0]);
    expect(messages[2]?.data).toEqual(messages[1]?.data ?? new Uint8Array());
    expect(messages[3]?.json()).toEqual({ celsius: 21 });
    expect(messages[3]?.headers).toEqual({ "content-type": "application/json" });
    expect(messages[4]?.headers).toEqual({ "Content-Type": "application/x" });
    for (const body of [new Map(), new Blob(["x"]), "\ud800", (() => undefined) as unknown as object]) {
      expect((await refusal(mts.publish(subject, body))).code).toBe("invalid_parameter");
    }
  });

  test("errors have the server's code", async () => {
    const subject = uniqueSubject("sdk.errors");
    const invalid = await refusal(mts.publish("no subject", "x"));
    expect([invalid.code, invalid.retryable]).toEqual(["invalid_subject", false]);
    const wrong = await refusal(mts.publish(subject, "x", { expectedLast: 7 }));
    expect([wrong.code, wrong.fields["last_sequence"]]).toEqual(["wrong_last_sequence", 0]);
    expect((await refusal(mts.fetch({ subject, limit: 0 }))).code).toBe("invalid_parameter");
    expect((await refusal(take(mts.subscribe("a.>.b"), 1))).code).toBe("invalid_filter");
    expect(() => connect("ftp://x")).toThrow(MtsError);
  });

  test("a message id makes a second publish the first one", async () => {
    const subject = uniqueSubject("sdk.id");
    const first = await mts.publish(subject, "x", { messageId: "m" });
    expect(await mts.publish(subject, "y", { messageId: "m" })).toEqual({ ...first, duplicate: true });
  });

  test("many at once keep the order of each subject, one that is wrong spoils no other", async () => {
    const subject = uniqueSubject("sdk.many");
    const results = await mts.publishBatch(
      Array.from({ length: 3000 }, (_, i) => ({
        subject: i === 7 ? "not one" : `${subject}.${i % 3}`,
        body: String(i),
      })),
    );
    expect(results[7]).toBeInstanceOf(MtsError);
    for (const lane of [0, 1, 2]) {
      const numbers: number[] = [];
      for (let from = 1; ; ) {
        const page = await mts.fetch({ subject: `${subject}.${lane}`, from, limit: 10_000 });
        numbers.push(...page.messages.map((message) => Number(message.text())));
        if (page.nextSequence > page.lastSequence) break;
        from = page.nextSequence;
      }
      expect(numbers).toEqual(Array.from({ length: 1000 }, (_, i) => i * 3 + lane).filter((i) => i !== 7));
    }
  });

  test("the window holds back, and lets a message through that is larger than it", async () => {
    const subject = uniqueSubject("sdk.window");
    await using small = connect(server().url, { inFlightMax: 2, inFlightBytesMax: 1000 });
    const receipts = await Promise.all(
      [10, 5000, 10, 10, 900, 900].map((length) => small.publish(subject, new Uint8Array(length))),
    );
    expect(receipts.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("a large body goes through, one too large is refused and the connection stays", async () => {
    const subject = uniqueSubject("sdk.large");
    const body = new Uint8Array(3_000_000).map((_, i) => i % 251);
    expect((await mts.publish(subject, body)).sequence).toBe(1);
    const { messages } = await mts.fetch({ subject });
    expect(Buffer.compare(messages[0]?.data ?? new Uint8Array(), body)).toBe(0);
    const headers = { x: "y".repeat(100_000) };
    expect((await refusal(mts.publish(subject, "x", { headers }))).code).toBe("invalid_header");
  });
});

describe("subscribe", () => {
  test("what comes after ready comes, of every subject that matches", async () => {
    const subject = uniqueSubject("sdk.wild");
    await mts.publish(`${subject}.a`, "before");
    const subscription = mts.subscribe(`${subject}.*`);
    await subscription.ready;
    await Promise.all(["a", "b", "a"].map((lane) => mts.publish(`${subject}.${lane}`, lane)));
    const messages = await take(subscription, 3);
    expect(messages.map((message) => `${message.text()}${message.sequence}`).sort()).toEqual(["a2", "a3", "b1"]);
  });

  test.each([
    ["first", [1, 2, 3]],
    ["last", [3]],
    [2, [2, 3]],
    ["2", [2, 3]],
    ["1h", [1, 2, 3]],
    [new Date(0), [1, 2, 3]],
  ] as const)("from %p", async (from, sequences) => {
    const subject = uniqueSubject("sdk.from");
    await Promise.all([1, 2, 3].map((n) => mts.publish(`${subject}.x`, String(n))));
    for (const filter of [`${subject}.x`, `${subject}.>`]) {
      const messages = await take(mts.subscribe(filter, { from }), sequences.length);
      expect(messages.map(({ sequence }) => sequence)).toEqual([...sequences]);
    }
  });

  test("a slow reader holds no more than its credit", async () => {
    const subject = uniqueSubject("sdk.credit");
    await Promise.all(Array.from({ length: 100 }, (_, i) => mts.publish(subject, String(i))));
    for (const credit of [1, 2, 7]) {
      const messages = await take(mts.subscribe(subject, { from: "first", credit }), 100);
      expect(messages.map((message) => message.text())).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    }
  });

  test("a signal ends it with its reason, close without an error", async () => {
    const subject = uniqueSubject("sdk.end");
    const controller = new AbortController();
    const aborted = mts.subscribe(subject, { signal: controller.signal });
    const next = refusal(aborted.next());
    await aborted.ready;
    controller.abort("enough");
    expect(await next).toMatchObject({ code: "aborted", cause: "enough" });
    expect(await aborted.next()).toEqual({ done: true, value: undefined });
    const closed = mts.subscribe(subject);
    const end = closed.next();
    closed.close();
    expect(await end).toEqual({ done: true, value: undefined });
    expect((await refusal(mts.subscribe(subject, { signal: controller.signal }).ready)).code).toBe("aborted");
  });
});

describe("consumers", () => {
  test("an all consumer resumes after what was acknowledged", async () => {
    const subject = uniqueSubject("sdk.all");
    await Promise.all([1, 2, 3, 4].map((n) => mts.publish(subject, String(n))));
    const [, second] = await take(mts.subscribe(subject, { consumer: "c" }), 3);
    await second?.ack();
    const [third] = await take(mts.subscribe(subject, { consumer: "c" }), 1);
    expect(third?.sequence).toBe(3);
    expect((await refusal(third?.nack() ?? Promise.resolve())).code).toBe("wrong_ack_mode");
  });

  test("an explicit consumer shares its messages, and they come again when they are given back", async () => {
    const subject = uniqueSubject("sdk.explicit");
    await mts.putConsumer(subject, "c", { ack: "explicit", ackWaitMs: 60_000 });
    await Promise.all([1, 2, 3, 4].map((n) => mts.publish(subject, String(n))));
    const seen: string[] = [];
    for await (const message of mts.subscribe(subject, { consumer: "c" })) {
      seen.push(`${message.sequence}/${message.deliveries}`);
      if (message.sequence === 2 && message.deliveries === 1) await message.nack();
      else await message.ack();
      if (seen.length === 5) break;
    }
    expect(seen.sort()).toEqual(["1/1", "2/1", "2/2", "3/1", "4/1"]);
    expect(await mts.consumer(subject, "c")).toMatchObject({ ackedThrough: 4, pending: 0, ackPending: 0 });
  });

  test("leases that nobody took are given back when the loop is left", async () => {
    const subject = uniqueSubject("sdk.leases");
    await mts.putConsumer(subject, "c", { ack: "explicit", ackWaitMs: 60_000 });
    await Promise.all([1, 2, 3].map((n) => mts.publish(subject, String(n))));
    const [first] = await take(mts.subscribe(subject, { consumer: "c" }), 1);
    await first?.ack();
    const rest = await take(mts.subscribe(subject, { consumer: "c" }), 2);
    expect(rest.map(({ sequence }) => sequence)).toEqual([2, 3]);
  });

  test("fetch, ack and nack by number", async () => {
    const subject = uniqueSubject("sdk.fetch");
    await mts.putConsumer(subject, "c", { ack: "explicit", ackWaitMs: 60_000 });
    await Promise.all([1, 2, 3].map((n) => mts.publish(subject, String(n))));
    const { messages } = await mts.fetch({ subject, consumer: "c", limit: 2 });
    await Promise.all(messages.map((message) => message.ack()));
    expect((await mts.fetch({ subject, consumer: "c" })).messages).toHaveLength(1);
    expect(await mts.nack(subject, "c", [3])).toBe(1);
    expect((await mts.fetch({ subject, consumer: "c", waitMs: 5000 })).messages[0]?.deliveries).toBe(2);
    expect(await mts.ack(subject, "c", { sequences: [3] })).toEqual({ ackedThrough: 3, moved: true });
    expect((await mts.fetch({ subject, consumer: "auto", autoAck: true })).messages).toHaveLength(3);
    expect((await mts.fetch({ subject, consumer: "auto" })).messages).toHaveLength(0);
  });

  test("deleting it ends its subscriptions; a message without one cannot be acknowledged", async () => {
    const subject = uniqueSubject("sdk.deleted");
    const subscription = mts.subscribe(subject, { consumer: "c" });
    await subscription.ready;
    expect((await mts.deleteConsumer(subject, "c")).name).toBe("c");
    expect((await refusal(subscription.next())).code).toBe("consumer_not_found");
    await mts.publish(subject, "x");
    const [message] = (await mts.fetch({ subject })).messages;
    expect(() => message?.ack()).toThrow(MtsError);
  });
});

describe("the rest", () => {
  test("a message that is damaged on the disk is told of, and those around it come", async () => {
    const subject = uniqueSubject("sdk.damaged");
    const bodies = [1, 2, 3, 4].map((n) => `${subject} number ${n} ${"x".repeat(100)}`);
    for (const body of bodies) await mts.publish(subject, body);
    await flipBit(await findBody(join(server().dataDir, "bodies"), new TextEncoder().encode(bodies[1])));
    const page = await mts.fetch({ subject });
    expect(page.messages.map(({ sequence }) => sequence)).toEqual([1, 3, 4]);
    expect(page.damaged.map(({ code, fields }) => [code, fields["subject"], fields["sequence"]])).toEqual([
      ["data_loss", subject, 2],
    ]);
    const damaged: unknown[] = [];
    const onDamaged = (error: MtsError): unknown => damaged.push(error.fields["sequence"]);
    const messages = await take(mts.subscribe(subject, { from: "first", onDamaged }), 3);
    expect([messages.map(({ sequence }) => sequence), damaged]).toEqual([[1, 3, 4], [2]]);
    const error = await refusal(take(mts.subscribe(subject, { from: "first" }), 4));
    expect([error.code, error.fields["sequence"]]).toEqual(["data_loss", 2]);
  });

  test("notify tells what moved, once for what was not looked at", async () => {
    const subject = uniqueSubject("sdk.notify");
    await mts.publish(`${subject}.old`, "x");
    await using other = connect(server().url);
    const notifications = other.notify(`${subject}.>`);
    await notifications.ready;
    await mts.publish(`${subject}.a`, "1");
    await mts.publish(`${subject}.a`, "2");
    await mts.publish(`${subject}.b`, "1");
    const latest = new Map<string, number>();
    for await (const { subject: moved, sequence } of notifications) {
      expect(sequence).toBeGreaterThan(latest.get(moved) ?? 0);
      latest.set(moved, sequence);
      if (latest.get(`${subject}.a`) === 2 && latest.has(`${subject}.b`)) break;
    }
    expect(latest.has(`${subject}.old`)).toBe(false);
    expect((await mts.notify(`${subject}.old`, { from: "first" }).next()).value).toEqual({
      subject: `${subject}.old`,
      sequence: 1,
    });
  });

  test("a call ends with its signal or its time", async () => {
    const subject = uniqueSubject("sdk.time");
    expect(await refusal(mts.fetch({ subject, waitMs: 60_000, timeoutMs: 1 }))).toMatchObject({
      code: "timed_out",
      retryable: true,
    });
    const controller = new AbortController();
    const waiting = refusal(mts.fetch({ subject, waitMs: 60_000, signal: controller.signal }));
    const publishing = refusal(mts.publish(subject, "x", { signal: controller.signal }));
    controller.abort();
    expect((await waiting).code).toBe("aborted");
    expect((await publishing).code).toBe("aborted");
    expect(await mts.ping()).toBeGreaterThan(0);
  });

  test("close lets publishes and acknowledgements through that are under way, and refuses what comes", async () => {
    const subject = uniqueSubject("sdk.close");
    const closing = connect(server().url);
    const publishing = Promise.all(Array.from({ length: 500 }, (_, i) => closing.publish(subject, String(i))));
    const subscription = closing.subscribe(subject);
    await closing.close();
    expect(await publishing).toHaveLength(500);
    expect(await subscription.next()).toEqual({ done: true, value: undefined });
    expect((await refusal(closing.publish(subject, "x"))).code).toBe("closed");
    expect((await refusal(closing.fetch({ subject }))).code).toBe("closed");
    expect((await refusal(closing.subscribe(subject).next())).code).toBe("closed");
  });
});
