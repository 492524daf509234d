/**
 * Consumers that acknowledge message by message under leases (`ack: "explicit"`).
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectError, sequencesOf, upTo } from "../expectations.ts";
import type { ConsumerBody } from "../http-client.ts";
import { uniqueSubject } from "../server.ts";
import { fill } from "./consumers-all.ts";
import type { CaseContext } from "./context.ts";

const patientMs = 25_000;

/** A subject with `count` messages and an explicit consumer `c`. */
const prepare = async (context: CaseContext, count: number, body: ConsumerBody = {}): Promise<string> => {
  const subject = uniqueSubject("lease");
  await context.admin().putConsumer(subject, "c", { ack: "explicit", ...body });
  if (count > 0) await fill(context, subject, count);
  return subject;
};

const defineLeases = (context: CaseContext): void => {
  test("leases are shared: two clients never get the same message", async () => {
    const subject = await prepare(context, 5);
    const other = await context.open();
    expect(sequencesOf((await context.client().fetch(subject, "c", { limit: 2 })).messages)).toEqual([1, 2]);
    expect(sequencesOf((await other.fetch(subject, "c", { limit: 2 })).messages)).toEqual([3, 4]);
    expect(sequencesOf((await context.client().fetch(subject, "c")).messages)).toEqual([5]);
    expect((await other.fetch(subject, "c")).messages).toEqual([]);
    expect(await context.admin().consumer(subject, "c")).toMatchObject({
      ackedThrough: 0,
      deliveredThrough: 5,
      pending: 5,
      ackPending: 5,
      redelivered: 0,
    });
  });

  test("clients that fetch at the same time share the work", async () => {
    const subject = await prepare(context, 100);
    const clients = await Promise.all(upTo(5).map(() => context.open()));
    const pages = await Promise.all(
      clients.flatMap((client) => upTo(4).map(() => client.fetch(subject, "c", { limit: 5 }))),
    );
    const sequences = pages.flatMap((page) => sequencesOf(page.messages));
    expect(sequences.toSorted((a, b) => a - b)).toEqual(upTo(100));
  });

  test("what is not acknowledged in time comes again and counts its deliveries", async () => {
    const subject = await prepare(context, 2, { ack_wait_ms: 60 });
    const other = await context.open();
    expect(sequencesOf((await context.client().fetch(subject, "c")).messages)).toEqual([1, 2]);
    await context.client().ack(subject, "c", { sequences: [2] });
    const [second] = (await other.fetch(subject, "c", { waitMs: patientMs })).messages;
    expect(second).toMatchObject({ sequence: 1, deliveries: 2 });
    const [third] = (await other.fetch(subject, "c", { waitMs: patientMs })).messages;
    expect(third).toMatchObject({ sequence: 1, deliveries: 3 });
  });

  test("due redeliveries come before new messages", async () => {
    const subject = await prepare(context, 3);
    const client = context.client();
    await client.fetch(subject, "c", { limit: 2 });
    expect(await client.nack(subject, "c", [2])).toBe(1);
    const page = await client.fetch(subject, "c");
    expect(page.messages.map((message) => [message.sequence, message.deliveries])).toEqual([
      [2, 2],
      [3, 1],
    ]);
    expect((await context.admin().consumer(subject, "c")).redelivered).toBe(1);
  });

  test("nack gives back at once or after its delay, and wakes who waits", async () => {
    const subject = await prepare(context, 2);
    const [client, other] = [context.client(), await context.open()];
    await client.fetch(subject, "c");
    const waiting = other.fetch(subject, "c", { limit: 1, waitMs: patientMs });
    await client.read(subject);
    expect(await client.nack(subject, "c", [1], 0)).toBe(1);
    expect((await waiting).messages).toMatchObject([{ sequence: 1, deliveries: 2 }]);
    expect(await client.nack(subject, "c", [1, 2], 40)).toBe(2);
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ pending: 2, ackPending: 2 });
    const again: number[] = [];
    while (again.length < 2) {
      again.push(...sequencesOf((await other.fetch(subject, "c", { waitMs: patientMs })).messages));
    }
    expect(again).toEqual([1, 2]);
  });

  test("a nacked message stays away for its delay", async () => {
    const subject = await prepare(context, 2);
    const client = context.client();
    await client.fetch(subject, "c", { limit: 1 });
    await client.nack(subject, "c", [1], 3_600_000);
    expect(sequencesOf((await client.fetch(subject, "c")).messages)).toEqual([2]);
    expect((await client.fetch(subject, "c", { waitMs: 20 })).messages).toEqual([]);
  });

  test("nack of what is not leased redelivers nothing", async () => {
    const subject = await prepare(context, 2);
    const client = context.client();
    await client.fetch(subject, "c", { limit: 1, autoAck: true });
    expect(await client.nack(subject, "c", [1])).toBe(0);
    await expectError(client.nack(subject, "c", [3]), "sequence_out_of_range");
  });

  test("auto_ack takes no lease", async () => {
    const subject = await prepare(context, 3, { ack_wait_ms: 30 });
    const client = context.client();
    expect(sequencesOf((await client.fetch(subject, "c", { limit: 2, autoAck: true })).messages)).toEqual([1, 2]);
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 2, pending: 1, ackPending: 0 });
    expect(sequencesOf((await client.fetch(subject, "c", { autoAck: true })).messages)).toEqual([3]);
  });
};

