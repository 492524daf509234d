/**
 * The files driver: the cases of every driver, and what only files do (segments, faults of the disk, left-overs).
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StreamError } from "../../core/errors.ts";
import {
  bodyCases,
  chunksOf,
  collect,
  expectBytes,
  patternBytes,
  rejectionOf,
  writeBodies,
  writeLarge,
} from "../cases.ts";
import { type BodyStore, isBodyFault } from "../contract.ts";
import { openFileBodies } from "./index.ts";
import { type FileIo, nodeFileIo } from "./io.ts";

const newFolder = (): string => mkdtempSync(join(tmpdir(), "mts-bodies-"));

bodyCases("files", async () => {
  const path = join(newFolder(), "deep", "bodies");
  const stores: BodyStore[] = [];
  const reopen = async (): Promise<BodyStore> => {
    const store = await openFileBodies({ path });
    stores.push(store);
    return store;
  };
  return {
    store: await reopen(),
    reopen,
    dispose: async () => {
      for (const store of stores) await store.close();
      rmSync(join(path, "..", ".."), { recursive: true });
    },
  };
});

const KiB = 1024;
const MiB = 1024 * KiB;

const systemError = (code: string): Error => Object.assign(new Error(`${code}: made up`), { code });

/** A disk with a set number of free bytes and faults that are switched on; it notes what was done, in order. */
class FaultyDisk {
  freeBytes = Number.POSITIVE_INFINITY;
  /** Calls of these fail with this code. */
  failing: Partial<Record<"sync" | "syncFolder" | "rename" | "read" | "open" | "unlink", string>> = {};
  readonly log: string[] = [];
  readonly io: FileIo;

  constructor() {
    const fail = (call: keyof FaultyDisk["failing"]): void => {
      this.log.push(call);
      const code = this.failing[call];
      if (code !== undefined) throw systemError(code);
    };
    const writeNow: FileIo["writeNow"] = (file, parts, position) => {
      const bytes = Buffer.concat(parts);
      this.log.push(`write ${bytes.length}`);
      if (this.freeBytes === 0) throw systemError("ENOSPC");
      // As a real disk does: what fits is written, and only the next call fails.
      const fitting = bytes.subarray(0, Math.min(bytes.length, this.freeBytes));
      this.freeBytes -= fitting.length;
      return nodeFileIo.writeNow(file, [fitting], position);
    };
    this.io = {
      ...nodeFileIo,
      writeNow,
      write: async (file, parts, position) => writeNow(file, parts, position),
      sync: async (file) => (fail("sync"), nodeFileIo.sync(file)),
      syncNow: (file) => {
        fail("sync");
        nodeFileIo.syncNow(file);
      },
      syncFolder: async (path) => (fail("syncFolder"), nodeFileIo.syncFolder(path)),
      rename: async (from, to) => (fail("rename"), nodeFileIo.rename(from, to)),
      unlink: async (path) => (fail("unlink"), nodeFileIo.unlink(path)),
      open: async (path, mode) => (fail("open"), nodeFileIo.open(path, mode)),
      read: async (file, into, position) => (fail("read"), nodeFileIo.read(file, into, position)),
      readNow: (file, into, position) => (fail("read"), nodeFileIo.readNow(file, into, position)),
    };
  }
}

