/**
 * The store that packs bodies: the cases of every driver with everything packed, what is packed and what is not, ranges,
 * and bytes that were damaged.
 * @module
 */
import { heapStats } from "bun:jsc";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as zlib from "node:zlib";
import type { BodyRef } from "../../core/message.ts";
import { s3Options, useS3 } from "../../testing/s3-store.ts";
import {
  chunksOf,
  codeOf,
  collect,
  expectAll,
  expectBytes,
  faultOf,
  MiB,
  patternBytes,
  refOf,
  rejectionOf,
  sha256Of,
  writeBodies,
  writeLarge,
} from "../cases/kit.ts";
import { type BodiesUnderTest, bodyCases } from "../cases.ts";
import type { BodyStore } from "../contract.ts";
import { openFileBodies } from "../files/index.ts";
import { compressed } from "./index.ts";

const s3 = useS3();

/** Memory that is held, with all buffers: what a collection leaves. */
const heldBytes = (): number => {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
};

const openIn = async (path: string, savingMin?: number): Promise<BodyStore> =>
  compressed(await openFileBodies({ path }), {
    compress: true,
    ...(savingMin === undefined ? {} : { savingMin }),
  });

const filesUnderTest = async (savingMin?: number): Promise<BodiesUnderTest> => {
  const path = await mkdtemp(join(tmpdir(), "mts-compressed-"));
  const stores: BodyStore[] = [];
  const open = async (): Promise<BodyStore> => {
    const store = await openIn(path, savingMin);
    stores.push(store);
    return store;
  };
  return {
    store: await open(),
    reopen: open,
    dispose: async () => {
      await Promise.all(stores.map((store) => store.close()));
      await rm(path, { recursive: true });
    },
  };
};

// Whatever it saves: the bytes of the cases cannot be packed, but their frames can be read.
const everything = -1;

bodyCases("compressed files, everything packed", () => filesUnderTest(everything));
bodyCases("compressed files", () => filesUnderTest());
bodyCases("compressed s3, everything packed", async () => {
  const options = s3Options(s3.minio.endpoint);
  const open = async (): Promise<BodyStore> =>
    compressed(await s3.open(options), { compress: true, savingMin: everything });
  return { store: await open(), reopen: open, dispose: async () => undefined };
});

/** JSON like that of an application. */
const jsonBytes = (length: number, seed: number): Uint8Array => {
  const items: string[] = [];
  for (let size = 0, id = seed; size < length; id++) {
    const item = JSON.stringify({
      id: id * 7919,
      name: `user ${id % 97}`,
      mail: `u${id}@example.com`,
      active: id % 3 === 0,
    });
    items.push(item);
    size += item.length + 1;
  }
  return new TextEncoder().encode(items.join(",")).subarray(0, length);
};

let path: string;
let store: BodyStore;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "mts-compressed-"));
  store = await openIn(path);
});
afterEach(async () => {
  await store.close();
  await rm(path, { recursive: true });
});

const isPacked = ({ storedLength }: BodyRef): boolean => storedLength !== undefined;

