/**
 * Rewriting objects, over real stores: what is left of them is copied, room is given back, and nobody who reads notices.
 */
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConsumerName, parseSubject } from "../core/subject.ts";
import { openSqliteMetadata } from "../metadata/sqlite/index.ts";
import { type BrokerRig, draftOf, publishAll, startBrokerRig, stored, wholeOf } from "../testing/broker-rig.ts";
import { runCli } from "../testing/cli.ts";
import { someBytes, upTo } from "../testing/expectations.ts";
import { HttpClient } from "../testing/http-client.ts";
import { startTestServer } from "../testing/server.ts";
import { type CompactionChoice, CompactionMemory, type DamagedBody, findSparse } from "./compaction.ts";
import { runPass } from "./pass.ts";
import { RemovedObjects } from "./removed.ts";

const orders = parseSubject("orders");
const graceMs = 1000;
const lingerMs = 60_000;
const choice: CompactionChoice = { aliveShareMax: 0.5, tinyBytes: 1024 * 1024, pointerLifetimeMs: lingerMs };

/** One pass of upkeep after the other, by one process. */
const upkeepOf = ({ metadata, bodies, clock }: BrokerRig, own: CompactionChoice = choice) => {
  const removed = new RemovedObjects(0, () => clock.nowMs);
  const memory = new CompactionMemory();
  const found: DamagedBody[] = [];
  const pass = () =>
    runPass(
      { metadata, bodies },
      {
        ...{ graceMs, removed, orphans: false, clock: () => clock.nowMs, rest: () => Promise.resolve() },
        compaction: { ...own, memory },
        onDamaged: (body) => found.push(body),
      },
    );
  return { pass, found };
};

/** Bytes of all objects of the body store. */
const storeBytes = async ({ bodies }: BrokerRig): Promise<number> => {
  let bytes = 0;
  for await (const page of bodies.list()) for (const object of page) bytes += object.bytes;
  return bytes;
};

/** Objects into which messages of the subject point. */
const objectsOf = async ({ metadata }: BrokerRig): Promise<readonly string[]> => {
  const { envelopes } = await metadata.range(orders, 1, { limit: 10_000, bodyBytesMax: Number.MAX_SAFE_INTEGER });
  return [...new Set(envelopes.map(({ body }) => body.object))];
};

const expectBodies = async (rig: BrokerRig, sequences: readonly number[], bytes: number): Promise<void> => {
  const page = await rig.broker.read(wholeOf(orders));
  expect(page.damaged).toEqual([]);
  expect(page.messages.map(({ sequence }) => sequence)).toEqual([...sequences]);
  for (const { sequence, body } of page.messages) {
    expect(Buffer.compare(body, someBytes(bytes, sequence)), String(sequence)).toBe(0);
  }
};

/** Messages of so many bytes, in one write. */
const publishSome = (rig: BrokerRig, count: number, bytes: number, first = 1) =>
  publishAll(
    rig,
    upTo(count, first).map((sequence) => draftOf("orders", someBytes(bytes, sequence))),
  );