/** Every file below a folder with its size. */
const filesOf = (path: string): readonly { readonly name: string; readonly bytes: number }[] =>
  readdirSync(path, { recursive: true, encoding: "utf8" })
    .map((name) => ({ name, stat: statSync(join(path, name)) }))
    .filter(({ stat }) => stat.isFile())
    .map(({ name, stat }) => ({ name, bytes: stat.size }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  const thrown = await rejectionOf(promise);
  return thrown instanceof StreamError ? thrown.code : `not ours: ${String(thrown)}`;
};

describe("file bodies", () => {
  let path: string;
  let disk: FaultyDisk;
  const stores: BodyStore[] = [];
  const open = async (segmentBytesMax = 64 * MiB): Promise<BodyStore> => {
    const store = await openFileBodies({ path, io: disk.io, segmentBytesMax });
    stores.push(store);
    disk.log.length = 0;
    return store;
  };
  beforeEach(() => {
    path = newFolder();
    disk = new FaultyDisk();
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    rmSync(path, { recursive: true });
  });

  test("a segment that would grow too large is followed by another; a larger call has one alone", async () => {
    const store = await open(10 * KiB);
    const sizes = [4 * KiB, 4 * KiB, 4 * KiB, 30 * KiB, 1];
    const bodies = sizes.map((size, seed) => patternBytes(size, seed));
    const refs = [];
    for (const body of bodies) refs.push(...(await writeBodies(store, [body])));
    const names = refs.map((ref) => ref.object);
    expect(names.map((name) => names.indexOf(name))).toEqual([0, 0, 2, 3, 4]);
    for (const [index, result] of (await store.read(refs)).entries()) expectBytes(result, bodies[index]!);
  });

  test("copies have segments of their own, which end when they are sealed or removed", async () => {
    const store = await open();
    const [publish, copy] = [patternBytes(20, 1), patternBytes(30, 2)];
    const written = async (kind: "publish" | "copy"): Promise<string> =>
      (await writeBodies(store, [kind === "copy" ? copy : publish], kind))[0]!.object;
    const [published, copied] = [await written("publish"), await written("copy")];
    expect(copied).not.toBe(published);
    expect([await written("publish"), await written("copy")]).toEqual([published, copied]);
    await store.seal?.([copied]);
    const next = await written("copy");
    expect([await written("publish"), next === copied]).toEqual([published, false]);
    expect(await store.remove([next])).toEqual([]);
    expect(await written("copy")).not.toBe(next);
  });

  test("a new process never appends to an older segment", async () => {
    const first = await writeBodies(await open(), [patternBytes(10, 1)]);
    const second = await writeBodies(await open(), [patternBytes(10, 2)]);
    expect(second[0]!.object).not.toBe(first[0]!.object);
    expect(second[0]!.offset).toBe(0);
  });

  test("calls that come during a flush share the next one", async () => {
    const store = await open();
    await writeBodies(store, [patternBytes(10, 0)]);
    disk.log.length = 0;
    await Promise.all(Array.from({ length: 20 }, (_, seed) => writeBodies(store, [patternBytes(100, seed)])));
    expect(disk.log).toEqual(["write 2000", "sync"]);
  });

  test("bytes are synced before their name, and both before the answer", async () => {
    const store = await open();
    await writeBodies(store, [patternBytes(10, 0)]);
    expect(disk.log.slice(-4)).toEqual(["open", "write 10", "sync", "syncFolder"]);
    disk.log.length = 0;
    await writeLarge(store, chunksOf([patternBytes(300 * KiB, 1)]));
    const steps = disk.log.filter((step) => step !== "syncFolder");
    expect(steps).toEqual(["open", `write ${300 * KiB}`, "sync", "rename"]);
    expect(disk.log.at(-1)).toBe("syncFolder");
  });

  test("a full disk: storage_full, the space given back, and work again when there is room", async () => {
    const store = await open();
    const kept = patternBytes(1000, 1);
    const refs = await writeBodies(store, [kept]);
    const [before] = filesOf(path);
    disk.freeBytes = 500;
    expect(await codeOf(store.writeSegment([patternBytes(2000, 2)]))).toBe("storage_full");
    expect(filesOf(path)).toEqual([before!]);
    expect(await codeOf(store.writeSegment([patternBytes(2000, 3)]))).toBe("storage_full");
    expect(filesOf(path)).toEqual([before!]);

    disk.freeBytes = Number.POSITIVE_INFINITY;
    const later = patternBytes(3000, 4);
    const laterRefs = await writeBodies(store, [later]);
    expect(laterRefs[0]!.object).not.toBe(refs[0]!.object);
    const results = await store.read([...refs, ...laterRefs]);
    expectBytes(results[0], kept);
    expectBytes(results[1], later);
  });

  test("a full disk removes the partial large object", async () => {
    const store = await open();
    disk.freeBytes = 3 * MiB;
    expect(await codeOf(store.writeObject(chunksOf([patternBytes(5 * MiB, 1)])))).toBe("storage_full");
    expect(filesOf(path)).toEqual([]);
    disk.freeBytes = Number.POSITIVE_INFINITY;
    await writeLarge(store, chunksOf([patternBytes(5 * MiB, 1)]));
  });

  test.each(["EDQUOT", "EFBIG", "ENOSPC"])("%s on opening is storage_full too", async (code) => {
    const store = await open();
    disk.failing = { open: code };
    expect(await codeOf(store.writeSegment([patternBytes(10, 1)]))).toBe("storage_full");
    expect(await codeOf(store.writeObject(chunksOf([patternBytes(10, 1)])))).toBe("storage_full");
  });

  test("after a failed sync the file is not trusted: unavailable, then another segment", async () => {
    const store = await open();
    const kept = patternBytes(1000, 1);
    const refs = await writeBodies(store, [kept]);
    disk.failing = { sync: "EIO" };
    expect(await codeOf(store.writeSegment([patternBytes(2000, 2)]))).toBe("unavailable");
    disk.failing = {};
    const later = await writeBodies(store, [patternBytes(10, 3)]);
    expect(later[0]!.object).not.toBe(refs[0]!.object);
    expect(statSync(join(path, refs[0]!.object)).size).toBe(1000);
    expectBytes((await store.read(refs))[0], kept);
  });

  test.each(["syncFolder", "rename", "sync"] as const)("a failed %s leaves no file behind", async (call) => {
    const store = await open();
    disk.failing = { [call]: "EIO" };
    expect(await codeOf(store.writeObject(chunksOf([patternBytes(300 * KiB, 1)])))).toBe("unavailable");
    if (call !== "rename") expect(await codeOf(store.writeSegment([patternBytes(10, 1)]))).toBe("unavailable");
    expect(filesOf(path)).toEqual([]);
    disk.failing = {};
    await writeLarge(store, chunksOf([patternBytes(300 * KiB, 1)]));
    await writeBodies(store, [patternBytes(10, 1)]);
  });

  test("a name is durably gone before it counts as deleted, with one sync a folder", async () => {
    const store = await open(1);
    const refs = [];
    for (let seed = 0; seed < 3; seed++) refs.push(...(await writeBodies(store, [patternBytes(10, seed)])));
    const objects = refs.map(({ object }) => object);
    disk.log.length = 0;
    expect(await store.remove(objects)).toEqual([]);
    expect(disk.log).toEqual(["unlink", "unlink", "unlink", "syncFolder"]);
  });

  test.each([
    ["unlink", "EACCES"],
    ["syncFolder", "EIO"],
  ] as const)("what a failed %s leaves is told, and goes the next time", async (call, code) => {
    const store = await open();
    const ref = await writeLarge(store, chunksOf([patternBytes(300 * KiB, 1)]));
    disk.failing = { [call]: code };
    expect(await store.remove([ref.object])).toEqual([ref.object]);
    disk.failing = {};
    expect(await store.remove([ref.object])).toEqual([]);
    expect(filesOf(path)).toEqual([]);
  });

  test("a large object gives its room back step by step behind its removal, but not while it is read", async () => {
    const lengths: number[] = [];
    const [reading, removed] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
    const io: FileIo = {
      ...disk.io,
      truncate: (file, length) => {
        lengths.push(length);
        return disk.io.truncate(file, length);
      },
      read: async (file, into, position) => {
        reading.resolve(null);
        await removed.promise;
        return disk.io.read(file, into, position);
      },
    };
    const store = await openFileBodies({ path, io });
    const body = patternBytes(18 * MiB, 1);
    const [unread, read] = [await writeLarge(store, chunksOf([body])), await writeLarge(store, chunksOf([body]))];
    const result = store.read([read]);
    await reading.promise;
    expect(await store.remove([unread.object, read.object])).toEqual([]);
    expect(filesOf(path)).toEqual([]);
    await store.close();
    expect(lengths).toEqual([14, 10, 6, 2].map((count) => count * MiB));
    removed.resolve(null);
    expectBytes((await result)[0], body);
  });

  test("a flush that fails while its segment is removed closes the file once", async () => {
    const store = await open();
    const [ref] = await writeBodies(store, [patternBytes(10, 1)]);
    disk.failing = { sync: "EIO" };
    const writing = codeOf(store.writeSegment([patternBytes(20 * KiB, 2)]));
    const removing = store.remove([ref!.object]);
    expect([await writing, await removing]).toEqual(["unavailable", []]);
    disk.failing = {};
    const body = patternBytes(30, 3);
    expectBytes((await store.read(await writeBodies(store, [body])))[0], body);
  });

  test("a folder that somebody removed costs one write, not all that follow", async () => {
    const store = await open(1);
    await writeBodies(store, [patternBytes(10, 1)]);
    rmSync(join(path, "s"), { recursive: true });
    await store.writeSegment([patternBytes(10, 2)]).catch(() => undefined);
    const body = patternBytes(10, 3);
    expectBytes((await store.read(await writeBodies(store, [body])))[0], body);
  });

  test("the source's error and an abort leave no file behind", async () => {
    const store = await open();
    const abort = new AbortController();
    const source = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(patternBytes(2 * MiB, 1));
      abort.abort(new Error("gone"));
      yield patternBytes(MiB, 2);
    };
    await rejectionOf(store.writeObject(source(), abort.signal));
    expect(filesOf(path)).toEqual([]);
  });

  test("a large chunk is written in pieces of at most 1 MiB", async () => {
    const store = await open();
    await writeLarge(store, chunksOf([patternBytes(3 * MiB + 5, 1)]));
    const writes = disk.log.filter((step) => step.startsWith("write"));
    expect(writes).toEqual([`write ${MiB}`, `write ${MiB}`, `write ${MiB}`, "write 5"]);
  });

  test("a large object is synced on its way, so that small writes do not queue behind one long sync", async () => {
    const store = await open();
    await writeLarge(store, chunksOf(Array.from({ length: 8 }, (_, seed) => patternBytes(MiB, seed))));
    const steps = disk.log.filter((step) => step === "sync" || step.startsWith("write"));
    expect(steps.map((step) => step.slice(0, 5)).join(" ")).toBe(
      "write write write write sync write write write write sync",
    );
  });

  test("left-overs of a dead upload are removed at start, objects are not", async () => {
    const store = await open();
    const body = patternBytes(300 * KiB, 1);
    const ref = await writeLarge(store, chunksOf([body]));
    await store.close();
    writeFileSync(join(path, "tmp", "0mh8x3k2pq7d1v0aa"), "half");
    const next = await open();
    expect(readdirSync(join(path, "tmp"))).toEqual([]);
    expectBytes(await collect(next.stream(ref)), body);
  });

  test("neighbours are read in one request", async () => {
    const store = await open();
    const refs = await writeBodies(
      store,
      Array.from({ length: 100 }, (_, seed) => patternBytes(1000, seed)),
    );
    disk.log.length = 0;
    await store.read(refs.filter((_, index) => index % 3 !== 1));
    expect(disk.log).toEqual(["open", "read"]);
  });

  test("scattered bodies are read together, and each holds no memory but its own", async () => {
    const store = await open();
    const bodies = Array.from({ length: 600 }, (_, seed) => patternBytes(seed === 300 ? 400 * KiB : 3 * KiB, seed));
    const refs = await writeBodies(store, bodies);
    const places = refs.flatMap((_, index) => (index % 7 === 6 ? [index] : []));
    const scattered = places.map((place) => refs[place]!);
    disk.log.length = 0;
    // At the same time, as reads share what they read into.
    const reads = await Promise.all([store.read(scattered), store.read(scattered.toReversed())]);
    expect(disk.log.filter((step) => step === "read").length).toBeLessThan(2 * 20);
    for (const [results, order] of [[reads[0], places] as const, [reads[1], places.toReversed()] as const]) {
      for (const [index, place] of order.entries()) {
        expectBytes(results[index], bodies[place]!);
        expect((results[index] as Uint8Array).buffer.byteLength).toBe(bodies[place]!.length);
      }
    }
    // Between others that are wanted, or large, all come back, too.
    const some = refs.filter((_, index) => index % 50 === 0 || (index > 290 && index < 310));
    for (const [index, result] of (await store.read(some)).entries()) {
      expectBytes(result, bodies[refs.indexOf(some[index]!)]!);
    }
  });

  test("a truncated segment costs the bodies past its end only", async () => {
    const bodies = Array.from({ length: 10 }, (_, seed) => patternBytes(1000, seed));
    const refs = await writeBodies(await open(), bodies);
    truncateSync(join(path, refs[0]!.object), 4500);
    const results = await (await open()).read(refs);
    const outcomes = results.map((result): string => (isBodyFault(result) ? result.fault : "whole"));
    expect(outcomes).toEqual([
      ...Array.from({ length: 4 }, () => "whole"),
      ...Array.from({ length: 6 }, () => "missing"),
    ]);
  });

  test("an error of the disk is failed, with its cause, and passes", async () => {
    const store = await open();
    const refs = await writeBodies(store, [patternBytes(1000, 1), patternBytes(1000, 2)]);
    disk.failing = { read: "EIO" };
    for (const result of await store.read(refs)) {
      expect(result).toMatchObject({ fault: "failed", cause: { code: "EIO" } });
    }
    expect(await codeOf(collect(store.stream(refs[0]!)))).toBe("unavailable");
    disk.failing = {};
    expect((await store.read(refs)).some(isBodyFault)).toBe(false);
  });

  test("a name that leads out of the folder is missing", async () => {
    const store = await open();
    const refs = await writeBodies(store, [patternBytes(10, 1)]);
    writeFileSync(join(path, "s", "secret"), "0123456789");
    for (const object of ["s/../s/secret", "/etc/hostname", "../x", "s"]) {
      const [result] = await store.read([{ ...refs[0]!, object, length: 1 }]);
      expect(result).toMatchObject({ fault: "missing" });
    }
  });

  test("more objects than files may be open are read, and their files closed", async () => {
    const store = await open(1);
    const bodies = Array.from({ length: 300 }, (_, seed) => patternBytes(20, seed));
    const refs = [];
    for (const body of bodies) refs.push(...(await writeBodies(store, [body])));
    for (const [index, result] of (await store.read(refs)).entries()) expectBytes(result, bodies[index]!);
    expect(openFilesBelow(path)).toBeLessThan(150);
    await store.close();
    // The files close behind `close`; a file operation of our own comes after theirs.
    while (openFilesBelow(path) > 0) await nodeFileIo.list(path);
  });

  test("close waits for what is under way", async () => {
    const store = await open();
    const body = patternBytes(100, 1);
    const writing = writeBodies(store, [body]);
    await store.close();
    expectBytes((await (await open()).read(await writing))[0], body);
  });

  test("ready says no when the disk refuses", async () => {
    const store = await open();
    disk.failing = { open: "EROFS" };
    expect(await codeOf(store.ready())).toBe("unavailable");
    disk.failing = {};
    await store.ready();
    expect(filesOf(path)).toEqual([]);
  });

  test("the same name twice never overwrites", async () => {
    const twice = await openFileBodies({ path, segmentBytesMax: 1, randomId: () => "0mh8x3k2pq7d1v0aa" });
    stores.push(twice);
    const body = patternBytes(10, 1);
    const refs = await writeBodies(twice, [body]);
    expect(await codeOf(twice.writeSegment([patternBytes(10, 2)]))).toBe("unavailable");
    expectBytes((await twice.read(refs))[0], body);
  });

  test("the store's path is refused when it is a file", async () => {
    const file = join(path, "file");
    closeSync(openSync(file, "w"));
    expect(await codeOf(openFileBodies({ path: file }))).toBe("unavailable");
    expect(existsSync(file)).toBe(true);
  });
});

/** Files below a folder that this process has open; 0 where `/proc` does not tell. */
const openFilesBelow = (path: string): number => {
  if (!existsSync("/proc/self/fd")) return 0;
  return readdirSync("/proc/self/fd").filter((file) => linkOf(file).startsWith(path)).length;
};

const linkOf = (file: string): string => {
  try {
    return readlinkSync(`/proc/self/fd/${file}`);
  } catch {
    return "";
  }
};