describe("what is packed", () => {
  test("small and large bodies that shrink, each by itself", async () => {
    const bodies = [512, 1024, 20_000, 40_000, 70_000, 200_000, 1024].map((length, seed) => jsonBytes(length, seed));
    const refs = await writeBodies(store, bodies);
    for (const ref of refs) expect(ref.storedLength).toBeLessThanOrEqual(ref.length * 0.9);
    await expectAll(store, refs.toReversed(), bodies.toReversed());
    // One after the other, as they were packed.
    for (const [index, ref] of refs.slice(1).entries()) {
      const before = refs[index];
      expect(ref.offset).toBe((before?.offset ?? 0) + (before?.storedLength ?? 0));
    }
    for (const [index, ref] of refs.entries()) {
      expectBytes(await collect(store.stream(ref)), bodies[index] ?? new Uint8Array(0));
    }
  });

  test("tiny bodies and those that do not shrink are left alone, beside others too", async () => {
    const bodies = [jsonBytes(511, 1), patternBytes(5000, 2), jsonBytes(5000, 3), patternBytes(150_000, 4)];
    const refs = await writeBodies(store, bodies);
    expect(refs.map(isPacked)).toEqual([false, false, true, false]);
    await expectAll(store, refs, bodies);
  });

  test("2,500 bodies in one call", async () => {
    const bodies = Array.from({ length: 2500 }, (_, seed) => jsonBytes(1000 + (seed % 90), seed));
    const refs = await writeBodies(store, bodies);
    expect(refs.every(isPacked)).toBe(true);
    await expectAll(store, refs, bodies);
  });

  test.each([
    ["in memory", (body: Uint8Array) => body],
    ["in chunks", (body: Uint8Array) => chunksOf(piecesOf(body, 100_000))],
    ["in one chunk", (body: Uint8Array) => chunksOf([body])],
  ])("a large object %s", async (_, from) => {
    for (const length of [1, 511, 5000, 70_000, 300_000, 5 * MiB + 1, 20 * MiB]) {
      const body = jsonBytes(length, length);
      const ref = await store.writeObject(from(body));
      expect({ offset: ref.offset, length: ref.length }).toEqual({ offset: 0, length });
      expectBytes(ref.sha256, sha256Of(body));
      expect(isPacked(ref)).toBe(length >= 512);
      expect(await store.size(ref.object)).toBe(ref.storedLength ?? length);
      expectBytes(await collect(store.stream(ref)), body);
      await expectAll(store, [ref], [body]);
    }
  });

  test("of a large object the first bytes decide", async () => {
    const mixed = [
      [Buffer.concat([patternBytes(70_000, 1), jsonBytes(2 * MiB, 1)]), false],
      [Buffer.concat([jsonBytes(70_000, 1), patternBytes(2 * MiB, 1)]), true],
    ] as const;
    for (const [body, packed] of mixed) {
      const streamed = await store.writeObject(chunksOf(piecesOf(body, 30_000)));
      expect(isPacked(streamed)).toBe(packed);
      expectBytes(streamed.sha256, sha256Of(body));
      expectBytes(await collect(store.stream(streamed)), body);
    }
  });

  test("nothing when it is switched off, and what was packed before stays readable", async () => {
    const bodies = [jsonBytes(5000, 1), jsonBytes(3 * MiB, 2)];
    const refs = [...(await writeBodies(store, bodies.slice(0, 1))), await writeLarge(store, jsonBytes(3 * MiB, 2))];
    expect(refs.every(isPacked)).toBe(true);
    await store.close();
    store = compressed(await openFileBodies({ path }), { compress: false });
    await expectAll(store, refs, bodies);
    const plain = [...(await writeBodies(store, bodies.slice(0, 1))), await writeLarge(store, jsonBytes(3 * MiB, 2))];
    expect(plain.some(isPacked)).toBe(false);
    await expectAll(store, [...plain, ...refs], [...bodies, ...bodies]);
  });

  test("a pointer leads to the packed bytes and says so; anybody's Zstandard unpacks them", async () => {
    const bodies = [jsonBytes(5000, 1), jsonBytes(3 * MiB, 2)];
    const refs = [
      ...(await writeBodies(store, bodies.slice(0, 1))),
      await writeLarge(store, chunksOf(piecesOf(jsonBytes(3 * MiB, 2), 100_000))),
    ];
    for (const [index, ref] of refs.entries()) {
      const { url, length, size, contentEncoding } = await store.pointer(ref, 60_000);
      expect([length, size, contentEncoding]).toEqual([ref.storedLength ?? 0, ref.length, "zstd"]);
      const answer = await store.addresses?.read(url.slice("/v1/bodies/".length));
      const bytes = Buffer.concat(await Array.fromAsync(answer?.bytes ?? []));
      expect(bytes).toHaveLength(length);
      expectBytes(zlib.zstdDecompressSync(bytes), bodies[index] ?? new Uint8Array(0));
    }
  });

  test("the memory for a stream does not grow with it", async () => {
    const mebibyte = jsonBytes(MiB, 1);
    const source = async function* (): AsyncIterable<Uint8Array> {
      for (let count = 0; count < 256; count++) yield await Promise.resolve(mebibyte);
    };
    const before = heldBytes();
    const ref = await store.writeObject(source());
    expect(ref.length).toBe(256 * MiB);
    let most = 0;
    let bytes = 0;
    for await (const chunk of store.stream(ref)) {
      const earlier = bytes;
      bytes += chunk.length;
      if (Math.floor(bytes / (16 * MiB)) > Math.floor(earlier / (16 * MiB)))
        most = Math.max(most, heldBytes() - before);
    }
    expect(bytes).toBe(256 * MiB);
    expect(most).toBeLessThan(64 * MiB);
  });
});

describe("ranges", () => {
  const length = 3 * MiB + 12_345;
  test.each([
    [0, 1],
    [0, length],
    [length - 1, length],
    [MiB - 1, 2 * MiB + 1],
    [256 * 1024, 512 * 1024],
    [77, 77],
    [length, length],
  ])("from %i to %i", async (start, end) => {
    const body = jsonBytes(length, 5);
    const ref = await writeLarge(store, chunksOf(piecesOf(body, 100_000)));
    expect(isPacked(ref)).toBe(true);
    expectBytes(await collect(store.stream(ref, { start, end })), body.subarray(start, end));
  });
});

