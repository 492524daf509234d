/**
 * Bodies as they are wanted: pointers and decoded ones in reads, fetches and subscriptions; and bodies that were moved
 * while somebody was about to read them.
 */
import { describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { StreamError } from "../core/errors.ts";
import type { ConsumerConfig } from "../core/message.ts";
import { parseConsumerName, parseSubject } from "../core/subject.ts";
import type { MetadataStore } from "../metadata/contract.ts";
import {
  type BrokerRig,
  CollectingSink,
  draftOf,
  publishAll,
  startBrokerRig,
  subscribeTo,
  textOf,
  wholeOf,
} from "../testing/broker-rig.ts";
import { someBytes } from "../testing/expectations.ts";
import { withReplaced } from "../testing/faults/seams.ts";
import type { Delivery } from "./contract.ts";

const orders = parseSubject("orders");
const worker = parseConsumerName("worker");
const gzip = { "content-encoding": "gzip", kind: "log" };

const explicit: ConsumerConfig = {
  ...{ start: { kind: "first" }, ack: "explicit", ackWaitMs: 30_000, maxDeliver: 0, maxAckPending: 100 },
};

const collect = async (chunks: AsyncIterable<Uint8Array> | null): Promise<Buffer> => {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks ?? []) all.push(chunk);
  return Buffer.concat(all);
};

/** What the address of a pointer gives. */
const bytesAt = async ({ broker }: BrokerRig, { pointer }: Delivery): Promise<Buffer> => {
  const token = pointer?.url.split("/").at(-1) ?? "";
  return collect((await broker.signedBody(token)).bytes);
};

const fetchRequest = (deliver: "pointer" | "decoded") => ({
  ...{ subject: orders, consumer: worker, limit: 100, bodyBytesMax: 8 * 1024 * 1024, waitMs: 0, autoAck: false },
  deliver,
});

test("a pointer does not outlive its message", async () => {
  await using rig = await startBrokerRig();
  const { broker, clock } = rig;
  await publishAll(rig, [{ ...draftOf("orders", "short"), ttlMs: 5000 }, draftOf("orders", "long")]);
  clock.advance(1000);
  const page = await broker.fetch(fetchRequest("pointer"));
  const lives = page.messages.map(({ pointer }) => (pointer?.expiresAtMs ?? 0) - clock.nowMs);
  expect(lives).toEqual([4000, 60_000]);
  clock.advance(4001);
  const [short] = page.messages;
  if (short === undefined) throw new Error("There is no message.");
  const refused: unknown = await bytesAt(rig, short).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ code: "permission_denied" });
});

/** The same messages by every way that hands out several of them, live ones too. */
const everyWay = async (
  rig: BrokerRig,
  deliver: "pointer" | "decoded",
  publish: () => Promise<unknown>,
  count: number,
): Promise<Readonly<Record<string, readonly Delivery[]>>> => {
  const live = new CollectingSink();
  await subscribeTo(rig, ">", live, { deliver });
  await publish();
  const [behind, leased] = [new CollectingSink(), new CollectingSink()];
  await subscribeTo(rig, "orders", behind, { deliver, from: { kind: "first" } });
  const leasing = parseConsumerName("leasing");
  for (const name of [worker, leasing]) await rig.broker.putConsumer(orders, name, explicit);
  await subscribeTo(rig, "orders", leased, { deliver, consumer: leasing });
  return {
    live: await live.count(count),
    behind: await behind.count(count),
    leased: await leased.count(count),
    read: (await rig.broker.read({ ...wholeOf(orders), deliver })).messages,
    peek: (await rig.broker.peek(orders, worker, 100, deliver)).messages,
    fetch: (await rig.broker.fetch(fetchRequest(deliver))).messages,
  };
};

