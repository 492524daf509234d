/**
 * Policies that keep messages until they are acknowledged, and publishes that wait for it.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectError, sequencesOf, textsOf } from "../expectations.ts";
import { putPolicy } from "../policies.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const patientMs = 25_000;

/** The group. */
export const defineAcknowledged = (context: CaseContext): void => {
  const keep = (subject: string, recipients: readonly string[] | number): Promise<boolean> =>
    putPolicy(context.server().url, subject, { retain: "acked", recipients });
  const publish = (subject: string, ...bodies: readonly string[]) =>
    context.client().publishBatch(bodies.map((body) => ({ subject, body })));
  const stored = async (subject: string): Promise<number[]> =>
    sequencesOf((await context.client().read(subject)).messages);

  describe("retain: acked", () => {
    test("a message is released exactly when both recipients have acknowledged it", async () => {
      const subject = uniqueSubject("acked");
      const client = context.client();
      await keep(subject, ["a", "b"]);
      for (const name of ["a", "b"]) await context.admin().putConsumer(subject, name, { ack: "explicit" });
      await publish(subject, "1", "2", "3");
      for (const name of ["a", "b"]) await client.fetch(subject, name);
      await client.ack(subject, "a", { sequences: [2] });
      expect(await stored(subject)).toEqual([1, 2, 3]);
      await client.ack(subject, "b", { sequences: [2] });
      expect(await stored(subject)).toEqual([1, 3]);
      await expectError(context.admin().call("GET", `/v1/subjects/${subject}/messages/2`), "message_expired");
      await client.ack(subject, "b", { sequences: [1, 3] });
      expect(await stored(subject)).toEqual([1, 3]);
      await client.ack(subject, "a", { sequences: [1] });
      const page = await client.read(subject);
      expect([sequencesOf(page.messages), page.firstSequence]).toEqual([[3], 3]);
      const live = await (await context.open()).follow(subject, { from: "first" });
      expect(textsOf(await live.count(1))).toEqual(["3"]);
      await client.ack(subject, "a", { sequences: [3] });
      expect((await client.read(subject)).firstSequence).toBe(4);
      expect((await context.admin().subject(subject)).integer("bytes")).toBe(0);
    });

    test("consumers that acknowledge through a sequence, and auto_ack", async () => {
      const subject = uniqueSubject("acked");
      const client = context.client();
      await keep(subject, ["a", "b"]);
      await publish(subject, "1", "2", "3");
      for (const name of ["a", "b"]) await client.fetch(subject, name, { limit: 1 });
      await client.ack(subject, "a", { sequence: 2 });
      expect(await stored(subject)).toEqual([1, 2, 3]);
      expect(sequencesOf((await client.fetch(subject, "b", { autoAck: true })).messages)).toEqual([1, 2, 3]);
      expect(await stored(subject)).toEqual([3]);
      expect(sequencesOf((await client.fetch(subject, "a", { autoAck: true })).messages)).toEqual([3]);
      expect(await stored(subject)).toEqual([]);
    });

    test("a number of recipients: any two", async () => {
      const subject = uniqueSubject("acked");
      const client = context.client();
      await keep(subject, 2);
      for (const name of ["a", "b", "c"]) await context.admin().putConsumer(subject, name, {});
      await publish(subject, "1", "2");
      await client.ack(subject, "a", { sequence: 2 });
      expect(await stored(subject)).toEqual([1, 2]);
      await client.ack(subject, "c", { sequence: 1 });
      expect(await stored(subject)).toEqual([2]);
    });

    test("what is released is settled for everybody", async () => {
      const subject = uniqueSubject("acked");
      const client = context.client();
      await keep(subject, ["a"]);
      for (const name of ["a", "other"]) await context.admin().putConsumer(subject, name, { ack: "explicit" });
      await publish(subject, "1", "2");
      await client.fetch(subject, "other", { limit: 1 });
      await client.fetch(subject, "a");
      await client.ack(subject, "a", { sequences: [1, 2] });
      expect((await client.fetch(subject, "other")).messages).toEqual([]);
      expect(await context.admin().consumer(subject, "other")).toMatchObject({ ackedThrough: 2, pending: 0 });
    });
  });
};

/** The group of transports whose publish can wait. */
export const defineWaiting = (context: CaseContext): void => {
  describe("publishes that wait for acknowledgements", () => {
    test("all of the recipients", async () => {
      const subject = uniqueSubject("wait");
      for (const name of ["a", "b"]) await context.admin().putConsumer(subject, name, {});
      const answer = context.client().publishWaiting({ subject, body: "x" }, "acked", patientMs);
      for (const name of ["a", "b"]) {
        const other = await context.open();
        await other.fetch(subject, name, { waitMs: patientMs });
        await other.ack(subject, name, { sequence: 1 });
      }
      expect(await answer).toMatchObject({ sequence: 1, acked: 2, recipientsTotal: 2, acknowledged: true });
    });

    test("as many as were asked for", async () => {
      const subject = uniqueSubject("wait");
      for (const name of ["a", "b"]) await context.admin().putConsumer(subject, name, { ack: "explicit" });
      const answer = context.client().publishWaiting({ subject, body: "x" }, "acked:1", patientMs);
      const other = await context.open();
      await other.fetch(subject, "b", { waitMs: patientMs });
      await other.ack(subject, "b", { sequences: [1] });
      expect(await answer).toMatchObject({ acked: 1, recipientsTotal: 2, acknowledged: true });
    });

    test("the last acknowledgement releases it, and that counts", async () => {
      const subject = uniqueSubject("wait");
      await putPolicy(context.server().url, subject, { retain: "acked", recipients: ["a"] });
      await context.admin().putConsumer(subject, "a", {});
      const answer = context.client().publishWaiting({ subject, body: "x" }, "acked", patientMs);
      await (await context.open()).fetch(subject, "a", { waitMs: patientMs, autoAck: true });
      expect(await answer).toMatchObject({ acked: 1, recipientsTotal: 1, acknowledged: true });
    });

    test("when the time is over it says how it stands, and the message is there", async () => {
      const subject = uniqueSubject("wait");
      await context.admin().putConsumer(subject, "a", {});
      const draft = { subject, body: "x", messageId: "id" };
      const expected = { sequence: 1, acked: 0, recipientsTotal: 1, acknowledged: false };
      expect(await context.client().publishWaiting(draft, "acked", 1)).toMatchObject({ ...expected, duplicate: false });
      expect(await context.client().publishWaiting(draft, "acked", 0)).toMatchObject({ ...expected, duplicate: true });
      expect(textsOf((await context.client().read(subject)).messages)).toEqual(["x"]);
    });

    test("what cannot be waited for is refused, and not published", async () => {
      const subject = uniqueSubject("wait");
      const draft = { subject, body: "x" };
      for (const wait of ["all", "acked:0", "acked:-1", "ACKED"]) {
        await expectError(context.client().publishWaiting(draft, wait), "invalid_parameter");
      }
      await expectError(context.client().publishWaiting(draft, "acked", 60_001), "invalid_parameter");
      await expectError(context.client().publishWaiting({ ...draft, delayMs: 1 }, "acked"), "invalid_parameter");
      expect((await context.client().read(subject)).lastSequence).toBe(0);
    });
  });
};
