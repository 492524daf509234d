/**
 * The server dies by `kill -9` at every step of a publish, an acknowledgement, a fetch and a purge; what it promised
 * before holds afterwards.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import { makeFolder } from "./folder.ts";
import { Ledger, readAll } from "./ledger.ts";
import { AckBook, consumeUntilGone, markedBody, publishUntilGone } from "./load.ts";
import type { FaultPoint } from "./plan.ts";
import { ServerProcess } from "./process.ts";

const KiB = 1024;
const caseMsMax = 25_000;

/** Dies at the hit-th passing of the point. */
const startDoomed = (dataDir: string, point: FaultPoint, hit: number): Promise<ServerProcess> =>
  ServerProcess.start({ dataDir, faults: [{ point, hit, act: "kill" }] });

const expectKilled = async (server: ServerProcess, point: FaultPoint): Promise<void> => {
  const { signal } = await server.exited;
  if (signal !== "SIGKILL") throw new Error(`it ended, but not at ${point}:\n${server.stderr}`);
};

/** Everything that publishes at once: pipelined and one by one, both subprotocols and HTTP, small and large bodies. */
const publishOnAllWays = async (server: ServerProcess, ledger: Ledger): Promise<void> => {
  const [first, second, large] = await Promise.all([
    WsClient.connect(server.wsUrl),
    WsClient.connect(server.wsUrl, "mts.json.v1"),
    WsClient.connect(server.wsUrl),
  ]);
  const http = new HttpClient(server.url);
  const messagesMax = 20_000;
  const small = (index: number): number => (index * 137) % 3000;
  await Promise.all([
    publishUntilGone(first, ledger, {
      lane: "ws",
      subjects: ["a", "b", "c"],
      window: 64,
      messagesMax,
      bodyBytes: small,
    }),
    publishUntilGone(second, ledger, { lane: "json", subjects: ["a"], window: 8, messagesMax, bodyBytes: small }),
    publishUntilGone(http, ledger, { lane: "http", subjects: ["b"], window: 1, messagesMax, bodyBytes: small }),
    // Large ones among small ones of the same connection and subject, sent whole.
    publishUntilGone(large, ledger, {
      lane: "large",
      subjects: ["c", "d"],
      window: 4,
      messagesMax: 400,
      bodyBytes: (index) => (index % 3 === 0 ? 300 * KiB : 100),
    }),
    // And streamed.
    publishUntilGone(http, ledger, {
      lane: "stream",
      subjects: ["d"],
      window: 1,
      messagesMax: 100,
      bodyBytes: () => 1100 * KiB,
    }),
  ]);
};

const publishPoints: readonly (readonly [FaultPoint, number])[] = [
  ["segment.write.before", 1],
  ["segment.write.before", 5],
  ["segment.write.half", 1],
  ["segment.write.half", 4],
  ["segment.sync.before", 2],
  ["segment.sync.after", 1],
  ["segment.sync.after", 6],
  ["segment.folder.before", 1],
  ["segment.folder.after", 1],
  ["object.write.half", 3],
  ["object.sync.before", 2],
  ["object.rename.before", 1],
  ["object.rename.after", 3],
  ["object.folder.after", 2],
  ["commit.before", 1],
  ["commit.before", 7],
  ["commit.after", 1],
  ["commit.after", 8],
];

describe("killed while publishing", () => {
  test.each(publishPoints)(
    "at %s, passing %d",
    async (point, hit) => {
      await using folder = await makeFolder();
      const ledger = new Ledger();
      {
        await using server = await startDoomed(folder.path, point, hit);
        await Promise.all([publishOnAllWays(server, ledger), expectKilled(server, point)]);
      }
      expect(ledger.count("refused")).toBe(0);
      expect(ledger.count("unknown")).toBeGreaterThan(0);
      await using server = await ServerProcess.start({ dataDir: folder.path });
      await ledger.prove(server.url);
    },
    caseMsMax,
  );
});

/** A subject with this many messages, published and proven before anything else happens. */
const publishSome = async (dataDir: string, subject: string, count: number): Promise<Ledger> => {
  const ledger = new Ledger();
  await using server = await ServerProcess.start({ dataDir });
  const client = await WsClient.connect(server.wsUrl);
  await publishUntilGone(client, ledger, {
    lane: "before",
    subjects: [subject],
    window: 32,
    messagesMax: count,
    bodyBytes: () => 200,
  });
  await client.close();
  expect(ledger.count("acknowledged")).toBe(count);
  return ledger;
};

