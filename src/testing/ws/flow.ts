/**
 * Flow control: credit, notifications, subscribers that are slow or do not read at all.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { packMsgpack, unpackMsgpack } from "../client.ts";
import { someBytes, upTo } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { RawWs } from "../raw-ws.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import { parseMessageTuple } from "../ws-client.ts";
import type { WsGroup } from "./group.ts";

const MiB = 1024 * 1024;

const defineCredit = ({ open, fill }: WsGroup): void => {
  test("credit lets exactly so many messages through, stored and live", async () => {
    const client = await open();
    const subject = uniqueSubject("credit");
    await fill(subject, 4);
    const subscription = await client.subscribe(subject, { from: "first", credit: 3 });
    const marker = await client.subscribe(subject, { from: "first", credit: -1 });
    let published = 4;
    // After each step the unlimited subscription has everything; the bounded one exactly its credit.
    const settle = async (expected: number): Promise<void> => {
      await marker.count(published);
      await subscription.count(expected);
      await client.ping();
      expect(subscription.sequences()).toEqual(upTo(expected));
    };
    await settle(3);
    await fill(subject, 6, 5);
    published += 6;
    await settle(3);
    client.credit(subscription, 2);
    await settle(5);
    client.credit(subscription, 1);
    client.credit(subscription, 1);
    await settle(7);
    client.credit(subscription, 100);
    await settle(10);
    await fill(subject, 95, 11);
    published += 95;
    await settle(105);
    await fill(subject, 50, 106);
    published += 50;
    // 3 + 2 + 1 + 1 + 100 were given.
    await settle(107);
  });

  test("credit is 1024 when nothing is said, and -1 is without limit", async () => {
    const client = await open();
    const subject = uniqueSubject("credit");
    await fill(subject, 2500);
    const bounded = await client.subscribe(subject, { from: "first" });
    const unbounded = await client.subscribe(subject, { from: "first", credit: -1 });
    await unbounded.count(2500);
    await bounded.count(1024);
    await client.ping();
    expect(bounded.messages.length).toBe(1024);
    client.credit(bounded, -1);
    await bounded.count(2500);
    expect(bounded.sequences()).toEqual(upTo(2500));
  });

  test("credit of a wildcard counts over all its subjects", async () => {
    const client = await open();
    const head = uniqueSubject("credit");
    for (const tail of ["a", "b", "c"]) await fill(`${head}.${tail}`, 10);
    const bounded = await client.subscribe(`${head}.*`, { from: "first", credit: 12 });
    const marker = await client.subscribe(`${head}.*`, { from: "first" });
    await Promise.all([bounded.count(12), marker.count(30)]);
    await client.ping();
    expect(bounded.messages.length).toBe(12);
    client.credit(bounded, 18);
    await bounded.count(30);
    expect(new Set(bounded.messages.map(({ subject, sequence }) => `${subject} ${sequence}`)).size).toBe(30);
  });
};

const defineNotify = ({ open, fill }: WsGroup): void => {
  test("notifications reach the latest sequence, never go backwards, and cost no credit", async () => {
    const [client, publisher] = [await open(), await open()];
    const subject = uniqueSubject("notify");
    const notify = await client.subscribe(subject, { mode: "notify", credit: 1 });
    for (let sent = 0; sent < 1000; sent += 50) {
      await Promise.all(upTo(50).map(() => publisher.publish({ subject, body: "x" })));
    }
    await notify.conditions.until(() => notify.notified.at(-1)?.sequence === 1000);
    const sequences = notify.notified.map((row) => row.sequence);
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    expect(new Set(sequences).size).toBe(sequences.length);
    expect(sequences.length).toBeGreaterThan(1);
    expect(notify.notified.every((row) => row.subject === subject)).toBe(true);
    expect(notify.messages).toEqual([]);
  });

  test("a notified sequence can be read at once", async () => {
    const [client, publisher] = [await open(), await open()];
    const subject = uniqueSubject("notify");
    const notify = await client.subscribe(subject, { mode: "notify" });
    const publishing = (async () => {
      for (const index of upTo(50)) await publisher.publish({ subject, body: `${index}` });
    })();
    for (let seen = 0; seen < 50; ) {
      await notify.conditions.until(() => (notify.notified.at(-1)?.sequence ?? 0) > seen);
      seen = notify.notified.at(-1)?.sequence ?? 0;
      const page = await client.read(subject, { from: seen, limit: 1 });
      expect(page.messages[0]?.sequence).toBe(seen);
    }
    await publishing;
  });

  test("a wildcard notifies per subject", async () => {
    const client = await open("mts.json.v1");
    const head = uniqueSubject("notify");
    await fill(`${head}.old`, 2);
    const notify = await client.subscribe(`${head}.>`, { mode: "notify" });
    await fill(`${head}.old`, 1);
    await fill(`${head}.new`, 5);
    const latest = (subject: string): number | undefined =>
      notify.notified.findLast((row) => row.subject === subject)?.sequence;
    await notify.conditions.until(() => latest(`${head}.old`) === 3 && latest(`${head}.new`) === 5);
  });
};

const defineSlowness = ({ server, openRaw, open }: WsGroup): void => {
  test("who does not read gets everything later, and nobody else waits for it", async () => {
    const subject = uniqueSubject("slow");
    const slow = await openRaw();
    await slow.nextMessage();
    slow.send(packMsgpack({ op: "subscribe", id: 1, filter: subject, credit: -1 }));
    await slow.nextMessage();
    slow.socket.pause();
    const fast = await open();
    const live = await fast.subscribe(subject, { credit: -1 });
    const publisher = new HttpClient(server().url, "msgpack");
    const total = 640;
    // 40 MiB: more than the kernel's buffers and every buffer of the server take together.
    for (let first = 1; first <= total; first += 32) {
      await publisher.publishBatch(upTo(32, first).map((index) => ({ subject, body: someBytes(64 * 1024, index) })));
    }
    await live.count(total);
    slow.socket.resume();
    const sequences: number[] = [];
    while (sequences.length < total) {
      const payload = await slow.nextMessage();
      if (payload === undefined) throw new Error(`the connection ended after ${sequences.length} messages`);
      const frame = new WireMap(unpackMsgpack(payload, "push"), "push");
      for (const raw of frame.list("messages")) {
        const message = parseMessageTuple(raw);
        sequences.push(message.sequence);
        expect(message.body.length).toBe(64 * 1024);
      }
    }
    expect(sequences).toEqual(upTo(total));
    slow.send(packMsgpack({ op: "ping", id: 2 }));
    const pong = new WireMap(unpackMsgpack((await slow.nextMessage()) ?? new Uint8Array(), "pong"), "pong");
    expect(pong.string("op")).toBe("pong");
  });

  test("one message larger than everything that may be unsent comes too", async () => {
    const [client, publisher] = [await open(), await open()];
    const subject = uniqueSubject("slow");
    const subscription = await client.subscribe(subject, { credit: -1 });
    for (const seed of upTo(3)) await publisher.publish({ subject, body: someBytes(10 * MiB, seed) });
    await subscription.count(3);
    expect(subscription.sequences()).toEqual([1, 2, 3]);
  });
};

/** The group. */
export const defineFlow = (group: WsGroup): void => {
  describe("flow", () => {
    defineCredit(group);
    defineNotify(group);
    defineSlowness(group);
  });
};

/** Cases for a server with `MTS_MAX_BODY_BYTES=1MiB`, whose hard limit is near. */
export const defineHardLimit = (server: () => TestServer): void => {
  describe("the hard limit", () => {
    test("replies that nobody reads end the connection with 3008", async () => {
      const subject = uniqueSubject("hard");
      await new HttpClient(server().url).publish({ subject, body: someBytes(MiB) });
      const raw = await RawWs.connect(server().wsUrl, "mts.msgpack.v1");
      await raw.nextMessage();
      raw.socket.pause();
      // 80 replies of 1 MiB: the limit is 18.4 MiB beyond what the kernel takes.
      for (const id of upTo(80)) raw.send(packMsgpack({ op: "fetch", id, subject }));
      // Another connection keeps working, and shows that the server has come so far.
      const admin = new HttpClient(server().url);
      for (let round = 0; round < 20; round++) expect((await admin.read(subject)).messages.length).toBe(1);
      raw.socket.resume();
      expect(await raw.closeCode()).toBe(3008);
      raw.socket.destroy();
    });
  });
};
