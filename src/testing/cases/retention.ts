/**
 * Retention policies, as every transport sees them at work.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectClientError, expectError, expectReceipt, sequencesOf, textsOf, upTo } from "../expectations.ts";
import { policyPath, putPolicy, until } from "../policies.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

/** The group. */
export const defineRetention = (context: CaseContext): void => {
  const put = (filter: string, policy: Parameters<typeof putPolicy>[2]): Promise<boolean> =>
    putPolicy(context.server().url, filter, policy);
  const publish = (subject: string, ...bodies: readonly string[]) =>
    context.client().publishBatch(bodies.map((body) => ({ subject, body })));

  describe("retention", () => {
    test("discard old: the last ones stay, sequences go on, what is gone is expired", async () => {
      const subject = uniqueSubject("old");
      await put(subject, { max_messages: 3 });
      await publish(subject, "1", "2", "3", "4", "5");
      const page = await context.client().read(subject);
      expect([page.firstSequence, page.lastSequence]).toEqual([3, 5]);
      expect(textsOf(page.messages)).toEqual(["3", "4", "5"]);
      await expectError(context.admin().call("GET", `/v1/subjects/${subject}/messages/2`), "message_expired");
      expect((await context.client().publish({ subject, body: "6" })).sequence).toBe(6);
    });

    test("discard new: refused while it is full, accepted when there is room again", async () => {
      const subject = uniqueSubject("new");
      await put(subject, { max_messages: 2, discard: "new" });
      const results = await publish(subject, "1", "2", "3");
      expect(results.slice(0, 2).map((result) => expectReceipt(result).sequence)).toEqual([1, 2]);
      expect(expectClientError(results[2], "subject_full").retryable).toBe(true);
      await context.admin().purge(subject, 1);
      expect((await context.client().publish({ subject, body: "3" })).sequence).toBe(3);
      expect(textsOf((await context.client().read(subject)).messages)).toEqual(["2", "3"]);
    });

    test("a duplicate is answered although the subject is full", async () => {
      const subject = uniqueSubject("full");
      await put(subject, { max_messages: 1, discard: "new" });
      const draft = { subject, body: "1", messageId: "once" };
      expect((await context.client().publish(draft)).duplicate).toBe(false);
      expect(await context.client().publish(draft)).toMatchObject({ sequence: 1, duplicate: true });
      await expectError(context.client().publish({ subject, body: "2" }), "subject_full");
    });

    test("bytes: the oldest go until the rest fits; a body larger than the limit is refused", async () => {
      const subject = uniqueSubject("bytes");
      await put(subject, { max_bytes: 10 });
      await publish(subject, "aaaa", "bbbb", "cccc");
      expect(textsOf((await context.client().read(subject)).messages)).toEqual(["bbbb", "cccc"]);
      await expectError(context.client().publish({ subject, body: "x".repeat(11) }), "subject_full");
      expect((await context.client().publish({ subject, body: "x".repeat(10) })).sequence).toBe(4);
      expect(sequencesOf((await context.client().read(subject)).messages)).toEqual([4]);
    });

    test("the most specific filter decides alone", async () => {
      const root = uniqueSubject("rank");
      await put(`${root}.>`, { max_messages: 1 });
      await put(`${root}.*`, { max_messages: 2 });
      await put(`${root}.exact`, { max_bytes: 1000 });
      const kept = async (subject: string): Promise<number> => {
        await publish(subject, "1", "2", "3");
        return (await context.client().read(subject)).messages.length;
      };
      expect(await kept(`${root}.deep.er`)).toBe(1);
      expect(await kept(`${root}.other`)).toBe(2);
      expect(await kept(`${root}.exact`)).toBe(3);
      expect(await kept(root)).toBe(3);
      // Without its own, the wider one decides.
      await context.admin().call("DELETE", policyPath(`${root}.exact`));
      expect(await kept(`${root}.exact`)).toBe(2);
    });

    test("age: gone for every read, with no sweep in between; sequences go on", async () => {
      const subject = uniqueSubject("age");
      await publish(subject, "1", "2");
      await put(subject, { max_age: "50ms" });
      const page = await until(
        () => context.client().read(subject),
        ({ messages }) => messages.length === 0,
      );
      expect([page.firstSequence, page.lastSequence, page.nextSequence]).toEqual([3, 2, 3]);
      const details = await context.admin().subject(subject);
      expect([details.integer("messages"), details.integer("bytes")]).toEqual([0, 0]);
      await put(subject, { max_age: "1h" });
      expect((await context.client().publish({ subject, body: "3" })).sequence).toBe(3);
      expect(textsOf((await context.client().read(subject, { from: 1 })).messages)).toEqual(["3"]);
    });

    test("consumers pass over what expired before they came to it", async () => {
      const subject = uniqueSubject("consumers");
      await context.admin().putConsumer(subject, "shared", { ack: "explicit" });
      await publish(subject, ...upTo(6).map(String));
      expect(sequencesOf((await context.client().fetch(subject, "plain", { limit: 2 })).messages)).toEqual([1, 2]);
      expect(sequencesOf((await context.client().fetch(subject, "shared", { limit: 2 })).messages)).toEqual([1, 2]);
      await put(subject, { max_messages: 2 });
      await publish(subject, "7");
      for (const name of ["plain", "shared"]) {
        expect(sequencesOf((await context.client().fetch(subject, name, { limit: 10 })).messages)).toEqual([6, 7]);
      }
      // Leases of what is gone are settled.
      await context.client().ack(subject, "shared", { sequences: [6, 7] });
      expect(await context.admin().consumer(subject, "shared")).toMatchObject({
        ackedThrough: 7,
        pending: 0,
        ackPending: 0,
      });
    });
  });
};