describe.each([false, true])("over a store that compresses: %p", (compress) => {
  test("a sparse object is rewritten, and goes when pointers into it are over", async () => {
    await using rig = await startBrokerRig({ compress });
    await publishSome(rig, 100, 10_000);
    await rig.purge("orders", 75);
    const before = await objectsOf(rig);
    const { pass } = upkeepOf(rig);
    // Just written: somebody may be about to commit what is in there.
    expect(await pass()).toMatchObject({ rewritten: 0, moved: 0 });
    rig.clock.advance(graceMs);
    const pointer = await (await rig.broker.message(orders, 80)).pointer();
    expect(await pass()).toMatchObject({ rewritten: 1, moved: 25, movedBytes: 250_000, damaged: 0, objects: 0 });
    await expectBodies(rig, upTo(25, 76), 10_000);
    expect(await objectsOf(rig)).not.toEqual(before);
    // Twice finds nothing more.
    rig.clock.advance(graceMs);
    expect(await pass()).toMatchObject({ rewritten: 0, moved: 0, objects: 0 });
    rig.clock.advance(lingerMs - graceMs - 1);
    expect(await pass()).toMatchObject({ objects: 0 });
    const { bytes } = await rig.broker.signedBody(pointer.url.split("/").at(-1) ?? "");
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes) chunks.push(chunk);
    expect(Buffer.compare(Buffer.concat(chunks), someBytes(10_000, 80))).toBe(0);
    rig.clock.advance(graceMs + 1);
    expect(await pass()).toMatchObject({ objects: 1, bytes: 1_000_000, rewritten: 0 });
    expect(await storeBytes(rig)).toBe(250_000);
    await expectBodies(rig, upTo(25, 76), 10_000);
  });

  test("what is used by more than the share stays", async () => {
    await using rig = await startBrokerRig({ compress });
    await publishSome(rig, 100, 20_000);
    await rig.purge("orders", 49);
    const before = await objectsOf(rig);
    const { pass } = upkeepOf(rig);
    rig.clock.advance(graceMs);
    expect(await pass()).toMatchObject({ moved: 0 });
    expect(await objectsOf(rig)).toEqual(before);
    expect(await upkeepOf(rig, { ...choice, aliveShareMax: 0 }).pass()).toMatchObject({ moved: 0 });
  });

  test("messages that went from the middle", async () => {
    await using rig = await startBrokerRig({ compress });
    const kept = [10, 50, 90];
    await publishAll(
      rig,
      upTo(100).map((sequence) =>
        draftOf("orders", someBytes(10_000, sequence), kept.includes(sequence) ? {} : { ttlMs: 500 }),
      ),
    );
    rig.clock.advance(graceMs);
    const { pass } = upkeepOf(rig);
    expect(await pass()).toMatchObject({ expired: 97, moved: 3, movedBytes: 30_000 });
    await expectBodies(rig, kept, 10_000);
  });
});

test("large bodies are copied chunk by chunk, small ones together", async () => {
  await using rig = await startBrokerRig({ bodyBytesMax: 64 * 1024 * 1024 });
  const { metadata, bodies } = rig;
  // One object with two large bodies, as another program, or a publish that was written again, leaves it.
  const parts = [someBytes(20_000_000, 1), someBytes(20_000_000, 2), someBytes(30_000_000, 3)];
  const whole = await bodies.writeObject(Buffer.concat(parts));
  let offset = 0;
  for (const part of parts) {
    const sha256 = new Bun.CryptoHasher("sha256").update(part).digest();
    await metadata.commit([{ subject: orders, headers: {}, body: { ...whole, offset, length: part.length, sha256 } }]);
    offset += part.length;
  }
  await rig.purge("orders", 2);
  rig.clock.advance(graceMs);
  expect(await upkeepOf(rig).pass()).toMatchObject({ rewritten: 1, moved: 1, movedBytes: 30_000_000 });
  const message = await rig.broker.message(orders, 3);
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of (await message.body()) as AsyncIterable<Uint8Array>) hasher.update(chunk);
  expect(Buffer.compare(hasher.digest(), message.envelope.body.sha256)).toBe(0);
  expect(await objectsOf(rig)).not.toContain(whole.object);
});

test("many tiny objects become one, and a few stay as they are", async () => {
  await using rig = await startBrokerRig();
  const { bodies, clock } = rig;
  for (const sequence of upTo(15)) {
    await publishSome(rig, 1, 5000, sequence);
    await bodies.seal?.(await objectsOf(rig));
  }
  clock.advance(graceMs);
  const { pass } = upkeepOf(rig);
  expect(await pass()).toMatchObject({ rewritten: 0 });
  expect(await objectsOf(rig)).toHaveLength(15);
  for (const sequence of upTo(5, 16)) {
    await publishSome(rig, 1, 5000, sequence);
    await bodies.seal?.(await objectsOf(rig));
  }
  clock.advance(graceMs);
  expect(await findSparse(rig.metadata, choice, graceMs)).toHaveLength(20);
  expect(await pass()).toMatchObject({ rewritten: 20, moved: 20, movedBytes: 100_000 });
  expect(await objectsOf(rig)).toHaveLength(1);
  await expectBodies(rig, upTo(20), 5000);
  clock.advance(lingerMs + graceMs);
  expect(await pass()).toMatchObject({ objects: 20 });
  expect(await storeBytes(rig)).toBe(100_000);
});

