/**
 * Upkeep by real servers over both pairs of stores: what a policy no longer keeps leaves the disk, what it keeps stays,
 * and whoever reads meanwhile goes on.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BodyStore } from "../bodies/contract.ts";
import { openFileBodies } from "../bodies/files/index.ts";
import { parseSubject } from "../core/subject.ts";
import { openSqliteMetadata } from "../metadata/sqlite/index.ts";
import { runCli } from "../testing/cli.ts";
import { someBytes, textsOf, upTo } from "../testing/expectations.ts";
import { HttpClient } from "../testing/http-client.ts";
import { useBackends } from "../testing/nodes/use-cluster.ts";
import { metric, putPolicy, until } from "../testing/policies.ts";
import { startTestServer, type TestServer, uniqueSubject } from "../testing/server.ts";
import { WsClient } from "../testing/ws-client.ts";
import { runPass } from "./pass.ts";
import { RemovedObjects } from "./removed.ts";

setDefaultTimeout(30_000);

const KiB = 1024;
// Objects that were rewritten go when pointers into them are over.
const flags = ["--sweep-interval", "30ms", "--sweep-grace", "50ms", "--pointer-lifetime", "1s"];

/** What the doctor says, of a stopped server or beside a running one. */
const doctor = async (server: TestServer, env: Readonly<Record<string, string>>) => {
  const { stdout } = await runCli(["doctor", "--json", "--data-dir", server.dataDir], { env });
  return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
};

const defineUpkeep = (name: string, env: () => Readonly<Record<string, string>>, isEmbedded: boolean): void => {
  describe(name, () => {
    test("expired messages and their objects go, the others stay", async () => {
      await using server = await startTestServer({ env: env(), flags });
      const http = new HttpClient(server.url);
      const [short, long] = [uniqueSubject("short"), uniqueSubject("long")];
      await putPolicy(server.url, short, { max_age: "100ms" });
      const kept = someBytes(300 * KiB, 1);
      await http.publish({ subject: long, body: kept });
      for (const seed of upTo(3)) await http.publish({ subject: short, body: someBytes(300 * KiB, seed) });
      await http.publish({ subject: short, body: "small" });
      await until(
        () => metric(server.url, "mts_deleted_objects_total"),
        (objects) => objects >= 3,
      );
      const page = await until(
        () => http.read(short),
        ({ messages }) => messages.length === 0,
      );
      expect(page).toMatchObject({ firstSequence: 5, lastSequence: 4 });
      expect(Buffer.compare((await http.read(long)).messages[0]?.body ?? new Uint8Array(0), kept)).toBe(0);
      // A publish deletes what is expired of its subject, too; nobody but upkeep deletes the last message.
      await until(
        () => metric(server.url, "mts_expired_messages_total"),
        (expired) => expired > 0,
      );
      expect(await metric(server.url, "mts_sweep_failures_total")).toBe(0);
      if (isEmbedded) await server.stop();
      expect(await doctor(server, env())).toMatchObject({ healthy: true, problems: 0, orphan_list: [] });
      if (isEmbedded) await server.start();
    });

    test("objects of which little is left are rewritten while others read, and their room is given back", async () => {
      await using server = await startTestServer({ env: env(), flags });
      const http = new HttpClient(server.url);
      const subject = uniqueSubject("sparse");
      const messages = upTo(100).map((sequence) => ({ subject, body: someBytes(20 * KiB, sequence) }));
      await http.publishBatch(messages);
      const moved = async () => metric(server.url, "mts_moved_messages_total");
      const before = await moved();
      await http.purge(subject, 90);
      const expectAll = async (): Promise<void> => {
        const page = await http.read(subject, { limit: 100 });
        expect(page.messages.map(({ sequence }) => sequence)).toEqual(upTo(10, 91));
        for (const { sequence, body } of page.messages) {
          expect(Buffer.compare(body, someBytes(20 * KiB, sequence))).toBe(0);
        }
      };
      const deleted = await metric(server.url, "mts_deleted_objects_total");
      await until(
        async () => {
          await expectAll();
          return (await metric(server.url, "mts_deleted_objects_total")) - deleted;
        },
        (objects) => objects > 0,
      );
      expect((await moved()) - before).toBeGreaterThanOrEqual(10);
      await expectAll();
      expect(await metric(server.url, "mts_damaged_bodies_total")).toBe(0);
      if (isEmbedded) await server.stop();
      expect(await doctor(server, env())).toMatchObject({ healthy: true, problems: 0 });
      if (isEmbedded) await server.start();
    });

    test("a subscription and a consumer go on while a subject expires", async () => {
      await using server = await startTestServer({ env: env(), flags });
      const http = new HttpClient(server.url);
      const subject = uniqueSubject("flow");
      await putPolicy(server.url, subject, { max_messages: 5 });
      const client = await WsClient.connect(server.wsUrl);
      const subscription = await client.subscribe(subject);
      await http.fetch(subject, "worker", { limit: 1 });
      for (const sequence of upTo(40)) await http.publish({ subject, body: String(sequence) });
      await subscription.count(40);
      expect(subscription.sequences()).toEqual(upTo(40));
      expect(textsOf((await http.fetch(subject, "worker", { limit: 100 })).messages)).toEqual(upTo(5, 36).map(String));
      await client.close();
    });
  });
};

