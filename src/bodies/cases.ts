/**
 * What every body driver must do, as tests. A driver's own test file calls `bodyCases` and adds what only it has.
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { BodyRef } from "../core/message.ts";
import {
  type BodiesUnderTest,
  chunksOf,
  codeOf,
  collect,
  expectAll,
  expectBytes,
  faultOf,
  MiB,
  patternBytes,
  rejectionOf,
  sha256Of,
  storedBytesOf,
  writeBodies,
  writeLarge,
} from "./cases/kit.ts";
import { pointerCases } from "./cases/pointers.ts";
import { uploadCases } from "./cases/uploads.ts";
import { type BodyStore, type ByteRange, objectNamePattern } from "./contract.ts";

export {
  type BodiesUnderTest,
  chunksOf,
  collect,
  expectBytes,
  patternBytes,
  refOf,
  rejectionOf,
  sha256Of,
  writeBodies,
  writeLarge,
} from "./cases/kit.ts";

/** Runs the cases against a driver; `open` makes a fresh, empty store for each. */
export const bodyCases = (name: string, open: () => Promise<BodiesUnderTest>): void => {
  describe(`body store contract: ${name}`, () => {
    let opened: BodiesUnderTest;
    let store: BodyStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(() => opened.dispose());
    const get = (): BodyStore => store;

    segmentCases(get, () => opened.reopen());
    readCases(get);
    objectCases(get, () => opened.reopen());
    streamCases(get);
    removeCases(get, () => opened.reopen());
    pointerCases(() => opened);
    uploadCases(() => opened);

    test("the listing has every object once, with its size", async () => {
      const before = Date.now();
      const refs = await writeBodies(store, [patternBytes(100, 1), patternBytes(200, 2)]);
      refs.push(await writeLarge(store, chunksOf([patternBytes(300_000, 3)])));
      const listed = (await Array.fromAsync(store.list())).flat();
      const objects = new Set(refs.map(({ object }) => object));
      expect(new Set(listed.map(({ object }) => object))).toEqual(objects);
      expect(listed).toHaveLength(objects.size);
      for (const { object, bytes, modifiedAtMs } of listed) {
        const ends = refs.filter((ref) => ref.object === object).map((ref) => ref.offset + storedBytesOf(ref));
        expect(bytes).toBeGreaterThanOrEqual(Math.max(...ends));
        // A store may keep whole seconds, and its clock may be another machine's.
        expect(modifiedAtMs).toBeGreaterThan(before - 60_000);
      }
    });

    test("an object has a size, one that is not there has none", async () => {
      const [ref] = await writeBodies(store, [patternBytes(100, 1)]);
      const large = await writeLarge(store, chunksOf([patternBytes(300_000, 3)]));
      expect(large.length).toBe(300_000);
      expect(await store.size(large.object)).toBe(storedBytesOf(large));
      expect(await store.size(ref?.object ?? "")).toBeGreaterThanOrEqual(100);
      expect(await store.size(`${large.object}x`)).toBeNull();
    });

    test("an empty store lists nothing", async () => {
      expect((await Array.fromAsync(store.list())).flat()).toEqual([]);
    });

    test("ready resolves while the store answers", async () => {
      await store.ready();
    });

    test("a closed store refuses and does not hang", async () => {
      const body = patternBytes(100, 1);
      const [ref] = await writeBodies(store, [body]);
      await store.close();
      for (const refused of [
        store.writeSegment([body]),
        store.writeObject(chunksOf([body])),
        store.remove([ref?.object ?? ""]),
        store.ready(),
      ]) {
        expect(codeOf(await rejectionOf(refused))).toBe("unavailable");
      }
      expectBytes((await (await opened.reopen()).read(ref === undefined ? [] : [ref]))[0], body);
    });
  });
};

