/**
 * Segments of the S3 driver while things go wrong: lost replies, errors that pass and that do not, connections that are
 * cut, a server that dies.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { startMinio } from "../../testing/minio.ts";
import type { S3Fault } from "../../testing/s3-proxy.ts";
import { asked, codeOf, isPut, listed, s3Options, useS3 } from "../../testing/s3-store.ts";
import { chunksOf, collect, expectBytes, patternBytes, rejectionOf, writeBodies, writeLarge } from "../cases.ts";

const MiB = 1024 * 1024;
const s3 = useS3();

describe("writing while things go wrong", () => {
  const passing: readonly (readonly [string, S3Fault, number])[] = [
    ["a lost reply", { kind: "reply lost" }, 1],
    ["three lost replies", { kind: "reply lost" }, 3],
    ["a reply that never comes", { kind: "no reply" }, 1],
    ["SlowDown twice", { kind: "answer", status: 503, code: "SlowDown" }, 2],
    ["500 twice", { kind: "answer", status: 500, code: "InternalError" }, 2],
    ["a gateway's 502 and no S3 code", { kind: "answer", status: 502, code: "" }, 1],
    ["a request that timed out, as 400", { kind: "answer", status: 400, code: "RequestTimeout" }, 1],
    ["a body damaged on its way", { kind: "request damaged" }, 1],
  ];
  test.each(passing)("a segment survives %s, as one object", async (_, fault, times) => {
    const { store, proxy } = await s3.behindProxy({ deadlineMs: 3000 });
    proxy.inject(fault, times, isPut);
    const bodies = [patternBytes(100, 1), patternBytes(100_000, 2)];
    const refs = await writeBodies(store, bodies);
    const puts = proxy.seen.filter(isPut);
    expect(puts).toHaveLength(times + 1);
    expect(new Set(puts.map(({ target }) => target)).size).toBe(1);
    expect(await listed(store)).toEqual([refs[0]?.object ?? ""]);
    const read = await store.read(refs);
    for (const [index, body] of bodies.entries()) expectBytes(read[index], body);
  });

  const lasting: readonly (readonly [number, string, string])[] = [
    [507, "XMinioStorageFull", "storage_full"],
    [507, "", "storage_full"],
    [403, "QuotaExceeded", "storage_full"],
    [403, "AccessDenied", "unavailable"],
    [404, "NoSuchBucket", "unavailable"],
  ];
  test.each(lasting)("%d %s is not tried again: %s", async (status, code, wanted) => {
    const { store, proxy } = await s3.behindProxy();
    proxy.inject({ kind: "answer", status, code }, 100, isPut);
    for (const refused of [
      store.writeSegment([patternBytes(9, 1)]),
      writeLarge(store, chunksOf([patternBytes(9, 1)])),
    ]) {
      const thrown = await rejectionOf(refused);
      expect(codeOf(thrown)).toBe(wanted);
      expect(String(thrown)).toContain(code);
    }
    expect(asked(proxy)).toHaveLength(2);
  });

  test("a server that stays busy or away: unavailable when the time is over", async () => {
    const { store, proxy } = await s3.behindProxy({ deadlineMs: 1500 });
    proxy.inject({ kind: "answer", status: 503, code: "SlowDown" }, 10_000);
    const body = patternBytes(9, 1);
    expect(codeOf(await rejectionOf(store.writeSegment([body])))).toBe("unavailable");
    expect(codeOf(await rejectionOf(writeLarge(store, chunksOf([body]))))).toBe("unavailable");
    expect(proxy.seen.length).toBeGreaterThan(2);
    await proxy.stop();
    expect(codeOf(await rejectionOf(store.writeSegment([body])))).toBe("unavailable");
    expect(codeOf(await rejectionOf(store.ready()))).toBe("unavailable");
    expect(codeOf(await rejectionOf(listed(store)))).toBe("unavailable");
  });

  test("connections that are cut in the middle of a body", async () => {
    const { store, proxy } = await s3.behindWire();
    const bodies = [patternBytes(2 * MiB, 1)];
    const cut = proxy.cutAfter(MiB, "up");
    const refs = await writeBodies(store, bodies);
    await cut;
    const large = patternBytes(20 * MiB, 2);
    const cutAgain = proxy.cutAfter(13 * MiB, "up");
    const ref = await writeLarge(store, chunksOf([large]));
    await cutAgain;
    const cutDown = proxy.cutAfter(MiB, "down");
    expectBytes((await store.read(refs))[0], bodies[0] ?? large);
    await cutDown;
    expectBytes(await collect(store.stream(ref)), large);
    expect(new Set(await listed(store))).toEqual(new Set([ref.object, refs[0]?.object ?? ""]));
    expect(await s3.incompleteUploads()).toEqual([]);
  });

  test("MinIO is killed and comes back: writes that were under way succeed", async () => {
    const own = await startMinio();
    try {
      const store = await s3.open(s3Options(own.endpoint, { deadlineMs: 20_000 }));
      const before = patternBytes(1000, 0);
      const refs = await writeBodies(store, [before]);
      await own.kill("SIGKILL");
      const bodies = [1, 2, 3].map((seed) => patternBytes(1000, seed));
      const writing = bodies.map((body) => writeBodies(store, [body]));
      const large = patternBytes(300_000, 4);
      const writingLarge = writeLarge(store, chunksOf([large]));
      const reading = store.read(refs);
      await own.restart();
      expectBytes((await reading)[0], before);
      const after = [...(await Promise.all(writing)).flat(), await writingLarge];
      const read = await store.read(after);
      for (const [index, body] of [...bodies, large].entries()) expectBytes(read[index], body);
      await store.close();
    } finally {
      await own.stop();
    }
  }, 60_000);
});