defineUpkeep("SQLite and files", () => ({}), true);

describe("over remote stores", () => {
  const backends = useBackends();
  defineUpkeep("Tarantool and S3", () => backends().env(), false);

  test("two nodes share the work, and a sweep beside them finds nothing wrong", async () => {
    await using a = await startTestServer({ env: backends().env(), flags });
    await using b = await startTestServer({ env: backends().env(), flags });
    const subject = uniqueSubject("shared");
    const http = new HttpClient(a.url);
    for (const seed of upTo(20)) await http.publish({ subject, body: someBytes(300 * KiB, seed) });
    await putPolicy(b.url, subject, { max_messages: 1 });
    const { messages } = await until(
      () => new HttpClient(b.url).read(subject),
      (page) => page.firstSequence > 1,
    );
    expect(messages.map(({ sequence }) => sequence)).toEqual([20]);
    await until(
      () => doctor(a, backends().env()),
      ({ orphans }) => orphans === 0,
    );
    const swept = await runCli(["sweep", "--orphans"], { env: backends().env() });
    expect(swept).toMatchObject({ code: 0, stderr: "" });
    expect(await doctor(a, backends().env())).toMatchObject({ healthy: true });
  });
});

describe("one pass", () => {
  test("a deleted object is forgotten only when no publish can point into it any more", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mts-upkeep-"));
    await using held = new AsyncDisposableStack();
    held.defer(() => rm(folder, { recursive: true }));
    let nowMs = 1_000_000;
    const metadata = await openSqliteMetadata({
      path: join(folder, "metadata.sqlite"),
      clock: () => nowMs,
      dedupeWindowMs: 1000,
    });
    held.defer(() => metadata.close());
    const bodies: BodyStore = await openFileBodies({ path: join(folder, "bodies") });
    held.defer(() => bodies.close());
    const removed = new RemovedObjects(500, () => nowMs);
    const pass = (graceMs: number) =>
      runPass(
        { metadata, bodies },
        { graceMs, removed, orphans: false, clock: () => nowMs, rest: () => Promise.resolve() },
      );

    const subject = parseSubject("a");
    const sha256 = new Uint8Array(Bun.SHA256.hash("x").buffer);
    const [placement] = await bodies.writeSegment([new Uint8Array([120])]);
    const entry = { subject, headers: {}, body: { object: "", offset: 0, length: 1, sha256, ...placement } };
    await metadata.commit([entry]);
    await metadata.purge(subject, 1);
    await metadata.reclaimed();
    expect(await pass(100)).toMatchObject({ objects: 0 });
    nowMs += 100;
    expect(await pass(100)).toMatchObject({ objects: 1, bytes: 1, left: 0 });
    // Written before the object went, committed after.
    expect(await metadata.commit([entry])).toEqual([{ status: "body_gone" }]);
    nowMs += 499;
    expect(await pass(100)).toMatchObject({ objects: 0 });
    expect(await metadata.countDead()).toBe(1);
    nowMs += 1;
    await pass(100);
    expect(await metadata.countDead()).toBe(0);
  });
});