const segmentCases = (get: () => BodyStore, reopen: () => Promise<BodyStore>): void => {
  test("bodies of one segment write come back in order, byte for byte", async () => {
    const bodies = [1, 2, 1023, 1024, 4097, 200_000].map((length, seed) => patternBytes(length, seed));
    const refs = await writeBodies(get(), bodies);
    for (const { object, offset } of refs) {
      expect(object).toMatch(objectNamePattern);
      expect(offset).toBeGreaterThanOrEqual(0);
    }
    await expectAll(get(), refs, bodies);
  });

  test("copies come back like what is published, beside it", async () => {
    const bodies = [1, 1024, 70_000].map((length, seed) => patternBytes(length, seed));
    const kinds = ["copy", "publish", "copy"] as const;
    const refs = await Promise.all(kinds.map((kind) => writeBodies(get(), bodies, kind)));
    for (const each of refs) await expectAll(get(), each, bodies);
  });

  test("no body: no placement", async () => {
    expect(await get().writeSegment([])).toEqual([]);
  });

  test("2,500 bodies in one call", async () => {
    const bodies = Array.from({ length: 2500 }, (_, seed) => patternBytes(1 + (seed % 90), seed));
    await expectAll(get(), await writeBodies(get(), bodies), bodies);
  });

  test("one call of more than 8 MiB", async () => {
    const bodies = Array.from({ length: 40 }, (_, seed) => patternBytes(256 * 1024 - seed, seed));
    await expectAll(get(), await writeBodies(get(), bodies), bodies);
  });

  test("views into a larger buffer are written, not the buffer", async () => {
    const buffer = patternBytes(10_000, 1);
    const bodies = [buffer.subarray(10, 20), buffer.subarray(5000, 9000)];
    await expectAll(get(), await writeBodies(get(), bodies), bodies);
  });

  test("overlapping calls keep their bodies apart", async () => {
    const calls = Array.from({ length: 50 }, (_, call) =>
      Array.from({ length: 1 + (call % 4) }, (_none, body) => patternBytes(300 + call, call * 10 + body)),
    );
    const refs = await Promise.all(calls.map((bodies) => writeBodies(get(), bodies)));
    await expectAll(get(), refs.flat(), calls.flat());
    const places = refs.flat().map(({ object, offset }) => `${object} ${offset}`);
    expect(new Set(places).size).toBe(places.length);
  });

  test("what was written is there for the next process, which writes elsewhere", async () => {
    const before = [patternBytes(500, 1), patternBytes(600, 2)];
    const refs = await writeBodies(get(), before);
    await get().close();
    const next = await reopen();
    const after = [patternBytes(700, 3)];
    const newRefs = await writeBodies(next, after);
    await expectAll(next, [...refs, ...newRefs], [...before, ...after]);
    expect(refs.map((ref) => ref.object)).not.toContain(newRefs[0]?.object);
  });
};

const readCases = (get: () => BodyStore): void => {
  test("results have the order of the refs, whatever their place, also twice the same", async () => {
    const bodies = Array.from({ length: 20 }, (_, seed) => patternBytes(100 + seed, seed));
    const refs = await writeBodies(get(), bodies);
    const large = patternBytes(300_000, 77);
    const largeRef = await writeLarge(get(), chunksOf([large]));
    const order = [19, 3, 3, 0, 7];
    const wanted = order.map((index) => bodies[index] ?? large);
    const asked = order.map((index) => refs[index] ?? largeRef);
    await expectAll(get(), [...asked, largeRef, ...asked], [...wanted, large, ...wanted]);
  });

  test("a few bodies far apart in one object", async () => {
    const bodies = Array.from({ length: 30 }, (_, seed) => patternBytes(100_000, seed));
    const refs = await writeBodies(get(), bodies);
    const far = [0, 9, 10, 29];
    const pick = <T>(list: readonly T[]): readonly T[] => list.filter((_, index) => far.includes(index));
    await expectAll(get(), pick(refs), pick(bodies));
  });

  test("a ref of length 0 is an empty array, without an object", async () => {
    const empty: BodyRef = { object: "", offset: 0, length: 0, sha256: sha256Of(new Uint8Array(0)) };
    const body = patternBytes(10, 1);
    const refs = await writeBodies(get(), [body]);
    await expectAll(get(), [empty, ...refs, empty], [new Uint8Array(0), body, new Uint8Array(0)]);
    expect(await get().read([])).toEqual([]);
  });

  test("a missing object and a range past the end are faults of their own, never short", async () => {
    const bodies = [patternBytes(1000, 1), patternBytes(2000, 2)];
    const [first, last] = await writeBodies(get(), bodies);
    if (first === undefined || last === undefined) throw new Error("There are two.");
    const gone = { ...first, object: `${first.object}x` };
    const tooLong = { ...last, length: last.length + 1 };
    const beyond = { ...last, offset: last.offset + 10_000_000 };
    const results = await get().read([first, gone, tooLong, beyond, last]);
    expectBytes(results[0], bodies[0] ?? new Uint8Array(0));
    for (const index of [1, 2, 3]) expect(faultOf(results[index])).toBe("missing");
    expectBytes(results[4], bodies[1] ?? new Uint8Array(0));
  });

  test("a read that overlaps writes sees what was acknowledged", async () => {
    const refs: BodyRef[] = [];
    const bodies: Uint8Array[] = [];
    for (let round = 0; round < 10; round++) {
      const body = patternBytes(5000, round);
      const writing = writeBodies(get(), [body]);
      await expectAll(get(), refs, bodies);
      refs.push(...(await writing));
      bodies.push(body);
    }
    await expectAll(get(), refs, bodies);
  });
};

