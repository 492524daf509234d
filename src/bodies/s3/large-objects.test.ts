/**
 * Large bodies of the S3 driver: one PUT or several parts, faults of each step, nothing left behind, bounded memory.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { S3Fault, SeenRequest } from "../../testing/s3-proxy.ts";
import { asked, codeOf, isPart, listed, s3Options, smallestPartBytes, useS3 } from "../../testing/s3-store.ts";
import { chunksOf, collect, expectBytes, patternBytes, rejectionOf, writeLarge } from "../cases.ts";

const MiB = 1024 * 1024;
const s3 = useS3();

describe("large bodies", () => {
  const steps = (seen: readonly SeenRequest[]): readonly string[] =>
    seen.map(({ method, target }) => {
      const [, query = ""] = target.split("?");
      return query.startsWith("partNumber=") ? "part" : `${method}${query.startsWith("uploads") ? " start" : ""}`;
    });

  test("up to a part they go in one PUT, above in parts", async () => {
    const { store, proxy } = await s3.behindProxy({ partBytes: smallestPartBytes });
    await writeLarge(store, chunksOf([patternBytes(smallestPartBytes, 1)]));
    expect(steps(asked(proxy))).toEqual(["PUT"]);
    proxy.clear();
    const body = patternBytes(2 * smallestPartBytes + 1, 2);
    const ref = await writeLarge(store, chunksOf([body]));
    expect(steps(asked(proxy)).toSorted()).toEqual(["POST", "POST start", "part", "part", "part"]);
    expectBytes(await collect(store.stream(ref)), body);
  });

  const survived: readonly (readonly [string, S3Fault, (request: SeenRequest) => boolean])[] = [
    ["the start", { kind: "reply lost" }, ({ target }) => target.includes("?uploads")],
    ["a part", { kind: "reply lost" }, isPart],
    ["a part, damaged on its way", { kind: "request damaged" }, isPart],
    ["the end", { kind: "reply lost" }, ({ method, target }) => method === "POST" && target.includes("uploadId=")],
    [
      "the end, refused for a moment",
      { kind: "answer", status: 503, code: "SlowDown" },
      ({ method, target }) => method === "POST" && target.includes("uploadId="),
    ],
  ];
  test.each(survived)("a fault of %s is survived", async (_, fault, concerns) => {
    const { store, proxy } = await s3.behindProxy({ partBytes: smallestPartBytes });
    proxy.inject(fault, 1, concerns);
    const body = patternBytes(2 * smallestPartBytes + 1, 2);
    const ref = await writeLarge(store, chunksOf([body]));
    expect(proxy.seen.filter(concerns).length).toBeGreaterThan(1);
    expectBytes(await collect(store.stream(ref)), body);
    expect(await listed(store)).toEqual([ref.object]);
  });

  test("an upload that fails leaves nothing", async () => {
    const { store, proxy } = await s3.behindProxy({ partBytes: smallestPartBytes });
    const before = await s3.incompleteUploads();
    const body = patternBytes(3 * smallestPartBytes, 2);
    proxy.inject({ kind: "answer", status: 403, code: "AccessDenied" }, 1, isPart);
    expect(codeOf(await rejectionOf(writeLarge(store, chunksOf([body]))))).toBe("unavailable");

    const broken = new Error("the client has gone");
    const source = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      throw broken;
    };
    expect(await rejectionOf(writeLarge(store, source()))).toBe(broken);

    const controller = new AbortController();
    const aborting = async function* (): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(body);
      expect(await s3.incompleteUploads()).not.toEqual(before);
      controller.abort(broken);
      yield body;
    };
    expect(await rejectionOf(writeLarge(store, aborting(), controller.signal))).toBe(broken);
    expect(proxy.seen.filter(({ method }) => method === "DELETE")).toHaveLength(3);
    expect(await s3.incompleteUploads()).toEqual(before);
    expect(await listed(store)).toEqual([]);
  });

  // MinIO lists incomplete uploads only to who knows their keys, so this needs an S3 that is made up.
  test("uploads of dead processes are removed after a day, others' never", async () => {
    const nowMs = Date.UTC(2026, 0, 10);
    const [old, young] = ["2026-01-08T12:00:00.000Z", "2026-01-09T12:00:00.000Z"];
    const upload = (key: string, id: string, initiated: string): string =>
      `<Upload><Key>p/${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
    const uploads = [
      upload("o/ab/0mh8x3k2p7d1v0aaq", "id-1+/=", old),
      upload("o/ab/0mh8x3k2p7d1v0aar", "id-2", young),
      upload("o/ab/somebody-else", "id-3", old),
      upload("o/ab/0mh8x3k2p7d1v0aas", "id-4", old),
    ].join("");
    const removed: string[] = [];
    const last = Promise.withResolvers<undefined>();
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: ({ method, url }) => {
        const { searchParams, pathname } = new URL(url);
        if (method === "DELETE") {
          const id = searchParams.get("uploadId") ?? "";
          removed.push(`${pathname} ${id}`);
          if (id === "id-4") last.resolve(undefined);
          return new Response(null, { status: 204 });
        }
        const page = searchParams.get("prefix") === "p/o/" ? uploads : "";
        const tag = "ListMultipartUploadsResult";
        return new Response(`<${tag}><IsTruncated>false</IsTruncated>${page}</${tag}>`);
      },
    });
    const port = server.port ?? 0;
    const store = await s3.open(s3Options({ ...s3.minio.endpoint, port }, { prefix: "p/", nowMs: () => nowMs }));
    await last.promise;
    await store.close();
    await server.stop(true);
    expect(removed).toEqual(["/bodies/p/o/ab/0mh8x3k2p7d1v0aaq id-1+/=", "/bodies/p/o/ab/0mh8x3k2p7d1v0aas id-4"]);
  });

  test("no more than a few parts are taken from the source before the server has them", async () => {
    const { store, proxy } = await s3.behindProxy({ partBytes: smallestPartBytes });
    const chunk = patternBytes(MiB, 1);
    let aheadBytesMax = 0;
    const source = async function* (): AsyncIterable<Uint8Array> {
      for (let taken = 0; taken < 48 * MiB; taken += MiB) {
        const arrived = proxy.seen.filter(isPart).reduce((sum, { bytes }) => sum + bytes, 0);
        aheadBytesMax = Math.max(aheadBytesMax, taken - arrived);
        yield await Promise.resolve(chunk);
      }
    };
    const ref = await writeLarge(store, source());
    expect(ref.length).toBe(48 * MiB);
    expect(aheadBytesMax).toBeLessThanOrEqual(3 * smallestPartBytes + MiB);
  });
});
