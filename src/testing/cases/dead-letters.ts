/**
 * What a consumer gives up goes to its dead letter subject.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { sequencesOf, textsOf } from "../expectations.ts";
import type { ConsumerBody } from "../http-client.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const patientMs = 25_000;

const prepare = async (context: CaseContext, body: ConsumerBody): Promise<{ subject: string; dead: string }> => {
  const subject = uniqueSubject("work");
  const dead = uniqueSubject("dead");
  await context.admin().putConsumer(subject, "c", { ack: "explicit", dead_letter: dead, ...body });
  return { subject, dead };
};

/** The group. */
export const defineDeadLetters = (context: CaseContext): void => {
  describe("dead letters", () => {
    test("a nack of the last delivery sends the message there, and to who is subscribed there", async () => {
      const { subject, dead } = await prepare(context, { max_deliver: 2 });
      const client = context.client();
      const live = await (await context.open()).follow(dead);
      const { timestampMs } = await client.publish({ subject, body: "poison", headers: { own: "kept" } });
      await client.publish({ subject, body: "good" });
      expect(sequencesOf((await client.fetch(subject, "c", { limit: 1 })).messages)).toEqual([1]);
      expect(await client.nack(subject, "c", [1], 0, "the first time")).toBe(1);
      expect((await client.fetch(subject, "c", { limit: 1 })).messages).toMatchObject([{ sequence: 1, deliveries: 2 }]);
      expect((await client.read(dead)).lastSequence).toBe(0);
      expect(await client.nack(subject, "c", [1], 0, "кончилось")).toBe(0);
      const [letter] = await live.count(1);
      expect(textsOf(live.messages)).toEqual(["poison"]);
      expect(letter).toMatchObject({ subject: dead, sequence: 1 });
      expect(letter?.headers).toEqual({
        own: "kept",
        "dead-letter-reason": "max_deliver",
        "dead-letter-consumer": "c",
        "dead-letter-subject": subject,
        "dead-letter-sequence": "1",
        "dead-letter-timestamp": String(timestampMs),
        "dead-letter-deliveries": "2",
        "dead-letter-error": "кончилось",
      });
      // The message is still where it was; its consumer goes on behind it.
      expect(textsOf((await client.read(subject)).messages)).toEqual(["poison", "good"]);
      expect(textsOf((await client.fetch(subject, "c")).messages)).toEqual(["good"]);
      expect(await context.admin().consumer(subject, "c")).toMatchObject({ ackedThrough: 1, pending: 1 });
    });

    test("so does a lease that ran out on the last delivery, by itself", async () => {
      const { subject, dead } = await prepare(context, { max_deliver: 1, ack_wait_ms: 50 });
      const client = context.client();
      const waiting = (await context.open()).read(dead, { from: 1, waitMs: patientMs });
      await client.publish({ subject, body: "poison" });
      expect(sequencesOf((await client.fetch(subject, "c", { waitMs: patientMs })).messages)).toEqual([1]);
      const [letter] = (await waiting).messages;
      expect(letter?.headers).toMatchObject({ "dead-letter-subject": subject, "dead-letter-deliveries": "1" });
      expect(letter?.headers).not.toHaveProperty("dead-letter-error");
      expect(await context.admin().consumer(subject, "c")).toMatchObject({
        ackedThrough: 1,
        pending: 0,
        ackPending: 0,
      });
    });

    test("the letter outlives the message that it was", async () => {
      const { subject, dead } = await prepare(context, { max_deliver: 1 });
      const client = context.client();
      await client.publish({ subject, body: "poison" });
      await client.fetch(subject, "c");
      await client.nack(subject, "c", [1]);
      await context.admin().purge(subject, 1);
      expect(textsOf((await client.read(dead)).messages)).toEqual(["poison"]);
    });

    test("what was acknowledged in time sends nothing", async () => {
      const { subject, dead } = await prepare(context, { max_deliver: 1 });
      const client = context.client();
      await client.publish({ subject, body: "good" });
      await client.fetch(subject, "c");
      await client.ack(subject, "c", { sequences: [1] });
      expect(await client.nack(subject, "c", [1])).toBe(0);
      expect((await client.read(dead)).lastSequence).toBe(0);
    });
  });
};
