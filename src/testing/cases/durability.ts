/**
 * What must be the same after the process ended, cleanly or not. These cases have a server of their own.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { StreamClient } from "../client.ts";
import { expectBytes, expectError, expectReceipt, sequencesOf, someBytes, textsOf, upTo } from "../expectations.ts";
import { HttpClient } from "../http-client.ts";
import { startTestServer, uniqueSubject } from "../server.ts";
import type { MakeClient } from "./context.ts";

/** The group. */
export const defineDurability = (makeClient: MakeClient): void => {
  describe("after a restart", () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      test(`everything acknowledged is there (${signal})`, async () => {
        await using server = await startTestServer();
        const [subject, emptied] = [uniqueSubject("durable"), uniqueSubject("durable")];
        const large = someBytes(600 * 1024, 7);

        let client = await makeClient(server);
        const first = await client.publish({ subject, body: "1", headers: { k: "Ж" }, messageId: "once" });
        await client.publish({ subject, body: large });
        expectReceipt((await client.publishBatch([{ subject, body: "3" }]))[0]);
        await client.publishBatch(upTo(3).map(() => ({ subject: emptied, body: "x" })));
        await prepareConsumers(client, new HttpClient(server.url), subject, emptied);
        const { epoch } = await client.read(subject);
        await server.restart(signal);

        client = await makeClient(server);
        const page = await client.read(subject);
        expect(page).toMatchObject({ epoch, firstSequence: 1, lastSequence: 3, nextSequence: 4 });
        expect(page.messages[0]).toMatchObject({ timestampMs: first.timestampMs, headers: { k: "Ж" } });
        expectBytes(page.messages[1]?.body, large);
        expect(textsOf(page.messages.slice(2))).toEqual(["3"]);
        const duplicate = await client.publish({ subject, body: "1", messageId: "once" });
        expect(duplicate).toEqual({ ...first, duplicate: true });
        await checkConsumers(client, new HttpClient(server.url), subject, emptied);
        expect(await client.publish({ subject, body: "4" })).toMatchObject({ sequence: 4 });
        await client.close();
      }, 30_000);
    }
  });
};

const prepareConsumers = async (
  client: StreamClient,
  admin: HttpClient,
  subject: string,
  emptied: string,
): Promise<void> => {
  await client.fetch(subject, "all");
  await client.ack(subject, "all", { sequence: 2 });
  await admin.putConsumer(subject, "leases", { ack: "explicit" });
  await client.fetch(subject, "leases", { limit: 2 });
  await client.ack(subject, "leases", { sequences: [2] });
  await admin.purge(emptied, 3);
};

const checkConsumers = async (
  client: StreamClient,
  admin: HttpClient,
  subject: string,
  emptied: string,
): Promise<void> => {
  expect(sequencesOf((await client.fetch(subject, "all")).messages)).toEqual([3]);
  // The lease of 1 outlives the process, the ack of 2 anyway.
  expect(sequencesOf((await client.fetch(subject, "leases")).messages)).toEqual([3]);
  expect(await client.ack(subject, "leases", { sequences: [1] })).toEqual({ ackedThrough: 2, moved: true });
  expect(await client.read(emptied)).toMatchObject({ messages: [], firstSequence: 4, lastSequence: 3 });
  await expectError(admin.message(emptied, 3), "message_expired");
  expect(await client.publish({ subject: emptied, body: "x" })).toMatchObject({ sequence: 4 });
};
