/**
 * Requests and their errors: ids, concurrency, order, what is wrong inside a readable frame.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { packMsgpack, parseError, unpackMsgpack } from "../client.ts";
import { expectError, sequencesOf, textsOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import type { WsGroup } from "./group.ts";

const defineIds = ({ open, admin }: WsGroup): void => {
  test.each(["mts.msgpack.v1", "mts.json.v1"] as const)("an id comes back as it was sent (%s)", async (protocol) => {
    const client = await open(protocol);
    for (const id of [
      "a",
      "",
      "ж☃",
      "1",
      0,
      1,
      -1,
      -129,
      255,
      65_536,
      2 ** 31,
      2 ** 32,
      2 ** 40,
      Number.MAX_SAFE_INTEGER,
    ]) {
      const pong = await client.request({ op: "ping" }, id);
      expect(pong.fields["id"]).toBe(id);
    }
  });

  test("ids of another type are refused, and answered without them", async () => {
    const client = await open();
    for (const id of [1.5, true, null, [1], { a: 1 }, new Uint8Array(2)]) {
      const before = client.stray.length;
      client.send({ op: "ping", id });
      await client.until(() => client.stray.length > before);
      const frame = client.stray.at(-1);
      expect([id, frame?.fields["op"], frame?.has("id")]).toEqual([id, "error", false]);
    }
  });

  test("a ping without id is a pong without id", async () => {
    const client = await open();
    client.send({ op: "ping" });
    await client.until(() => client.stray.length > 0);
    expect(client.stray.map((frame) => frame.fields)).toEqual([{ op: "pong" }]);
  });

  test("an ack without id acknowledges and is not answered", async () => {
    const client = await open();
    const subject = uniqueSubject("ack");
    await client.publish({ subject, body: "x" });
    await client.fetch(subject, "c");
    client.send({ op: "ack", subject, consumer: "c", sequence: 1 });
    while ((await admin().consumer(subject, "c")).ackedThrough === 0) await client.ping();
    await client.ping();
    expect(client.stray).toEqual([]);
  });

  test("an ack without id that fails is an error without id", async () => {
    const client = await open();
    client.send({ op: "ack", subject: uniqueSubject("ack"), consumer: "nobody", sequence: 1 });
    await client.until(() => client.stray.length > 0);
    expect(client.stray[0]?.fields).toMatchObject({ op: "error", code: "consumer_not_found", retryable: false });
    expect(client.stray[0]?.has("id")).toBe(false);
  });

  test("an op that needs an id is refused without one", async () => {
    const client = await open();
    const subject = uniqueSubject("noid");
    const frames = [
      { op: "publish", subject, data: new Uint8Array(1) },
      { op: "publish_batch", messages: [{ subject, data: new Uint8Array(1) }] },
      { op: "subscribe", filter: subject },
      { op: "fetch", subject },
    ];
    for (const [index, frame] of frames.entries()) {
      client.send(frame);
      await client.until(() => client.stray.length > index);
      parseError(client.stray[index]?.fields, "error");
    }
    expect((await client.read(subject)).lastSequence).toBe(0);
  });
};

const defineErrors = ({ open }: WsGroup): void => {
  const subject = "errors.s";
  const data = new Uint8Array(1);
  const rows: readonly (readonly [frame: Record<string, unknown>, code: string | undefined])[] = [
    [{ op: "nonsense" }, "unknown_op"],
    [{ op: "__proto__" }, "unknown_op"],
    [{ op: "toString" }, "unknown_op"],
    [{ op: "welcome" }, "unknown_op"],
    [{ op: 1 }, undefined],
    [{}, undefined],
    [{ op: "publish", subject: "a b", data }, "invalid_subject"],
    [{ op: "publish", subject: 1, data }, "invalid_subject"],
    [{ op: "publish", subject }, undefined],
    [{ op: "publish", subject, data: 1 }, undefined],
    [{ op: "publish", subject, data, extra: 1 }, "unknown_field"],
    [{ op: "publish", subject, data, headers: { a: 1 } }, "invalid_header"],
    [{ op: "publish", subject, data, headers: [] }, undefined],
    [{ op: "publish", subject, data, message_id: "x".repeat(129) }, "invalid_message_id"],
    [{ op: "publish", subject, data, expected_last_sequence: "0" }, undefined],
    [{ op: "publish", subject, data, expected_last_sequence: -1 }, undefined],
    [{ op: "publish_batch", messages: {} }, undefined],
    [{ op: "publish_batch", messages: upTo(10_001).map(() => ({ subject, data })) }, "too_many_messages"],
    [{ op: "publish", subject, data, ttl_ms: 0 }, "invalid_parameter"],
    [{ op: "publish", subject, data, ttl_ms: "1" }, "invalid_parameter"],
    [{ op: "publish", subject, data, delay_ms: -1 }, "invalid_parameter"],
    [{ op: "publish", subject, data, deliver_at: "tomorrow" }, "invalid_parameter"],
    [{ op: "publish", subject, data, wait: "all" }, "invalid_parameter"],
    [{ op: "publish", subject, data, wait: true }, "invalid_parameter"],
    [{ op: "publish", subject, data, wait: "acked", wait_ms: 60_001 }, "invalid_parameter"],
    [{ op: "publish", subject, data, wait_ms: -1 }, "invalid_parameter"],
    [{ op: "publish", subject, data, wait: "acked", delay_ms: 0 }, "invalid_parameter"],
    [{ op: "publish", subject, data, deliver: "body" }, "unknown_field"],
    [{ op: "fetch", subject, deliver: "bytes" }, "invalid_parameter"],
    [{ op: "fetch", subject, deliver: null }, "invalid_parameter"],
    [{ op: "subscribe", filter: subject, deliver: "bytes" }, "invalid_parameter"],
    [{ op: "nack", subject, consumer: "nobody", sequences: [1], error: 5 }, "invalid_parameter"],
    [{ op: "nack", subject, consumer: "nobody", sequences: [1], error: "x".repeat(1025) }, "invalid_parameter"],
    [{ op: "ack", subject, consumer: "nobody", sequence: 1, error: "x" }, "unknown_field"],
    [{ op: "fetch", subject, limit: 0 }, "invalid_parameter"],
    [{ op: "fetch", subject, limit: 10_001 }, "invalid_parameter"],
    [{ op: "fetch", subject, wait_ms: 60_001 }, "invalid_parameter"],
    [{ op: "fetch", subject, from: "x" }, "invalid_parameter"],
    [{ op: "fetch", subject, Limit: 1 }, "unknown_field"],
    [{ op: "fetch", subject: ">" }, "invalid_subject"],
    [{ op: "fetch", subject, consumer: "a b" }, "invalid_consumer"],
    [{ op: "subscribe", filter: "a..b" }, "invalid_filter"],
    [{ op: "subscribe", filter: "a.>.b" }, "invalid_filter"],
    [{ op: "subscribe", filter: subject, from: "x" }, "invalid_parameter"],
    [{ op: "subscribe", filter: subject, mode: "x" }, "invalid_parameter"],
    [{ op: "subscribe", filter: subject, credit: -2 }, "invalid_parameter"],
    [{ op: "subscribe", filter: subject, credit: 1.5 }, "invalid_parameter"],
    [{ op: "subscribe", filter: "errors.*", consumer: "c" }, undefined],
    [{ op: "subscribe", filter: subject, extra: 1 }, "unknown_field"],
    [{ op: "ack", subject, consumer: "nobody", sequence: 1 }, "consumer_not_found"],
    [{ op: "ack", subject, consumer: "nobody" }, undefined],
    [{ op: "ack", subject, consumer: "nobody", sequence: 1, sequences: [1] }, undefined],
    [{ op: "nack", subject, consumer: "nobody", sequences: [1] }, "consumer_not_found"],
    [{ op: "nack", subject, consumer: "nobody" }, undefined],
    [{ op: "unsubscribe", sid: 999 }, "subscription_not_found"],
  ];
  test("what is wrong inside a readable frame is an error with the id, and the connection goes on", async () => {
    const client = await open();
    for (const [frame, code] of rows) {
      const error: unknown = await client.request(frame).then(
        (reply) => reply.fields,
        (thrown: unknown) => thrown,
      );
      const { code: actual } = error as { code?: string };
      const shown = JSON.stringify(frame).slice(0, 120);
      expect([shown, typeof actual, code ?? actual]).toEqual([shown, "string", actual ?? "no error"]);
    }
    await client.ping();
    expect((await client.read(subject)).lastSequence).toBe(0);
  });

  test("a value that is no map is an error, not the end", async () => {
    const client = await open();
    for (const [index, value] of [1, "ping", null, [], ["op", "ping"]].entries()) {
      client.sendRaw(packMsgpack(value));
      await client.until(() => client.stray.length > index);
      expect(client.stray[index]?.fields["op"]).toBe("error");
    }
    const json = await open("mts.json.v1");
    for (const [index, value] of ["123", '"ping"', "null", "[]", "true"].entries()) {
      json.sendRaw(value);
      await json.until(() => json.stray.length > index);
      expect(json.stray[index]?.fields["op"]).toBe("error");
    }
    await json.ping();
  });

  test("credit for an unknown subscription is ignored", async () => {
    const client = await open();
    client.send({ op: "credit", sid: 999, messages: 5 });
    await client.ping();
    expect(client.stray).toEqual([]);
  });

  test("wrong_last_sequence carries the last sequence", async () => {
    const client = await open();
    const error = await expectError(
      client.publish({ subject: uniqueSubject("cas"), body: "x", expectedLastSequence: 3 }),
      "wrong_last_sequence",
    );
    expect(error.fields["last_sequence"]).toBe(0);
  });
};

const defineConcurrency = ({ open, openRaw }: WsGroup): void => {
  test("a waiting fetch blocks nothing", async () => {
    const client = await open();
    const subject = uniqueSubject("wait");
    const waiting = client.read(subject, { from: 1, waitMs: 60_000 });
    const underName = client.fetch(subject, "c", { waitMs: 60_000 });
    await client.ping();
    expect((await client.read(subject)).messages).toEqual([]);
    await client.publish({ subject, body: "x" });
    expect(textsOf((await waiting).messages)).toEqual(["x"]);
    expect(textsOf((await underName).messages)).toEqual(["x"]);
  });

  test.each(["mts.msgpack.v1", "mts.json.v1"] as const)(
    "5,000 publishes without waiting are committed in the order sent (%s)",
    async (protocol) => {
      const client = await open(protocol);
      const subject = uniqueSubject("pipeline");
      const receipts = await Promise.all(upTo(5000).map((index) => client.publish({ subject, body: `${index}` })));
      expect(receipts.map((receipt) => receipt.sequence)).toEqual(upTo(5000));
      const page = await client.read(subject, { limit: 10_000 });
      expect(textsOf(page.messages)).toEqual(upTo(5000).map(String));
    },
  );

  test("single publishes, batches and large bodies of one connection keep their order", async () => {
    const client = await open();
    const subject = uniqueSubject("order");
    const sent: string[] = [];
    const replies: Promise<unknown>[] = [];
    for (const round of upTo(30)) {
      const large = `${round} ${"x".repeat(round % 5 === 0 ? 300 * 1024 : 10)}`;
      sent.push(large, `${round} a`, `${round} b`);
      replies.push(client.publish({ subject, body: large }));
      replies.push(client.publishBatch([`${round} a`, `${round} b`].map((body) => ({ subject, body }))));
    }
    await Promise.all(replies);
    const page = await client.read(subject, { limit: 1000 });
    expect(page.messages.length).toBe(sent.length);
    expect(textsOf(page.messages).map((text) => text.slice(0, 20))).toEqual(sent.map((text) => text.slice(0, 20)));
  });

  test("subjects do not wait for each other, and every reply finds its request", async () => {
    const client = await open();
    const subjects = upTo(20).map(() => uniqueSubject("many"));
    const receipts = await Promise.all(
      upTo(10).flatMap(() => subjects.map((subject) => client.publish({ subject, body: "x" }))),
    );
    for (const subject of subjects) {
      expect(sequencesOf(receipts.filter((receipt) => receipt.subject === subject))).toEqual(upTo(10));
    }
  });

  test("a frame in pieces is one frame", async () => {
    const raw = await openRaw();
    await raw.nextMessage();
    const frame = packMsgpack({ op: "ping", id: "pieces" });
    raw.send(frame.slice(0, 3), 2, false);
    raw.send(frame.slice(3, 5), 0, false);
    raw.send(frame.slice(5), 0, true);
    const pong = new WireMap(unpackMsgpack((await raw.nextMessage()) ?? new Uint8Array(), "pong"), "pong");
    expect(pong.fields).toEqual({ op: "pong", id: "pieces" });
  });

  test("a connection that goes away while it waits takes no lease", async () => {
    const [gone, client] = [await openRaw(), await open()];
    const subject = uniqueSubject("gone");
    await gone.nextMessage();
    gone.send(packMsgpack({ op: "fetch", id: 1, subject, consumer: "c", wait_ms: 60_000 }));
    gone.send(packMsgpack({ op: "ping", id: 2 }));
    await gone.nextMessage();
    gone.socket.destroy("reset");
    await gone.socket.closed;
    await client.ping();
    await client.ping();
    await client.publish({ subject, body: "x" });
    expect((await client.fetch(subject, "c")).messages).toMatchObject([{ sequence: 1, deliveries: 1 }]);
  });
};

const defineJson = ({ openRaw, admin }: WsGroup): void => {
  test("mts.json.v1 writes messages as maps with the HTTP field names", async () => {
    const raw = await openRaw("mts.json.v1");
    const subject = uniqueSubject("json");
    await admin().publish({ subject, body: "text", headers: { a: "b" } });
    const next = async (): Promise<WireMap> =>
      new WireMap(JSON.parse((await raw.nextMessage())?.toString("utf8") ?? "null"), "frame");
    expect((await next()).string("op")).toBe("welcome");
    raw.send(JSON.stringify({ op: "subscribe", id: "s", filter: subject, from: "first" }));
    const subscribed = await next();
    expect(subscribed.fields).toMatchObject({ op: "subscribed", id: "s", filter: subject });
    const push = await next();
    expect(push.fields["sid"]).toBe(subscribed.fields["sid"]);
    const message = new WireMap(push.list("messages")[0], "message");
    expect(message.fields).toMatchObject({
      subject,
      sequence: 1,
      headers: { a: "b" },
      data_base64: Buffer.from("text").toString("base64"),
      deliveries: 1,
    });
    message.integer("timestamp", 1);
    raw.send(JSON.stringify({ op: "fetch", id: 7, subject }));
    const reply = await next();
    expect(reply.fields).toMatchObject({
      op: "messages",
      id: 7,
      first_sequence: 1,
      last_sequence: 1,
      next_sequence: 2,
    });
    expect(Object.keys(new WireMap(reply.list("messages")[0], "message").fields).sort()).toEqual(
      Object.keys(message.fields).sort(),
    );
  });

  test("mts.msgpack.v1 writes messages as tuples", async () => {
    const raw = await openRaw();
    const subject = uniqueSubject("tuple");
    await admin().publish({ subject, body: Uint8Array.of(1, 2), headers: { a: "b" } });
    const next = async (): Promise<WireMap> =>
      new WireMap(unpackMsgpack((await raw.nextMessage()) ?? new Uint8Array(), "frame"), "frame");
    await next();
    raw.send(packMsgpack({ op: "subscribe", id: "s", filter: subject, from: "first" }));
    await next();
    const [tuple] = (await next()).list("messages") as unknown[][];
    expect(tuple?.slice(0, 2)).toEqual([subject, 1]);
    expect(tuple?.slice(3)).toEqual([{ a: "b" }, Buffer.from([1, 2]), 1]);
  });
};

/** The group. */
export const defineRequests = (group: WsGroup): void => {
  describe("requests", () => {
    defineIds(group);
    defineErrors(group);
    defineConcurrency(group);
    defineJson(group);
  });
};