describe("killed while a consumer is served", () => {
  const points: readonly (readonly [FaultPoint, number])[] = [
    ["ack.before", 3],
    ["ack.after", 3],
    ["pull.before", 4],
    ["pull.after", 4],
  ];

  test.each(points)(
    "ack: all, at %s, passing %d: an acknowledged position is never lost",
    async (point, hit) => {
      await using folder = await makeFolder();
      const ledger = await publishSome(folder.path, "jobs", 100);
      const book = new AckBook();
      {
        await using server = await startDoomed(folder.path, point, hit);
        const client = await WsClient.connect(server.wsUrl);
        await Promise.all([consumeUntilGone(client, "jobs", "worker", book), expectKilled(server, point)]);
      }
      expect(book.acknowledgedThrough).toBeGreaterThan(0);
      await using server = await ServerProcess.start({ dataDir: folder.path });
      await ledger.prove(server.url);
      const http = new HttpClient(server.url);
      const { ackedThrough } = await http.consumer("jobs", "worker");
      expect(ackedThrough).toBeGreaterThanOrEqual(book.acknowledgedThrough);
      expect(ackedThrough).toBeLessThanOrEqual(book.requestedThrough);
      const page = await http.fetch("jobs", "worker", { limit: 1 });
      expect(page.messages[0]?.sequence).toBe(ackedThrough + 1);
    },
    caseMsMax,
  );

  test.each(points)(
    "ack: explicit, at %s, passing %d: what was acknowledged never comes again, all else does",
    async (point, hit) => {
      await using folder = await makeFolder();
      await publishSome(folder.path, "jobs", 100);
      const acknowledged = new Set<number>();
      const requested = new Set<number>();
      {
        await using server = await startDoomed(folder.path, point, hit);
        const client = await WsClient.connect(server.wsUrl);
        await new HttpClient(server.url).putConsumer("jobs", "worker", { ack: "explicit", ack_wait_ms: 500 });
        const work = async (): Promise<void> => {
          for (;;) {
            const page = await client.fetch("jobs", "worker", { limit: 10, waitMs: 30_000 });
            // Every second one, so that there are holes.
            const sequences = page.messages.map(({ sequence }) => sequence).filter((sequence) => sequence % 2 === 0);
            for (const sequence of sequences) requested.add(sequence);
            await client.ack("jobs", "worker", { sequences });
            for (const sequence of sequences) acknowledged.add(sequence);
          }
        };
        await Promise.all([work().catch(() => undefined), expectKilled(server, point)]);
      }
      expect(acknowledged.size).toBeGreaterThan(0);

      await using server = await ServerProcess.start({ dataDir: folder.path });
      const http = new HttpClient(server.url);
      const state = await http.consumer("jobs", "worker");
      const settled = 100 - state.pending;
      expect(settled).toBeGreaterThanOrEqual(acknowledged.size);
      expect(settled).toBeLessThanOrEqual(requested.size);
      const again = new Set<number>();
      while ((await http.consumer("jobs", "worker")).pending > 0) {
        const page = await http.fetch("jobs", "worker", { limit: 100, waitMs: 10_000 });
        const sequences = page.messages.map(({ sequence }) => sequence);
        for (const sequence of sequences) again.add(sequence);
        if (sequences.length > 0) await http.ack("jobs", "worker", { sequences });
      }
      expect(again.size).toBe(100 - settled);
      expect([...acknowledged].filter((sequence) => again.has(sequence))).toEqual([]);
      expect((await http.consumer("jobs", "worker")).ackedThrough).toBe(100);
    },
    caseMsMax,
  );
});

describe("killed while purging", () => {
  test.each([
    ["purge.before", 1],
    ["purge.after", 11],
  ] as const)(
    "at %s the first message is %d: all or nothing was deleted, and sequences go on",
    async (point, firstSequence) => {
      await using folder = await makeFolder();
      await publishSome(folder.path, "old", 20);
      {
        await using server = await startDoomed(folder.path, point, 1);
        const outcome = await new HttpClient(server.url).purge("old", 10).catch((error: unknown) => error);
        expect(outcome).toBeInstanceOf(Error);
        await expectKilled(server, point);
      }
      await using server = await ServerProcess.start({ dataDir: folder.path });
      const http = new HttpClient(server.url, "msgpack");
      const page = await http.read("old", { limit: 100 });
      expect([page.firstSequence, page.lastSequence, page.messages.length]).toEqual([
        firstSequence,
        20,
        21 - firstSequence,
      ]);
      const receipt = await http.publish({ subject: "old", body: markedBody("after the purge", 50) });
      expect(receipt.sequence).toBe(21);
      expect(await http.purge("old", 10)).toBe(11 - firstSequence);
      expect((await readAll(http, "old")).map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: 11 }, (_, index) => index + 11),
      );
    },
    caseMsMax,
  );
});