test("a pass ends although ever new tiny objects come of age", async () => {
  await using rig = await startBrokerRig();
  const { metadata, bodies, clock } = rig;
  let published = 0;
  const publishTiny = async (): Promise<void> => {
    for (const sequence of upTo(16, published + 1)) {
      await publishSome(rig, 1, 100, sequence);
      await bodies.seal?.(await objectsOf(rig));
    }
    published += 16;
    clock.advance(graceMs);
  };
  await publishTiny();
  const figures = await runPass(
    { metadata, bodies },
    {
      ...{ graceMs, removed: new RemovedObjects(0, () => clock.nowMs), orphans: false, clock: () => clock.nowMs },
      compaction: { ...choice, memory: new CompactionMemory() },
      rest: publishTiny,
    },
  );
  expect(figures.moved).toBeLessThan(published);
  await expectBodies(rig, upTo(published), 100);
});

test("several messages that share one body, dead letters and delayed ones keep it", async () => {
  await using rig = await startBrokerRig();
  const { broker, clock } = rig;
  const name = parseConsumerName("worker");
  await broker.putConsumer(orders, name, {
    ...{ start: { kind: "first" }, ack: "explicit", ackWaitMs: 30_000, maxDeliver: 1, maxAckPending: 1000 },
    deadLetter: parseSubject("dead"),
  });
  await publishSome(rig, 50, 10_000);
  await broker.fetch({
    ...{ subject: orders, consumer: name, limit: 50 },
    bodyBytesMax: 1e7,
    waitMs: 0,
    autoAck: false,
  });
  await broker.nack(orders, name, [49, 50], 0);
  await rig.purge("orders", 49);
  clock.advance(graceMs);
  expect(await upkeepOf(rig).pass()).toMatchObject({ rewritten: 1, moved: 3, movedBytes: 20_000 });
  await expectBodies(rig, [50], 10_000);
  expect(
    (await stored(rig, "dead")).map(({ body }, index) => Buffer.compare(body, someBytes(10_000, 49 + index))),
  ).toEqual([0, 0]);
  // An object with a delayed message is left alone, so that it finds its body.
  await broker.publish([
    ...upTo(10, 51).map((sequence) => draftOf("orders", someBytes(10_000, sequence))),
    draftOf("later", someBytes(10_000, 99), { deliverAt: { inMs: 3_600_000 } }),
  ]);
  await rig.purge("orders", 60);
  clock.advance(graceMs);
  const { pass } = upkeepOf(rig);
  await pass();
  clock.advance(3_600_000);
  await pass();
  expect((await rig.metadata.commitDue(10)).committed + (await stored(rig, "later")).length).toBeGreaterThan(0);
  expect((await stored(rig, "later")).map(({ body }) => Buffer.compare(body, someBytes(10_000, 99)))).toEqual([0]);
});

test("a damaged body is told once and left where it is, the others are copied", async () => {
  await using rig = await startBrokerRig();
  await publishSome(rig, 100, 10_000);
  await rig.purge("orders", 90);
  const [object = ""] = await objectsOf(rig);
  const path = join(rig.folder, object);
  const bytes = await Bun.file(path).bytes();
  bytes[95 * 10_000 + 5] = (bytes[95 * 10_000 + 5] ?? 0) ^ 1;
  await Bun.write(path, bytes);
  rig.clock.advance(graceMs);
  const { pass, found } = upkeepOf(rig);
  expect(await pass()).toMatchObject({ moved: 9, damaged: 1 });
  expect(found).toEqual([{ object, offset: 95 * 10_000, length: 10_000 }]);
  for (let round = 0; round < 3; round++) {
    rig.clock.advance(60 * 60_000);
    expect(await pass()).toMatchObject({ moved: 0, damaged: 0, objects: 0 });
  }
  expect(found).toHaveLength(1);
  expect((await stat(path)).size).toBe(1_000_000);
  const page = await rig.broker.read(wholeOf(orders));
  expect(page.messages.map(({ sequence }) => sequence)).toEqual([91, 92, 93, 94, 95, 97, 98, 99, 100]);
  expect(page.damaged).toMatchObject([{ sequence: 96, error: { code: "data_loss" } }]);
});

