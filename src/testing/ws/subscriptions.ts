/**
 * Subscriptions without a consumer: where they start, order and completeness, wildcards, credit, notifications.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Receipt } from "../client.ts";
import { textsOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import { WireMap } from "../wire.ts";
import type { WsSubscription } from "../ws-client.ts";
import type { WsGroup } from "./group.ts";

/** Publishes one more message and waits for it in `subscription`: what could have come before has come. */
const bySubject = (subscription: WsSubscription): Record<string, number[]> => {
  const sequences: Record<string, number[]> = {};
  for (const message of subscription.messages) (sequences[message.subject] ??= []).push(message.sequence);
  return sequences;
};

const defineStart = ({ open, fill }: WsGroup): void => {
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
    const from = new Date(last?.timestampMs ?? 0).toISOString();
    const first = receipts.find((receipt) => receipt.timestampMs === last?.timestampMs);
    const subscription = await client.subscribe(subject, { from });
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
    const { admin } = { admin: client };
    const waiting = await client.subscribe(subject, { from: "first", credit: 1 });
    await waiting.count(1);
    await purge(subject, 3);
    admin.credit(waiting, 10);
    await fill(subject, 1, 5);
    await waiting.count(3);
    expect(waiting.sequences()).toEqual([1, 4, 5]);
  });

  const purge = async (subject: string, through: number): Promise<void> => {
    await group().purge(subject, through);
  };
  const group = (): ReturnType<WsGroup["admin"]> => adminOf();
  let adminOf: WsGroup["admin"] = () => {
    throw new Error("not set");
  };
  adminOf = currentAdmin;
};
