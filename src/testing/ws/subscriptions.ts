/**
 * Subscriptions without a consumer: where they start, order and completeness, wildcards, several on one socket.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Receipt } from "../client.ts";
import { expectBytes, expectError, someBytes, textsOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { WsSubscription } from "../ws-client.ts";
import type { WsGroup } from "./group.ts";

const sequencesBySubject = (subscription: WsSubscription): Record<string, number[]> => {
  const sequences: Record<string, number[]> = {};
  for (const message of subscription.messages) (sequences[message.subject] ??= []).push(message.sequence);
  return sequences;
};

const defineStart = ({ open, fill, admin }: WsGroup): void => {
  test("every form of from starts where it says", async () => {
    const client = await open();
    const subject = uniqueSubject("from");
    await fill(subject, 5);
    const rows: readonly (readonly [from: string | number | undefined, first: number])[] = [
      ["first", 1],
      [1, 1],
      [0, 1],
      [4, 4],
      ["4", 4],
      ["last", 5],
      ["new", 6],
      [undefined, 6],
      [6, 6],
      [8, 8],
      ["1h", 1],
      ["1970-01-01T00:00:00Z", 1],
    ];
    const subscriptions = await Promise.all(
      rows.map(([from]) => client.subscribe(subject, from === undefined ? {} : { from })),
    );
    await fill(subject, 5, 6);
    for (const [index, [from, first]] of rows.entries()) {
      const subscription = subscriptions[index];
      await subscription?.count(10 - first + 1);
      expect([from, subscription?.sequences()]).toEqual([from, upTo(10 - first + 1, first)]);
    }
  });

  test("from a time starts with the first message at or after it", async () => {
    const client = await open();
    const subject = uniqueSubject("from");
    const receipts: Receipt[] = [];
    while (new Set(receipts.map((receipt) => receipt.timestampMs)).size < 3) {
      receipts.push(await client.publish({ subject, body: "x" }));
    }
    const last = receipts.at(-1);
    const first = receipts.find((receipt) => receipt.timestampMs === last?.timestampMs);
    const subscription = await client.subscribe(subject, { from: new Date(last?.timestampMs ?? 0).toISOString() });
    expect((await subscription.count(1))[0]?.sequence).toBe(first?.sequence);
  });

  test("new is after the last_sequence of the reply", async () => {
    const client = await open();
    const subject = uniqueSubject("from");
    await fill(subject, 3);
    const subscription = await client.subscribe(subject);
    expect(subscription.reply.fields).toMatchObject({ op: "subscribed", filter: subject, last_sequence: 3 });
    expect(subscription.reply.string("epoch")).toBe(client.welcome.string("epoch"));
    await fill(subject, 1, 4);
    await subscription.count(1);
    expect(subscription.sequences()).toEqual([4]);
    const unknown = await client.subscribe(uniqueSubject("from"));
    expect(unknown.reply.integer("last_sequence")).toBe(0);
  });

  test("what was deleted is skipped", async () => {
    const client = await open();
    const subject = uniqueSubject("from");
    await fill(subject, 4);
    const subscription = await client.subscribe(subject, { from: "first", credit: 1 });
    await subscription.count(1);
    await admin().purge(subject, 3);
    client.credit(subscription, 10);
    await fill(subject, 1, 5);
    await subscription.count(3);
    expect(subscription.sequences()).toEqual([1, 4, 5]);
  });
};

const defineCompleteness = ({ open, fill, admin }: WsGroup): void => {
  test("from backlog to live: no gap and no repeat while publishers go on", async () => {
    const subject = uniqueSubject("live");
    const total = 3000;
    const publishers = await Promise.all([open(), open("mts.json.v1"), open()]);
    const readers = await Promise.all([open(), open("mts.json.v1")]);
    const publishing = publishers.map(async (publisher, who) => {
      for (let sent = 0; sent < total / publishers.length; sent += 20) {
        await Promise.all(upTo(20).map((index) => publisher.publish({ subject, body: `${who} ${sent + index}` })));
      }
    });
    const subscriptions: (readonly [from: number, WsSubscription])[] = [];
    // Subscribes again and again while the subject grows; each start lies in what is stored or just beyond it.
    for (let at = 1; at < total; at += 400) {
      await admin().read(subject, { from: at, limit: 1, waitMs: 20_000 });
      for (const reader of readers) subscriptions.push([at, await reader.subscribe(subject, { from: at, credit: -1 })]);
    }
    await Promise.all(publishing);
    for (const [from, subscription] of subscriptions) {
      await subscription.count(total - from + 1);
      expect(subscription.sequences()).toEqual(upTo(total - from + 1, from));
    }
    const [whole, other] = subscriptions;
    expect(textsOf(whole?.[1].messages ?? [])).toEqual(textsOf(other?.[1].messages ?? []));
  });

  test("new: what is pushed goes on exactly after last_sequence, whatever is published meanwhile", async () => {
    const subject = uniqueSubject("live");
    const [publisher, reader] = [await open(), await open()];
    const total = 1000;
    const publishing = (async () => {
      for (const index of upTo(total)) await publisher.publish({ subject, body: `${index}` });
    })();
    const subscriptions: WsSubscription[] = [];
    for (let at = 100; at < total; at += 150) {
      await admin().read(subject, { from: at, limit: 1, waitMs: 20_000 });
      subscriptions.push(await reader.subscribe(subject));
    }
    await publishing;
    for (const subscription of subscriptions) {
      const after = subscription.reply.integer("last_sequence");
      await subscription.count(total - after);
      expect(subscription.sequences()).toEqual(upTo(total - after, after + 1));
    }
  });

  test("bodies of every size are pushed whole and in order", async () => {
    const client = await open();
    const subject = uniqueSubject("sizes");
    const live = await client.subscribe(subject, { credit: -1 });
    const sent = [0, 1, 5_000_000, 10, 262_143, 262_144, 3_000_000, 2].map((length, at) => someBytes(length, at + 1));
    for (const body of sent) await client.publish({ subject, body });
    const stored = await client.subscribe(subject, { from: "first", credit: -1 });
    for (const subscription of [live, stored]) {
      const messages = await subscription.count(sent.length);
      for (const [index, body] of sent.entries()) expectBytes(messages[index]?.body, body);
    }
  });

  test("several subscriptions on one socket each get everything, once", async () => {
    const client = await open();
    const [one, two] = [uniqueSubject("several"), uniqueSubject("several")];
    const both = await Promise.all([one, one, two, "several.>"].map((filter) => client.subscribe(filter)));
    expect(new Set(both.map((subscription) => subscription.sid)).size).toBe(4);
    for (const index of upTo(50)) {
      await fill(one, 1, index);
      await fill(two, 1, index);
    }
    for (const [index, subscription] of both.entries()) await subscription.count(index === 3 ? 100 : 50);
    const all = upTo(50);
    expect(both.map(sequencesBySubject)).toEqual([
      { [one]: all },
      { [one]: all },
      { [two]: all },
      { [one]: all, [two]: all },
    ]);
  });

  test("unsubscribe: no push after its reply", async () => {
    const [client, publisher] = [await open(), await open()];
    const subject = uniqueSubject("unsubscribe");
    const [subscription, marker] = [await client.subscribe(subject), await client.subscribe(subject)];
    let stop = false;
    const publishing = (async () => {
      while (!stop) await Promise.all(upTo(10).map((index) => publisher.publish({ subject, body: `${index}` })));
    })();
    await subscription.count(50);
    await client.unsubscribe(subscription);
    const atReply = subscription.messages.length;
    await marker.count(marker.messages.length + 200);
    stop = true;
    await publishing;
    await client.ping();
    expect(subscription.messages.length).toBe(atReply);
    expect(subscription.sequences()).toEqual(upTo(atReply));
    await expectError(client.unsubscribe(subscription), "subscription_not_found");
  });
};

const defineWildcards = ({ open, fill }: WsGroup): void => {
  test("wildcards push what is stored and let new subjects join", async () => {
    const client = await open();
    const head = uniqueSubject("wild");
    const under = (...tails: string[]): string[] => tails.map((tail) => `${head}.${tail}`);
    for (const subject of under("a", "b", "a.x", "a.y.z")) await fill(subject, 3);
    const one = await client.subscribe(`${head}.*`, { from: "first" });
    const two = await client.subscribe(`${head}.*.x`, { from: "first" });
    const all = await client.subscribe(`${head}.>`, { from: "first" });
    const live = await client.subscribe(`${head}.>`);
    for (const subject of under("a", "c", "c.x", "a.y.z")) await fill(subject, 2, 4);
    await Promise.all([one.count(10), two.count(5), all.count(20), live.count(8)]);
    const bySubject = (...rows: [string, number, number?][]): Record<string, number[]> =>
      Object.fromEntries(rows.map(([tail, count, first]) => [`${head}.${tail}`, upTo(count, first)]));
    expect(sequencesBySubject(one)).toEqual(bySubject(["a", 5], ["b", 3], ["c", 2]));
    expect(sequencesBySubject(two)).toEqual(bySubject(["a.x", 3], ["c.x", 2]));
    expect(sequencesBySubject(all)).toEqual(
      bySubject(["a", 5], ["b", 3], ["a.x", 3], ["a.y.z", 5], ["c", 2], ["c.x", 2]),
    );
    expect(sequencesBySubject(live)).toEqual(bySubject(["a", 2, 4], ["c", 2], ["c.x", 2], ["a.y.z", 2, 4]));
  });

  test("a wildcard over many subjects that grow at once keeps the order of each", async () => {
    const head = uniqueSubject("grow");
    const subjects = upTo(30).map((index) => `${head}.${index}`);
    const [publisher, reader] = [await open(), await open("mts.json.v1")];
    const round = (): Promise<unknown> =>
      Promise.all(subjects.flatMap((subject) => upTo(5).map(() => publisher.publish({ subject, body: "x" }))));
    await round();
    const [early] = await Promise.all([reader.subscribe(`${head}.*`, { from: "first", credit: -1 }), round()]);
    await round();
    await early.count(subjects.length * 15);
    const expected = Object.fromEntries(subjects.map((subject) => [subject, upTo(15)]));
    expect(sequencesBySubject(early)).toEqual(expected);
  });

  test("from is held per subject", async () => {
    const client = await open();
    const head = uniqueSubject("each");
    await fill(`${head}.a`, 5);
    await fill(`${head}.b`, 2);
    const last = await client.subscribe(`${head}.*`, { from: "last" });
    const third = await client.subscribe(`${head}.*`, { from: 3 });
    await fill(`${head}.b`, 2, 3);
    await Promise.all([last.count(4), third.count(5)]);
    expect(sequencesBySubject(last)).toEqual({ [`${head}.a`]: [5], [`${head}.b`]: [2, 3, 4] });
    expect(sequencesBySubject(third)).toEqual({ [`${head}.a`]: [3, 4, 5], [`${head}.b`]: [3, 4] });
  });
};

/** The group. */
export const defineSubscriptions = (group: WsGroup): void => {
  describe("subscriptions", () => {
    defineStart(group);
    defineCompleteness(group);
    defineWildcards(group);
  });
};