const objectCases = (get: () => BodyStore, reopen: () => Promise<BodyStore>): void => {
  const shapes: Record<string, readonly number[]> = {
    "one chunk": [300_000],
    "one chunk of 5 MiB": [5 * MiB],
    "many small chunks": Array.from({ length: 3000 }, (_, index) => 1 + (index % 700)),
    "all kinds of chunks": [1, 0, 2 * MiB + 3, 17, 0, 256 * 1024, 256 * 1024 - 1, MiB, 900_000, 900_000],
  };
  for (const [shape, lengths] of Object.entries(shapes)) {
    test(`a large object out of ${shape}`, async () => {
      const chunks = lengths.map((length, seed) => patternBytes(length, seed));
      const whole = Buffer.concat(chunks);
      const ref = await writeLarge(get(), chunksOf(chunks));
      expect(ref.object).toMatch(objectNamePattern);
      expect(ref.length).toBe(whole.length);
      expectBytes(ref.sha256, sha256Of(whole));
      await expectAll(get(), [ref], [whole]);
      await get().close();
      await expectAll(await reopen(), [ref], [whole]);
    });
  }

  test("a source may use its buffer again", async () => {
    const buffer = new Uint8Array(10_000);
    const source = async function* (): AsyncIterable<Uint8Array> {
      for (let value = 1; value <= 200; value++) yield await Promise.resolve(buffer.fill(value));
    };
    const ref = await writeLarge(get(), source());
    const whole = Uint8Array.from({ length: 2_000_000 }, (_, index) => Math.floor(index / 10_000) + 1);
    await expectAll(get(), [ref], [whole]);
  });

  test("an empty source is the empty body, which has no object", async () => {
    const ref = await writeLarge(get(), chunksOf([new Uint8Array(0)]));
    expect([ref.object, ref.length]).toEqual(["", 0]);
    expectBytes(ref.sha256, sha256Of(new Uint8Array(0)));
  });

  test("several at once, each its own object", async () => {
    const bodies = Array.from({ length: 6 }, (_, seed) => patternBytes(400_000 + seed, seed));
    const refs = await Promise.all(bodies.map((body) => writeLarge(get(), chunksOf([body]))));
    expect(new Set(refs.map((ref) => ref.object)).size).toBe(bodies.length);
    await expectAll(get(), refs, bodies);
  });

  test("the error of the source is passed on", async () => {
    const broken = new Error("the client has gone");
    const source = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(patternBytes(2 * MiB, 1));
      throw broken;
    };
    expect(await rejectionOf(get().writeObject(source()))).toBe(broken);
  });

  test("an abort is passed on: before the start, between chunks, and while the source is silent", async () => {
    const reason = new Error("no longer wanted");
    const early = new AbortController();
    early.abort(reason);
    const body = patternBytes(300_000, 1);
    expect(await rejectionOf(get().writeObject(chunksOf([body]), early.signal))).toBe(reason);

    const between = new AbortController();
    const stopping = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      between.abort(reason);
      yield body;
    };
    expect(await rejectionOf(get().writeObject(stopping(), between.signal))).toBe(reason);

    const silence = new AbortController();
    const silent = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      queueMicrotask(() => silence.abort(reason));
      await new Promise(() => undefined);
    };
    expect(await rejectionOf(get().writeObject(silent(), silence.signal))).toBe(reason);
    await get().ready();
  });
};

const streamCases = (get: () => BodyStore): void => {
  const length = 3 * MiB + 12_345;
  const ranges: readonly (ByteRange | undefined)[] = [
    undefined,
    { start: 0, end: length },
    { start: 0, end: 1 },
    { start: length - 1, end: length },
    { start: MiB - 1, end: 2 * MiB + 1 },
    { start: 77, end: 77 },
  ];

  test("streams a large object and ranges of it", async () => {
    const body = patternBytes(length, 5);
    const ref = await writeLarge(get(), chunksOf([body]));
    for (const range of ranges) {
      expectBytes(await collect(get().stream(ref, range)), body.subarray(range?.start ?? 0, range?.end));
    }
  });

  test("streams a body out of the middle of a segment", async () => {
    const bodies = [1000, 70_000, 1000].map((bytes, seed) => patternBytes(bytes, seed));
    const refs = await writeBodies(get(), bodies);
    const [ref, body] = [refs[1], bodies[1]];
    if (ref === undefined || body === undefined) throw new Error("There are three.");
    expectBytes(await collect(get().stream(ref)), body);
    expectBytes(await collect(get().stream(ref, { start: 10, end: 60_000 })), body.subarray(10, 60_000));
  });

  test("an empty body streams nothing", async () => {
    const empty: BodyRef = { object: "", offset: 0, length: 0, sha256: sha256Of(new Uint8Array(0)) };
    expect(await collect(get().stream(empty))).toHaveLength(0);
  });

  test("missing bytes reject with data_loss, never a short end", async () => {
    const body = patternBytes(length, 5);
    const ref = await writeLarge(get(), chunksOf([body]));
    const gone = { ...ref, object: `${ref.object}x` };
    const tooLong = { ...ref, length: length + 1 };
    for (const missing of [gone, tooLong]) {
      expect(codeOf(await rejectionOf(collect(get().stream(missing))))).toBe("data_loss");
    }
  });

  test("a reader that stops early leaves the store usable", async () => {
    const body = patternBytes(length, 5);
    const ref = await writeLarge(get(), chunksOf([body]));
    for await (const chunk of get().stream(ref)) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expectBytes(await collect(get().stream(ref)), body);
  });
};

