/**
 * Deleting from S3 while things go wrong.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { S3Fault, SeenRequest } from "../../testing/s3-proxy.ts";
import { asked, codeOf, listed, useS3 } from "../../testing/s3-store.ts";
import { chunksOf, patternBytes, rejectionOf, writeLarge } from "../cases.ts";
import type { BodyStore } from "../contract.ts";

const s3 = useS3();
const isDelete = ({ method }: SeenRequest): boolean => method === "DELETE";
const isMultiDelete = ({ method, target }: SeenRequest): boolean => method === "POST" && target.includes("?delete");

const written = async (store: BodyStore, count: number): Promise<readonly string[]> => {
  const refs = await Promise.all(
    Array.from({ length: count }, (_, seed) => writeLarge(store, chunksOf([patternBytes(10, seed)]))),
  );
  return refs.map(({ object }) => object);
};

describe("deleting from S3", () => {
  test("goes in one request", async () => {
    const { store, proxy } = await s3.behindProxy();
    const objects = await written(store, 30);
    proxy.clear();
    expect(await store.remove(objects)).toEqual([]);
    expect(asked(proxy)).toHaveLength(1);
    expect(await listed(store)).toEqual([]);
  });

  const passing: readonly (readonly [string, S3Fault])[] = [
    ["a lost reply", { kind: "reply lost" }],
    ["a reply that never comes", { kind: "no reply" }],
    ["half a reply", { kind: "half body" }],
    ["SlowDown", { kind: "answer", status: 503, code: "SlowDown" }],
    ["a request that arrives damaged", { kind: "request damaged" }],
  ];
  test.each(passing)("survives %s", async (_, fault) => {
    const { store, proxy } = await s3.behindProxy({ deadlineMs: 3000 });
    const objects = await written(store, 3);
    proxy.clear();
    proxy.inject(fault, 1, isMultiDelete);
    expect(await store.remove(objects)).toEqual([]);
    expect(await listed(store)).toEqual([]);
  });

  const refusals: readonly (readonly [number, string])[] = [
    [501, "NotImplemented"],
    [400, "MissingContentMD5"],
    [405, "MethodNotAllowed"],
  ];
  test.each(refusals)(
    "where many at once are refused with %d %s they go one by one from then on",
    async (status, code) => {
      const { store, proxy } = await s3.behindProxy();
      const objects = await written(store, 20);
      proxy.clear();
      proxy.inject({ kind: "answer", status, code }, 1000, isMultiDelete);
      expect(await store.remove(objects.slice(1))).toEqual([]);
      expect(proxy.seen.filter(isDelete)).toHaveLength(19);
      expect(await listed(store)).toEqual(objects.slice(0, 1));
      const manyBefore = proxy.seen.filter(isMultiDelete).length;
      expect(await store.remove(objects)).toEqual([]);
      expect(proxy.seen.filter(isMultiDelete)).toHaveLength(manyBefore);
      expect(await listed(store)).toEqual([]);
    },
  );

  test("one that is refused stays and is told, the others go", async () => {
    const { store, proxy } = await s3.behindProxy();
    const objects = await written(store, 3);
    proxy.inject({ kind: "answer", status: 400, code: "MissingContentMD5" }, 1000, isMultiDelete);
    const locked = objects[1] ?? "";
    proxy.inject(
      { kind: "answer", status: 403, code: "AccessDenied" },
      1000,
      (request) => isDelete(request) && request.target.endsWith(locked),
    );
    expect(await store.remove(objects)).toEqual([locked]);
    expect(await listed(store)).toEqual([locked]);
  });

  test("a server that refuses all, or is away, is unavailable, and nothing counts as deleted", async () => {
    const { store, proxy } = await s3.behindProxy({ deadlineMs: 3000 });
    const objects = await written(store, 3);
    proxy.inject({ kind: "answer", status: 403, code: "AccessDenied" }, 1000, isMultiDelete);
    proxy.inject({ kind: "answer", status: 403, code: "AccessDenied" }, 1000, isDelete);
    expect(codeOf(await rejectionOf(store.remove(objects)))).toBe("unavailable");
    proxy.clear();
    proxy.inject({ kind: "answer", status: 503, code: "SlowDown" }, 10_000, isMultiDelete);
    expect(codeOf(await rejectionOf(store.remove(objects)))).toBe("unavailable");
    proxy.clear();
    expect(await listed(store)).toHaveLength(3);
    expect(await store.remove(objects)).toEqual([]);
  });
});
