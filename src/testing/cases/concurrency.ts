/**
 * Many clients at once: dense sequences, each message once, nothing visible before it is committed.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { textsOf, upTo } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import type { CaseContext } from "./context.ts";

const clientCount = 20;
const publishesEach = 50;

/** The group. */
export const defineConcurrency = (context: CaseContext): void => {
  describe("concurrency", () => {
    test("20 clients publish 50 each: dense, each once, and a tail sees every message once and in order", async () => {
      const subject = uniqueSubject("crowd");
      const total = clientCount * publishesEach;
      const clients = await Promise.all(upTo(clientCount).map(() => context.open()));

      const seen: { sequence: number; text: string; timestampMs: number }[] = [];
      const tail = async (): Promise<void> => {
        while (seen.length < total) {
          const page = await context.client().read(subject, { from: seen.length + 1, limit: 200, waitMs: 10_000 });
          for (const [index, message] of page.messages.entries()) {
            expect(message.sequence).toBe(seen.length + 1);
            expect(message.sequence).toBeLessThanOrEqual(page.lastSequence);
            const text = textsOf([message])[0] ?? "";
            seen.push({ sequence: message.sequence, text, timestampMs: message.timestampMs });
            if (index === page.messages.length - 1) expect(page.nextSequence).toBe(message.sequence + 1);
          }
        }
      };

      const published = clients.map(async (client, who) => {
        const receipts = await Promise.all(
          upTo(publishesEach).map(async (index) => {
            const text = `${who} ${index}`;
            const receipt = await client.publish({ subject, body: text });
            return { sequence: receipt.sequence, text, timestampMs: receipt.timestampMs };
          }),
        );
        return receipts;
      });
      const [receipts] = await Promise.all([Promise.all(published), tail()]);
      const inOrder = receipts.flat().sort((a, b) => a.sequence - b.sequence);
      expect(inOrder.map((receipt) => receipt.sequence)).toEqual(upTo(total));
      expect(seen).toEqual(inOrder);
      const times = seen.map((message) => message.timestampMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    });

    test("many subjects at once stay apart", async () => {
      const subjects = upTo(50).map(() => uniqueSubject("many"));
      const clients = await Promise.all(upTo(4).map(() => context.open()));
      await Promise.all(
        clients.flatMap((client) => subjects.map((subject) => client.publish({ subject, body: subject }))),
      );
      for (const subject of subjects) {
        const page = await context.client().read(subject);
        expect(textsOf(page.messages)).toEqual(upTo(clients.length).map(() => subject));
      }
    });

    test("a consumer's workers settle every message exactly once", async () => {
      const subject = uniqueSubject("workers");
      const total = 300;
      await context.admin().putConsumer(subject, "c", { ack: "explicit", max_ack_pending: 40 });
      const workers = await Promise.all(upTo(4).map(() => context.open()));
      const done: number[] = [];
      const work = workers.map(async (worker) => {
        while (done.length < total) {
          const { messages } = await worker.fetch(subject, "c", { limit: 10, waitMs: 200 });
          if (messages.length === 0) continue;
          const sequences = messages.map((message) => message.sequence);
          await worker.ack(subject, "c", { sequences });
          done.push(...sequences);
        }
      });
      await Promise.all(
        upTo(6).map((part) =>
          context.client().publishBatch(upTo(total / 6).map((index) => ({ subject, body: `${part} ${index}` }))),
        ),
      );
      await Promise.all(work);
      expect(done.toSorted((a, b) => a - b)).toEqual(upTo(total));
      const state = await context.admin().consumer(subject, "c");
      expect(state).toMatchObject({ ackedThrough: total, pending: 0, ackPending: 0 });
    });
  });
};