describe.each([false, true])("pointers (store compresses: %p)", (compress) => {
  test("in place of bodies, by every way", async () => {
    await using rig = await startBrokerRig({ compress });
    const text = Buffer.from("line of a log\n".repeat(1000));
    const publish = () =>
      publishAll(rig, [
        draftOf("orders", text),
        draftOf("orders", ""),
        draftOf("orders", gzipSync(text), { headers: gzip }),
      ]);
    for (const [way, messages] of Object.entries(await everyWay(rig, "pointer", publish, 3))) {
      const [plain, empty, coded] = messages;
      expect(
        messages.map(({ body }) => body.length),
        way,
      ).toEqual([0, 0, 0]);
      expect(empty?.pointer, way).toBeUndefined();
      expect(plain?.pointer, way).toMatchObject({ size: text.length, contentEncoding: compress ? "zstd" : undefined });
      // What was encoded is not worth packing once more.
      expect(coded?.pointer, way).toMatchObject({ size: gzipSync(text).length, contentEncoding: "gzip" });
      if (plain === undefined || coded === undefined) throw new Error("There are no messages.");
      const there = await bytesAt(rig, plain);
      expect(Buffer.compare(compress ? Bun.zstdDecompressSync(there) : there, text), way).toBe(0);
      expect(Buffer.compare(await bytesAt(rig, coded), gzipSync(text)), way).toBe(0);
    }
    const message = await rig.broker.message(orders, 3);
    expect(await message.pointer()).toMatchObject({ size: gzipSync(text).length, contentEncoding: "gzip" });
    const empty = await rig.broker.message(orders, 2);
    expect(await empty.pointer().catch((thrown: unknown) => thrown)).toMatchObject({ code: "invalid_parameter" });
  });

  test("a page of them does not end where a page of bodies would", async () => {
    await using rig = await startBrokerRig({ compress });
    for (let n = 0; n < 5; n++) await publishAll(rig, [draftOf("orders", someBytes(3_000_000, n + 1))]);
    expect((await rig.broker.read(wholeOf(orders))).messages).toHaveLength(2);
    expect((await rig.broker.read({ ...wholeOf(orders), deliver: "pointer" })).messages).toHaveLength(5);
  });
});

