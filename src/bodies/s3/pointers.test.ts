/**
 * Signed addresses against a real MinIO: what it is that is signed, when it ends, and what becomes of uploads that
 * nobody finishes.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { Client } from "minio";
import { parseSubject } from "../../core/subject.ts";
import { s3Options, smallestPartBytes, useS3 } from "../../testing/s3-store.ts";
import { codeOf, collect, expectBytes, patternBytes, rejectionOf, sha256Of, writeBodies } from "../cases/kit.ts";
import { isUploadName } from "../uploads.ts";
import { Signer } from "./sigv4.ts";

const s3 = useS3();
const subject = parseSubject("orders.eu");
const hourMs = 60 * 60 * 1000;

/** A header that should be signed and is missing, and one that is another than the signed one. */
const refused = [400, 403];

const statusOf = async (url: string, init: RequestInit = {}): Promise<number> => {
  const response = await fetch(url, init);
  await response.bytes();
  return response.status;
};

describe("pointers", () => {
  test("the range is signed: neighbours in the segment cannot be read", async () => {
    const store = await s3.open(s3Options(s3.minio.endpoint));
    const bodies = [patternBytes(1000, 1), patternBytes(2000, 2), patternBytes(3000, 3)];
    const refs = await writeBodies(store, bodies);
    const ref = refs[1];
    if (ref === undefined) throw new Error("There are three.");
    const { url, headers } = await store.pointer(ref, hourMs);
    expect(headers).toEqual({ range: "bytes=1000-2999" });
    const answer = await fetch(url, { headers });
    expect(answer.status).toBe(206);
    expectBytes(await answer.bytes(), bodies[1] ?? new Uint8Array(0));
    for (const range of [
      undefined,
      "bytes=0-999",
      "bytes=0-2999",
      "bytes=1000-3000",
      "bytes=1000-",
      "bytes=3000-5999",
    ]) {
      expect(refused).toContain(await statusOf(url, range === undefined ? {} : { headers: { range } }));
    }
    expect(await statusOf(url.replace(/&X-Amz-SignedHeaders=[^&]*/, "&X-Amz-SignedHeaders=host"))).toBe(403);
    expect(await statusOf(url, { method: "HEAD", headers })).toBe(403);
    const other = refs[0]?.object ?? "";
    expect(await statusOf(url.replace(ref.object, other === ref.object ? `${other}x` : other), { headers })).toBe(403);
  });

  test("it ends when it says", async () => {
    const options = s3Options(s3.minio.endpoint);
    const [ref] = await writeBodies(await s3.open(options), [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    // Signed ten minutes ago.
    const earlier = await s3.open({ ...options, nowMs: () => Date.now() - 600_000 });
    const over = await earlier.pointer(ref, 300_000);
    expect(over.expiresAtMs).toBeLessThan(Date.now());
    expect(await statusOf(over.url, { headers: over.headers })).toBe(403);
    const running = await earlier.pointer(ref, 1_200_000);
    expect(await statusOf(running.url, { headers: running.headers })).toBe(206);
  });

  test("it names the server that clients know, also when this one connects elsewhere", async () => {
    const { endpoint } = s3.minio;
    const options = s3Options(endpoint, { host: "s3.example.test", connectHost: "127.0.0.1" });
    const store = await s3.open(options);
    const [ref] = await writeBodies(store, [patternBytes(1000, 1)]);
    if (ref === undefined) throw new Error("There is one.");
    const { url, bucket, key } = await store.pointer(ref, hourMs);
    expect(url).toStartWith(`http://s3.example.test:${endpoint.port}/bodies/${options.prefix}${ref.object}?`);
    expect([bucket, key]).toEqual(["bodies", options.prefix + ref.object]);
    const publicAddress = { host: "localhost", port: endpoint.port, tls: false };
    const known = await s3.open({ ...options, publicAddress });
    const pointer = await known.pointer(ref, hourMs);
    expect(pointer.url).toStartWith(`http://localhost:${endpoint.port}/bodies/`);
    expect(await statusOf(pointer.url, { headers: pointer.headers })).toBe(206);
    const tls = await s3.open({ ...options, publicAddress: { host: "files.example.com", port: 443, tls: true } });
    expect((await tls.pointer(ref, hourMs)).url).toStartWith("https://files.example.com/bodies/");
  });

  test("the signature is the one of the documentation's example", () => {
    const signer = new Signer(
      {
        accessKey: "AKIAIOSFODNN7EXAMPLE",
        secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
      },
      () => Date.UTC(2013, 4, 24),
    );
    const host = "examplebucket.s3.amazonaws.com";
    const { query, expiresAtMs } = signer.presign({
      method: "GET",
      host,
      path: "/test.txt",
      headers: {},
      validS: 86_400,
    });
    expect(query).toEndWith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    expect(expiresAtMs).toBe(Date.UTC(2013, 4, 25));
  });
});

describe("uploads", () => {
  const body = patternBytes(2 * smallestPartBytes + 1, 1);
  const claim = { subject, length: body.length, sha256: sha256Of(body) };

  test("all nodes with the secret of the bucket know an upload, others do not", async () => {
    const options = s3Options(s3.minio.endpoint);
    const [one, other] = await Promise.all([s3.open(options), s3.open(options)]);
    const foreign = await s3.open({ ...options, prefix: `${options.prefix}other/` });
    const { key, requests } = await one.openUpload(claim, hourMs, false);
    const [request] = requests;
    if (request === undefined) throw new Error("There is one.");
    expect(request.headers).toEqual({
      "content-length": String(body.length),
      "x-amz-checksum-sha256": Buffer.from(claim.sha256).toString("base64"),
    });
    expect(await statusOf(request.url, { method: "PUT", headers: request.headers, body })).toBe(200);
    expectBytes(await collect(other.stream(await other.takeUpload(claim, key))), body);
    expect(codeOf(await rejectionOf(foreign.takeUpload(claim, key)))).toBe("upload_not_found");
    const object = key.slice(options.prefix.length);
    expect(isUploadName(object)).toBe(true);
    expect(codeOf(await rejectionOf(foreign.takeUpload(claim, `${options.prefix}other/${object}`)))).toBe(
      "upload_not_found",
    );
  });

  test("headers that are left out or another checksum make another request, which nobody signed", async () => {
    const store = await s3.open(s3Options(s3.minio.endpoint));
    const { requests } = await store.openUpload(claim, hourMs, false);
    const { url = "", headers = {} } = requests[0] ?? {};
    const another = {
      ...headers,
      "x-amz-checksum-sha256": Buffer.from(sha256Of(new Uint8Array(1))).toString("base64"),
    };
    expect(refused).toContain(await statusOf(url, { method: "PUT", body }));
    expect(refused).toContain(await statusOf(url, { method: "PUT", body, headers: another }));
    expect((await Array.fromAsync(store.list())).flat()).toEqual([]);
  });

  test("after its time it is neither put, joined nor published", async () => {
    const options = s3Options(s3.minio.endpoint, { partBytes: smallestPartBytes });
    // Ten minutes slow; S3 takes requests that are 15 off.
    const earlier = await s3.open({ ...options, nowMs: () => Date.now() - 600_000 });
    const store = await s3.open(options);
    const over = await earlier.openUpload(claim, 300_000, true);
    const whole = await earlier.openUpload(claim, 1_200_000, false);
    expect([over.multipart, over.requests.length, whole.multipart]).toEqual([true, 3, false]);
    for (const [upload, status] of [
      [over, 403],
      [whole, 200],
    ] as const) {
      for (const { url, headers, offset, length } of upload.requests) {
        const part = body.slice(offset, offset + length);
        expect(await statusOf(url, { method: "PUT", headers, body: part })).toBe(status);
      }
    }
    await store.takeUpload(claim, whole.key);
    expect(codeOf(await rejectionOf(store.completeUpload(claim, over.key)))).toBe("upload_not_found");
    expect(codeOf(await rejectionOf(store.takeUpload(claim, over.key)))).toBe("upload_not_found");
    // For one whose clock has come so far, the other is over too, although its bytes are there.
    const later = await s3.open({ ...options, nowMs: () => Date.now() + 601_000 });
    expect(codeOf(await rejectionOf(later.takeUpload(claim, whole.key)))).toBe("upload_not_found");
  });

  test("a listing looks for uploads in parts that have expired; MinIO itself ends them after a day", async () => {
    const { store, proxy } = await s3.behindProxy({ partBytes: smallestPartBytes });
    const looks = (): number => proxy.seen.filter(({ target }) => target.includes("?uploads&")).length;
    await Array.fromAsync(store.list());
    await Array.fromAsync(store.list());
    // One a kind of object each time; the opening asked at most three.
    while (looks() < 6) await Bun.sleep(5);
    expect(looks()).toBeLessThanOrEqual(9);
  });

  test("what is joined is one object, and nothing is left of its parts", async () => {
    const options = s3Options(s3.minio.endpoint, { partBytes: smallestPartBytes });
    const store = await s3.open(options);
    const before = await s3.incompleteUploads();
    const upload = await store.openUpload(claim, hourMs, true);
    expect((await s3.incompleteUploads()).length).toBeGreaterThan(before.length);
    for (const { url, headers, offset, length } of upload.requests) {
      expect(await statusOf(url, { method: "PUT", headers, body: body.slice(offset, offset + length) })).toBe(200);
    }
    const claimed = { ...claim };
    await Promise.all([store.completeUpload(claimed, upload.key), store.completeUpload(claimed, upload.key)]);
    expect((await s3.incompleteUploads()).length).toBe(before.length);
    const { host, port, accessKey, secretKey } = s3.minio.endpoint;
    const client = new Client({ endPoint: host, port, useSSL: false, accessKey, secretKey });
    expect((await client.statObject("bodies", upload.key)).size).toBe(body.length);
    // The addresses of its parts are of no use any more.
    const [first] = upload.requests;
    expect(
      await statusOf(first?.url ?? "", {
        method: "PUT",
        headers: first?.headers ?? {},
        body: body.slice(0, first?.length),
      }),
    ).toBe(404);
    expectBytes(await collect(store.stream(await store.takeUpload(claim, upload.key))), body);
  });
});
