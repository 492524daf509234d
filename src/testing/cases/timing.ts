/**
 * Messages that live for a while, and messages that are committed later. No time decides a case: what must come is
 * waited for, and what must not is due in an hour.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { asScheduled, type Draft, isScheduled } from "../client.ts";
import { expectError, sequencesOf, textsOf } from "../expectations.ts";
import { until } from "../policies.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const hourMs = 3_600_000;
const patientMs = 25_000;

const defineLife = (context: CaseContext): void => {
  test("a message is gone after its time to live, for every read and for who subscribes later", async () => {
    const subject = uniqueSubject("ttl");
    const client = context.client();
    await client.publish({ subject, body: "short", ttlMs: 30 });
    await client.publish({ subject, body: "long", ttlMs: hourMs });
    await client.publish({ subject, body: "for ever" });
    const page = await until(
      () => client.read(subject, { from: 1 }),
      ({ messages }) => messages.length === 2,
    );
    expect(textsOf(page.messages)).toEqual(["long", "for ever"]);
    expect(sequencesOf((await client.fetch(subject, "c", { limit: 10 })).messages)).toEqual([2, 3]);
    const live = await (await context.open()).follow(subject, { from: "first" });
    expect(textsOf(await live.count(2))).toEqual(["long", "for ever"]);
    await expectError(context.admin().call("GET", `/v1/subjects/${subject}/messages/1`), "message_expired");
    expect((await context.admin().subject(subject)).integer("messages")).toBe(2);
    expect((await client.publish({ subject, body: "next" })).sequence).toBe(4);
  });

  test("in the middle of a subject too, and sequences go on", async () => {
    const subject = uniqueSubject("ttl");
    const client = context.client();
    const drafts: Draft[] = [
      { subject, body: "1" },
      { subject, body: "2", ttlMs: 1 },
      { subject, body: "3", ttlMs: 1 },
      { subject, body: "4" },
    ];
    await client.publishBatch(drafts);
    const page = await until(
      () => client.read(subject),
      ({ messages }) => messages.length === 2,
    );
    expect(sequencesOf(page.messages)).toEqual([1, 4]);
    expect([page.firstSequence, page.lastSequence, page.nextSequence]).toEqual([1, 4, 5]);
    expect(sequencesOf((await client.read(subject, { from: 2 })).messages)).toEqual([4]);
  });

  test("its end is told, and counts from its timestamp", async () => {
    const subject = uniqueSubject("ttl");
    const { timestampMs } = await context.client().publish({ subject, body: "x", ttlMs: hourMs });
    expect((await context.admin().read(subject)).messages).toMatchObject([{ expiresAtMs: timestampMs + hourMs }]);
  });

  test("a lease of what is gone is settled", async () => {
    const subject = uniqueSubject("ttl");
    const client = context.client();
    await context.admin().putConsumer(subject, "c", { ack: "explicit", ack_wait_ms: hourMs });
    // Fetched before it is gone, or never: both must end in the same place.
    await client.publish({ subject, body: "x", ttlMs: 50 });
    await client.fetch(subject, "c");
    const state = await until(
      () => context.admin().consumer(subject, "c"),
      ({ ackedThrough }) => ackedThrough === 1,
    );
    expect(state).toMatchObject({ pending: 0, ackPending: 0 });
  });
};

const defineDelays = (context: CaseContext): void => {
  test("what is delayed is not there before its time, and holds up nothing", async () => {
    const subject = uniqueSubject("delay");
    const client = context.client();
    const scheduled = await client.schedule({ subject, body: "later", delayMs: hourMs });
    expect(scheduled).toMatchObject({ subject, duplicate: false });
    expect(scheduled.deliverAtMs).toBeGreaterThan(Date.now());
    const page = await client.read(subject);
    expect([page.messages, page.lastSequence]).toEqual([[], 0]);
    expect((await client.publish({ subject, body: "now" })).sequence).toBe(1);
    expect(textsOf((await client.read(subject)).messages)).toEqual(["now"]);
  });

  test("it comes to who is subscribed, not before its time", async () => {
    const subject = uniqueSubject("delay");
    const live = await (await context.open()).follow(subject);
    const draft = { subject, body: "later", headers: { a: "b" }, ttlMs: hourMs };
    const { deliverAtMs } = await context.client().schedule({ ...draft, delayMs: 300 });
    const [message] = await live.count(1);
    expect(message).toMatchObject({ sequence: 1, headers: { a: "b" } });
    expect(textsOf(live.messages)).toEqual(["later"]);
    expect(message?.timestampMs).toBeGreaterThanOrEqual(deliverAtMs);
    // Its life begins when it is there.
    const [stored] = (await context.admin().read(subject)).messages;
    expect(stored?.expiresAtMs).toBe((stored?.timestampMs ?? 0) + hourMs);
  });

  test("it wakes who waits for it", async () => {
    const subject = uniqueSubject("delay");
    const waiting = (await context.open()).read(subject, { from: 1, waitMs: patientMs });
    const leased = (await context.open()).fetch(subject, "c", { waitMs: patientMs });
    await context.client().schedule({ subject, body: "later", delayMs: 200 });
    expect(textsOf((await waiting).messages)).toEqual(["later"]);
    expect(textsOf((await leased).messages)).toEqual(["later"]);
  });

  test("delayed messages come in the order of their times", async () => {
    // All three are scheduled before the first is due, or the round says nothing.
    for (let pauseMs = 500; ; pauseMs *= 2) {
      const subject = uniqueSubject("delay");
      const nowMs = Date.now();
      const results = await context.client().submitBatch([
        { subject, body: "third", deliverAtMs: nowMs + pauseMs + 20 },
        { subject, body: "first", deliverAtMs: nowMs + pauseMs },
        { subject, body: "second", deliverAtMs: nowMs + pauseMs + 10 },
      ]);
      if (!results.every(isScheduled)) continue;
      expect(results.map((result) => asScheduled(result).deliverAtMs - nowMs - pauseMs)).toEqual([20, 0, 10]);
      const live = await (await context.open()).follow(subject, { from: "first" });
      expect(textsOf(await live.count(3))).toEqual(["first", "second", "third"]);
      expect(live.sequences()).toEqual([1, 2, 3]);
      return;
    }
  });

  test("a retry under the same id finds what waits", async () => {
    const subject = uniqueSubject("delay");
    const draft = { subject, body: "once", messageId: "id", delayMs: hourMs };
    const first = await context.client().schedule(draft);
    expect(await context.client().schedule(draft)).toEqual({ ...first, duplicate: true });
  });

  test("a time that is past is now", async () => {
    const subject = uniqueSubject("delay");
    expect((await context.client().publish({ subject, body: "1", deliverAtMs: 1000 })).sequence).toBe(1);
    expect((await context.client().publish({ subject, body: "2", delayMs: 0 })).sequence).toBe(2);
  });

  test("what contradicts itself is refused", async () => {
    const subject = uniqueSubject("delay");
    for (const wrong of [
      { delayMs: 1, deliverAtMs: Date.now() },
      { delayMs: 1, expectedLastSequence: 0 },
      { deliverAtMs: 1000, expectedLastSequence: 0 },
      { ttlMs: 0 },
      { delayMs: 367 * 24 * hourMs },
    ]) {
      await expectError(context.client().schedule({ subject, body: "x", ...wrong }), "invalid_parameter");
    }
    expect((await context.client().read(subject)).lastSequence).toBe(0);
  });
};

/** The group. */
export const defineTiming = (context: CaseContext): void => {
  describe("time to live", () => defineLife(context));
  describe("delays", () => defineDelays(context));
};
