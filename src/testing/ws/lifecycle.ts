/**
 * What becomes of a body, in the words of the WebSocket: delays in frames and batches, publishes that wait, pointers and
 * decoded bodies in pushes under a consumer.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { parsePointer } from "../client.ts";
import { textsOf } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import type { WsGroup } from "./group.ts";

const hourMs = 3_600_000;
const protocols = ["mts.msgpack.v1", "mts.json.v1"] as const;

const definePublishing = ({ open, admin }: WsGroup): void => {
  test.each(protocols)("what is scheduled says so and nothing else (%s)", async (protocol) => {
    const client = await open(protocol);
    const subject = uniqueSubject("delay");
    const frame = { op: "publish", ...client.draftFrame({ subject, body: "x", messageId: "id" }), delay_ms: hourMs };
    const first = (await client.request(frame, "first")).fields;
    expect(first).toEqual({
      op: "published",
      id: "first",
      subject,
      scheduled_id: expect.any(String) as string,
      deliver_at: expect.any(Number) as number,
      duplicate: false,
    });
    expect((await client.request(frame, "again")).fields).toEqual({ ...first, id: "again", duplicate: true });
  });

  test.each(protocols)("a batch may hold both, and what is wrong spoils no other (%s)", async (protocol) => {
    const client = await open(protocol);
    const subject = uniqueSubject("delay");
    const draft = client.draftFrame({ subject, body: "x" });
    const at = new Date(Date.now() + hourMs).toISOString();
    const messages = [
      draft,
      { ...draft, deliver_at: at },
      { ...draft, delay_ms: 1, deliver_at: at },
      { ...draft, wait: "acked" },
      { ...draft, ttl_ms: hourMs },
    ];
    const results = (await client.request({ op: "publish_batch", messages })).list("results");
    expect(results).toMatchObject([
      { sequence: 1 },
      { scheduled_id: expect.any(String) as string, deliver_at: Date.parse(at) },
      { error: { code: "invalid_parameter", parameter: "deliver_at" } },
      { error: { code: "unknown_field", field: "wait" } },
      { sequence: 2 },
    ]);
  });

  test("a publish that waits blocks nothing, and ends with its connection", async () => {
    const [gone, client] = [await open(), await open()];
    const subject = uniqueSubject("wait");
    await admin().putConsumer(subject, "c", {});
    const waiting = gone.publishWaiting({ subject, body: "x" }, "acked", 60_000);
    waiting.catch(() => undefined);
    expect((await client.read(subject, { waitMs: 20_000 })).messages).toHaveLength(1);
    await gone.ping();
    expect((await gone.publish({ subject, body: "y" })).sequence).toBe(2);
    await gone.close();
    await client.ack(subject, "c", { sequence: 2 });
    await client.ping();
  });

  test.each(protocols)("the answer of a publish that waited (%s)", async (protocol) => {
    const client = await open(protocol);
    const subject = uniqueSubject("wait");
    const frame = { op: "publish", ...client.draftFrame({ subject, body: "x" }), wait: "acked:1", wait_ms: 0 };
    expect((await client.request(frame, "id")).fields).toEqual({
      op: "published",
      id: "id",
      subject,
      sequence: 1,
      timestamp: expect.any(Number) as number,
      duplicate: false,
      acked: 0,
      recipients_total: 0,
      acknowledged: false,
    });
  });
};

const defineDelivery = ({ open, openRaw, admin }: WsGroup): void => {
  test.each(protocols)("pushes under a consumer's name hold pointers, or decoded bodies (%s)", async (protocol) => {
    const client = await open(protocol);
    for (const ack of ["all", "explicit"] as const) {
      const subject = uniqueSubject("deliver");
      for (const name of ["p", "d"]) await admin().putConsumer(subject, name, { ack });
      const pointers = await client.subscribe(subject, { consumer: "p", deliver: "pointer" });
      const decoded = await client.subscribe(subject, { consumer: "d", deliver: "decoded" });
      const body = Bun.gzipSync("text");
      await client.publish({ subject, body, headers: { "content-encoding": "gzip" } });
      const [message] = await pointers.count(1);
      expect(message).toMatchObject({ sequence: 1, deliveries: 1, headers: { "content-encoding": "gzip" } });
      expect(message?.pointer).toMatchObject({ size: body.length, contentEncoding: "gzip" });
      expect(textsOf(await decoded.count(1))).toEqual(["text"]);
      expect(decoded.messages[0]?.headers).toEqual({});
      for (const name of ["p", "d"]) expect((await client.ack(subject, name, { sequence: 1 })).moved).toBe(true);
    }
  });

  test("pointers need credit as bodies do", async () => {
    const client = await open();
    const subject = uniqueSubject("deliver");
    const subscription = await client.subscribe(subject, { deliver: "pointer", credit: 2 });
    await client.publishBatch(["1", "2", "3", "4"].map((body) => ({ subject, body })));
    await subscription.count(2);
    await client.ping();
    expect(subscription.sequences()).toEqual([1, 2]);
    client.credit(subscription, 2);
    await subscription.count(4);
    expect(subscription.sequences()).toEqual([1, 2, 3, 4]);
  });

  test("in mts.json.v1 a pointer stands beside the fields of HTTP", async () => {
    const raw = await openRaw("mts.json.v1");
    const subject = uniqueSubject("deliver");
    await admin().publish({ subject, body: "text", headers: { a: "b" }, ttlMs: hourMs });
    const next = async (): Promise<WireMap> =>
      new WireMap(JSON.parse((await raw.nextMessage())?.toString("utf8") ?? "null"), "frame");
    await next();
    raw.send(JSON.stringify({ op: "fetch", id: 1, subject, deliver: "pointer" }));
    const message = new WireMap((await next()).list("messages")[0], "message");
    expect(Object.keys(message.fields).toSorted()).toEqual(
      [
        ...["deliveries", "expires_at", "headers", "pointer", "sequence", "sha256", "size", "subject", "timestamp"],
      ].toSorted(),
    );
    expect(message.fields["size"]).toBe(4);
    expect(parsePointer(message.fields["pointer"])).toMatchObject({ size: 4 });
  });
};

/** The group. */
export const defineWsLifecycle = (group: WsGroup): void => {
  describe("the life of a body", () => {
    definePublishing(group);
    defineDelivery(group);
  });
};