const defineLimits = (context: CaseContext): void => {
  test("max_deliver ends the redeliveries and settles the message", async () => {
    const subject = await prepare(context, 1, { max_deliver: 2, ack_wait_ms: 40 });
    const client = context.client();
    for (const deliveries of [1, 2]) {
      const page = await client.fetch(subject, "c", { waitMs: patientMs });
      expect(page.messages).toMatchObject([{ sequence: 1, deliveries }]);
    }
    // Each round asks for whatever is due; nothing may come while the last lease runs out.
    while ((await context.admin().consumer(subject, "c")).ackedThrough === 0) {
      expect((await client.fetch(subject, "c", { waitMs: 20 })).messages).toEqual([]);
    }
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 1, pending: 0, ackPending: 0 });
    await fill(context, subject, 1, 2);
    const page = await client.fetch(subject, "c", { waitMs: patientMs });
    expect(page.messages).toMatchObject([{ sequence: 2, deliveries: 1 }]);
  });

  test("a nack of the last delivery settles the message too", async () => {
    const subject = await prepare(context, 2, { max_deliver: 1 });
    const client = context.client();
    await client.fetch(subject, "c", { limit: 1 });
    expect(await client.nack(subject, "c", [1])).toBe(0);
    expect(sequencesOf((await client.fetch(subject, "c")).messages)).toEqual([2]);
    await client.ack(subject, "c", { sequences: [2] });
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 2, pending: 0 });
  });

  test("max_ack_pending bounds what is out at once, and an ack lets the next through", async () => {
    const subject = await prepare(context, 4, { max_ack_pending: 2 });
    const [client, other] = [context.client(), await context.open()];
    expect(sequencesOf((await client.fetch(subject, "c")).messages)).toEqual([1, 2]);
    expect((await other.fetch(subject, "c")).messages).toEqual([]);
    const waiting = other.fetch(subject, "c", { waitMs: patientMs });
    await client.read(subject);
    await client.ack(subject, "c", { sequences: [1] });
    expect(sequencesOf((await waiting).messages)).toEqual([3]);
    await client.ack(subject, "c", { sequences: [2, 3] });
    expect(sequencesOf((await other.fetch(subject, "c")).messages)).toEqual([4]);
  });
};

const defineSettling = (context: CaseContext): void => {
  test("acked_through is the end of what is settled without a gap", async () => {
    const subject = await prepare(context, 5);
    const client = context.client();
    await client.fetch(subject, "c");
    const acked = async (sequences: number[]): Promise<number> =>
      (await client.ack(subject, "c", { sequences })).ackedThrough;
    expect(await acked([3])).toBe(0);
    expect(await acked([1])).toBe(1);
    expect(await acked([5])).toBe(1);
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ pending: 2, ackPending: 2 });
    expect(await acked([2])).toBe(3);
    expect(await acked([4, 5])).toBe(5);
    expect(await client.ack(subject, "c", { sequences: [2] })).toEqual({ ackedThrough: 5, moved: false });
  });

  test("an ack through a sequence settles everything up to it", async () => {
    const subject = await prepare(context, 4);
    const client = context.client();
    await client.fetch(subject, "c", { limit: 3 });
    expect(await client.ack(subject, "c", { sequence: 2 })).toEqual({ ackedThrough: 2, moved: true });
    expect(await client.ack(subject, "c", { sequence: 1 })).toEqual({ ackedThrough: 2, moved: false });
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 2, pending: 2, ackPending: 1 });
    expect(sequencesOf((await client.fetch(subject, "c")).messages)).toEqual([4]);
  });

  test("an ack beyond the last sequence is refused", async () => {
    const subject = await prepare(context, 2);
    const client = context.client();
    await client.fetch(subject, "c");
    await expectError(client.ack(subject, "c", { sequences: [1, 3] }), "sequence_out_of_range");
    await expectError(client.ack(subject, "c", { sequence: 3 }), "sequence_out_of_range");
    expect((await context.admin().consumer(subject, "c")).ackedThrough).toBe(0);
  });

  test("a late ack counts, also when the message is out again", async () => {
    const subject = await prepare(context, 1, { ack_wait_ms: 40 });
    const [slow, fast] = [context.client(), await context.open()];
    await slow.fetch(subject, "c");
    expect((await fast.fetch(subject, "c", { waitMs: patientMs })).messages).toMatchObject([{ deliveries: 2 }]);
    expect(await slow.ack(subject, "c", { sequences: [1] })).toEqual({ ackedThrough: 1, moved: true });
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ pending: 0, ackPending: 0, redelivered: 0 });
    expect(await fast.ack(subject, "c", { sequences: [1] })).toEqual({ ackedThrough: 1, moved: false });
  });

  test("what was deleted is settled", async () => {
    const subject = await prepare(context, 4);
    const client = context.client();
    await client.fetch(subject, "c", { limit: 2 });
    await context.admin().purge(subject, 3);
    expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 3, pending: 1, ackPending: 0 });
    expect(sequencesOf((await client.fetch(subject, "c")).messages)).toEqual([4]);
    expect(await client.ack(subject, "c", { sequences: [4] })).toEqual({ ackedThrough: 4, moved: true });
  });
};

/** The group. */
export const defineConsumersExplicit = (context: CaseContext): void => {
  describe("explicit consumers", () => {
    defineLeases(context);
    defineLimits(context);
    defineSettling(context);
  });
};