const namesOf = async (store: BodyStore): Promise<ReadonlySet<string>> =>
  new Set((await Array.fromAsync(store.list())).flat().map(({ object }) => object));

const removeCases = (get: () => BodyStore, reopen: () => Promise<BodyStore>): void => {
  test("removed objects are gone, the others stay, for another process too", async () => {
    const bodies = [patternBytes(100, 1), patternBytes(300_000, 2), patternBytes(300_000, 3)];
    const [small] = await writeBodies(get(), bodies.slice(0, 1));
    const large = await Promise.all(bodies.slice(1).map((body) => writeLarge(get(), chunksOf([body]))));
    const refs = [small, ...large].flatMap((ref) => ref ?? []);
    expect(await get().remove([refs[0]?.object ?? "", refs[1]?.object ?? ""])).toEqual([]);
    for (const store of [get(), await reopen()]) {
      const results = await store.read(refs);
      expect(results.slice(0, 2).map(faultOf)).toEqual(["missing", "missing"]);
      expectBytes(results[2], bodies[2] ?? new Uint8Array(0));
      expect(await namesOf(store)).toEqual(new Set([refs[2]?.object ?? ""]));
      expect(await store.size(refs[1]?.object ?? "")).toBeNull();
    }
  });

  test("what is not there counts as deleted, also a second time, and names that cannot be", async () => {
    const ref = await writeLarge(get(), chunksOf([patternBytes(300_000, 1)]));
    expect(await get().remove([ref.object, `${ref.object}x`, ref.object, "", "../../lock", "s", "o/"])).toEqual([]);
    expect(await get().remove([ref.object])).toEqual([]);
    expect(await get().remove([])).toEqual([]);
    expect(await namesOf(get())).toEqual(new Set());
  });

  test("after the last segment was removed, and while it is, writes go elsewhere", async () => {
    for (let round = 0; round < 5; round++) {
      const [first] = await writeBodies(get(), [patternBytes(1000, round)]);
      const bodies = [patternBytes(2000, round), patternBytes(3000, round)];
      const [meanwhile] = await Promise.all([
        writeBodies(get(), bodies.slice(0, 1)),
        get().remove([first?.object ?? ""]),
      ]);
      const later = await writeBodies(get(), bodies.slice(1));
      expect(later[0]?.object).not.toBe(first?.object);
      await expectAll(get(), later, bodies.slice(1));
      // What shared the object went with it; what did not is whole.
      if (meanwhile[0]?.object !== first?.object) await expectAll(get(), meanwhile, bodies.slice(0, 1));
    }
  });

  test("reads that are under way end with the bytes or a fault", async () => {
    const body = patternBytes(3 * MiB, 1);
    const ref = await writeLarge(get(), chunksOf([body]));
    const reading = Array.from({ length: 8 }, () => get().read([ref]));
    const streaming = collect(get().stream(ref)).catch((thrown: unknown) => thrown);
    expect(await get().remove([ref.object])).toEqual([]);
    for (const [result] of await Promise.all(reading)) {
      if (faultOf(result) === undefined) expectBytes(result, body);
    }
    const streamed = await streaming;
    if (streamed instanceof Uint8Array) expectBytes(streamed, body);
    else expect(["data_loss", "unavailable"]).toContain(codeOf(streamed));
    expect((await get().read([ref])).map(faultOf)).toEqual(["missing"]);
  });

  test("many at once", async () => {
    const refs = await Promise.all(
      Array.from({ length: 60 }, (_, seed) => writeLarge(get(), chunksOf([patternBytes(10, seed)]))),
    );
    expect(await get().remove(refs.slice(1).map(({ object }) => object))).toEqual([]);
    expect(await namesOf(get())).toEqual(new Set([refs[0]?.object ?? ""]));
  });
};