describe("decoded bodies", () => {
  test("by every way; what does not decode comes as published", async () => {
    await using rig = await startBrokerRig({ bodyBytesMax: 100_000 });
    const drafts = [
      draftOf("orders", "as it is", { headers: { kind: "log" } }),
      draftOf("orders", gzipSync("one"), { headers: gzip }),
      draftOf("orders", zstdCompressSync(gzipSync("two")), { headers: { "content-encoding": "gzip, zstd" } }),
      draftOf("orders", "no gzip", { headers: gzip }),
      draftOf("orders", "unknown", { headers: { "content-encoding": "snappy" } }),
      draftOf("orders", gzipSync(new Uint8Array(100_001)), { headers: gzip }),
    ];
    const bomb = Buffer.from(drafts.at(-1)?.body as Uint8Array).toString("utf8");
    const ways = await everyWay(rig, "decoded", () => publishAll(rig, drafts), drafts.length);
    for (const [way, messages] of Object.entries(ways)) {
      expect(textOf(messages), way).toEqual(["as it is", "one", "two", "no gzip", "unknown", bomb]);
      expect(
        messages.map(({ headers }) => headers),
        way,
      ).toEqual([{ kind: "log" }, { kind: "log" }, {}, gzip, { "content-encoding": "snappy" }, gzip]);
      for (const { body, sha256 } of messages) {
        expect(Buffer.compare(new Bun.CryptoHasher("sha256").update(body).digest(), sha256), way).toBe(0);
      }
    }
    const codedOf = async (sequence: number) => {
      const decoded = await (await rig.broker.message(orders, sequence)).decoded();
      return decoded === null ? null : (await collect(decoded)).toString();
    };
    expect(await Promise.all([1, 2, 3, 4, 5, 6].map(codedOf))).toEqual([null, "one", "two", null, null, null]);
  });

  test("a page of what grows ends early, and nothing is left out", async () => {
    await using rig = await startBrokerRig();
    const large = Buffer.from("0123456789abcdef".repeat(200_000));
    const drafts = Array.from({ length: 5 }, () => draftOf("orders", gzipSync(large), { headers: gzip }));
    await publishAll(rig, drafts);
    const sequences: number[][] = [];
    let next = 1;
    while (next <= 5) {
      const from = { kind: "sequence", sequence: next } as const;
      const page = await rig.broker.read({ ...wholeOf(orders), from, deliver: "decoded" });
      expect(page.messages.every(({ body }) => Buffer.compare(body, large) === 0)).toBe(true);
      sequences.push(page.messages.map(({ sequence }) => sequence));
      next = page.nextSequence;
    }
    expect(sequences).toEqual([[1, 2], [3, 4], [5]]);
    const sink = new CollectingSink();
    await subscribeTo(rig, "orders", sink, { deliver: "decoded", from: { kind: "first" } });
    expect((await sink.count(5)).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
  });

  test("a large body is decoded as it is read", async () => {
    await using rig = await startBrokerRig({ bodyBytesMax: 64 * 1024 * 1024 });
    const large = Buffer.concat([someBytes(3_000_000), Buffer.alloc(20_000_000)]);
    await publishAll(rig, [draftOf("orders", gzipSync(large), { headers: gzip })]);
    const message = await rig.broker.message(orders, 1);
    expect(Buffer.compare(await collect(await message.decoded()), large)).toBe(0);
  });
});

describe("bodies that were moved", () => {
  /** Puts all bodies of a subject elsewhere, and deletes the objects that they were in. */
  const moveAll = async ({ metadata, bodies, folder }: BrokerRig): Promise<void> => {
    const { envelopes } = await metadata.range(orders, 1, { limit: 100, bodyBytesMax: Number.MAX_SAFE_INTEGER });
    for (const { body: from } of envelopes) {
      const [read] = await bodies.read([from]);
      if (!(read instanceof Uint8Array)) throw new Error("It cannot be read.");
      expect(await metadata.moveBodies([{ from, to: await bodies.writeObject(read) }])).toBe(1);
    }
    for (const object of new Set(envelopes.map(({ body }) => body.object))) await rm(join(folder, object));
  };

  test("are found where they are: a page, a message, and one whose reading has begun", async () => {
    let hold: (() => Promise<void>) | undefined;
    const wrapMetadata = (inner: MetadataStore): MetadataStore =>
      withReplaced<MetadataStore>(inner, {
        range: async (...request) => {
          const page = await inner.range(...request);
          const held = hold;
          hold = undefined;
          await held?.();
          return page;
        },
      });
    await using rig = await startBrokerRig({ wrapMetadata });
    const bodies = [someBytes(1000, 1), someBytes(1_500_000, 2), someBytes(2000, 3)];
    for (const body of bodies) await publishAll(rig, [draftOf("orders", body)]);
    hold = () => moveAll(rig);
    const page = await rig.broker.read(wholeOf(orders));
    expect(page.damaged).toEqual([]);
    expect(page.messages.map(({ body }, index) => Buffer.compare(body, bodies[index] ?? body.subarray(1)))).toEqual([
      0, 0, 0,
    ]);

    const messages = await Promise.all([1, 2, 3].map((sequence) => rig.broker.message(orders, sequence)));
    await moveAll(rig);
    for (const [index, message] of messages.entries()) {
      const body = await message.body();
      const bytes = body instanceof Uint8Array ? body : await collect(body);
      expect(Buffer.compare(bytes, bodies[index] ?? bytes.subarray(1))).toBe(0);
    }
  });

  test("one that is lost is lost, and one that was deleted is not damaged", async () => {
    let hold: (() => Promise<void>) | undefined;
    const wrapMetadata = (inner: MetadataStore): MetadataStore =>
      withReplaced<MetadataStore>(inner, {
        range: async (...request) => {
          const page = await inner.range(...request);
          const held = hold;
          hold = undefined;
          await held?.();
          return page;
        },
      });
    await using rig = await startBrokerRig({ wrapMetadata });
    for (const seed of [1, 2, 3]) await publishAll(rig, [draftOf("orders", someBytes(300_000, seed))]);
    const { envelopes } = await rig.metadata.range(orders, 1, { limit: 9, bodyBytesMax: 1e9 });
    hold = async () => {
      for (const { body } of envelopes.slice(0, 2)) await rm(join(rig.folder, body.object));
      await rig.metadata.purge(orders, 1);
    };
    const page = await rig.broker.read(wholeOf(orders));
    expect(page.messages.map(({ sequence }) => sequence)).toEqual([3]);
    expect(page.damaged).toMatchObject([{ sequence: 2, error: { code: "data_loss" } }]);
    const lost = await rig.broker.message(orders, 2);
    const failure = await lost.body().catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(StreamError);
    expect(failure).toMatchObject({ code: "data_loss" });
  });
});