test("messages that go while their bodies are copied leave nothing behind", async () => {
  await using rig = await startBrokerRig();
  await publishSome(rig, 100, 10_000);
  await rig.purge("orders", 75);
  rig.clock.advance(graceMs);
  const { metadata, bodies, clock } = rig;
  const memory = new CompactionMemory();
  const removed = new RemovedObjects(0, () => clock.nowMs);
  const options = {
    ...{ graceMs, removed, orphans: false, clock: () => clock.nowMs, rest: () => Promise.resolve() },
    compaction: { ...choice, memory },
  };
  const purging = {
    ...bodies,
    writeSegment: async (parts: readonly Uint8Array[]) => {
      const placements = await bodies.writeSegment(parts);
      await rig.purge("orders", 100);
      return placements;
    },
  };
  expect(await runPass({ metadata, bodies: purging }, options)).toMatchObject({ moved: 0 });
  clock.advance(lingerMs + graceMs);
  await runPass({ metadata, bodies }, options);
  clock.advance(lingerMs + graceMs);
  await runPass({ metadata, bodies }, options);
  expect(await storeBytes(rig)).toBe(0);
});

test("the command says what there is to rewrite, and rewrites it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mts-compaction-"));
  await using held = new AsyncDisposableStack();
  held.defer(() => rm(folder, { recursive: true, force: true }));
  {
    await using server = await startTestServer({ dataDir: folder, flags: ["--sweep-interval", "off"] });
    const http = new HttpClient(server.url);
    await http.publishBatch(upTo(100).map((sequence) => ({ subject: "orders", body: someBytes(10_240, sequence) })));
    await http.purge("orders", 90);
  }
  // The rows of what was purged go behind the answer, and the server may have ended before.
  const path = join(folder, "metadata.sqlite");
  const metadata = await openSqliteMetadata({ path, clock: Date.now, dedupeWindowMs: 120_000 });
  await metadata.reclaimed();
  await metadata.close();
  const sweep = async (...words: readonly string[]) => {
    const { code, stdout } = await runCli(["sweep", "--data-dir", folder, "--grace", "0s", ...words]);
    return { code, lines: stdout.trimEnd().split("\n") };
  };
  const toRewrite = "1 object to rewrite (100.0 KiB to copy)";
  for (let round = 0; round < 2; round++) {
    expect(await sweep("--dry-run")).toEqual({ code: 0, lines: ["0 objects noted for deletion", toRewrite] });
  }
  expect(await sweep()).toEqual({
    code: 0,
    lines: [
      "0 messages expired, 1 object rewritten (100.0 KiB copied), 0 objects deleted (0 B)",
      "1 object noted for later sweeps",
    ],
  });
  const nothing = "0 objects to rewrite (0 B to copy)";
  expect(await sweep("--dry-run")).toEqual({ code: 0, lines: ["1 object noted for deletion", nothing] });
  expect(await runCli(["doctor", "--data-dir", folder])).toMatchObject({ code: 0 });
});

test("two nodes do not get the same objects", async () => {
  await using rig = await startBrokerRig();
  await publishSome(rig, 100, 10_000);
  await rig.purge("orders", 75);
  rig.clock.advance(graceMs);
  const passes = await Promise.all([upkeepOf(rig).pass(), upkeepOf(rig).pass()]);
  expect(passes.map(({ moved }) => moved).sort()).toEqual([0, 25]);
  await expectBodies(rig, upTo(25, 76), 10_000);
});