describe("damage", () => {
  /** A file of the store with other bytes. */
  const change = async (object: string, edit: (bytes: Uint8Array) => Uint8Array): Promise<void> =>
    writeFile(join(path, object), edit(new Uint8Array(await readFile(join(path, object)))));

  /** Reads it in both ways. */
  const expectLoss = async (ref: BodyRef): Promise<void> => {
    expect((await store.read([ref])).map(faultOf)).toEqual(["missing"]);
    expect(codeOf(await rejectionOf(collect(store.stream(ref))))).toBe("data_loss");
  };

  const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
    const changed = new Uint8Array(bytes);
    changed[at] = (changed[at] ?? 0) ^ 0xff;
    return changed;
  };

  test.each([
    ["small", 5000],
    ["middling", 150_000],
    ["large", 3 * MiB],
  ])("a %s frame that is no frame, ends early, or unpacks to more or to less", async (_, length) => {
    const body = jsonBytes(length, 1);
    const written = await store.writeObject(body);
    const [whole, shorter, longer] = [body, body.subarray(1), Buffer.concat([body, body])].map((bytes) =>
      Bun.zstdCompressSync(new Uint8Array(bytes)),
    );
    if (whole === undefined || shorter === undefined || longer === undefined) throw new Error("There are three.");
    const damaged = [
      flipped(whole, 0),
      whole.subarray(0, whole.length - 10),
      new Uint8Array(whole.length),
      patternBytes(whole.length, 1),
      shorter,
      longer,
      Buffer.concat([whole, whole]),
    ];
    for (const bytes of damaged) {
      await change(written.object, () => bytes);
      await expectLoss({ ...written, storedLength: bytes.length });
    }
    await change(written.object, () => whole);
    const ref = { ...written, storedLength: whole.length };
    await expectAll(store, [ref], [body]);
    await expectLoss({ ...ref, length: length + 1 });
    await expectLoss({ ...ref, length: length - 1 });
    await expectLoss({ ...ref, storedLength: whole.length + 1 });
  });

  test("every single byte of a frame: the bytes of the body, other bytes of its length, or a fault", async () => {
    const body = jsonBytes(600, 1);
    const ref = await store.writeObject(body);
    const bytes = new Uint8Array(await readFile(join(path, ref.object)));
    for (let at = 0; at < bytes.length; at++) {
      await change(ref.object, () => flipped(bytes, at));
      const [result] = await store.read([ref]);
      // Whether they are the right ones is for the reader above to say, who has the checksum.
      if (result instanceof Uint8Array) expect(result).toHaveLength(body.length);
      else expect(faultOf(result)).toBe("missing");
    }
  });

  test("what would unpack to a gigabyte takes no memory", async () => {
    const zeros = new Uint8Array(MiB);
    const bomb = Buffer.concat(Array.from({ length: 1024 }, () => Bun.zstdCompressSync(zeros)));
    const one = Bun.zstdCompressSync(new Uint8Array(256 * MiB));
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    for (const bytes of [bomb, one]) {
      for (const length of [1000, 200_000, 2 * MiB]) {
        const [written] = await writeBodies(store, [patternBytes(100, 1)]);
        if (written === undefined) throw new Error("There is one.");
        await change(written.object, () => bytes);
        const ref: BodyRef = { ...written, offset: 0, length, storedLength: bytes.length };
        await expectLoss(ref);
        expect(process.memoryUsage().rss - before).toBeLessThan(192 * MiB);
        await store.remove([written.object]);
      }
    }
  });

  test("one damaged body among others is a fault of its own", async () => {
    const bodies = [1000, 2000, 3000].map((length, seed) => jsonBytes(length, seed));
    const placements = await store.writeSegment(bodies);
    const refs = bodies.map((body, index) => refOf(body, placements[index]));
    const [first, middle] = refs;
    if (first === undefined || middle === undefined) throw new Error("There are three.");
    await change(first.object, (bytes) => flipped(bytes, middle.offset));
    const results = await store.read(refs);
    expect(results.map(faultOf)).toEqual([undefined, "missing", undefined]);
    expectBytes(results[0], bodies[0] ?? new Uint8Array(0));
    expectBytes(results[2], bodies[2] ?? new Uint8Array(0));
  });
});

const piecesOf = (body: Uint8Array, pieceBytes: number): readonly Uint8Array[] =>
  Array.from({ length: Math.ceil(body.length / pieceBytes) }, (_, index) =>
    body.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
