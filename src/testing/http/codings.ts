/**
 * Bodies that were published with a Content-Encoding: kept as they are, and decoded for who cannot.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { brotliCompressSync, deflateRawSync, deflateSync, zstdCompressSync } from "node:zlib";
import { expectBytes } from "../expectations.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { rawRequest } from "../raw-socket.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request } from "./request.ts";

const text = "what is said again and again and again and again\n".repeat(20);
const bytes = Buffer.from(text);

const encoded = {
  gzip: Bun.gzipSync(bytes),
  "x-gzip": Bun.gzipSync(bytes),
  deflate: deflateSync(bytes),
  br: brotliCompressSync(bytes),
  zstd: zstdCompressSync(bytes),
  "gzip, br": brotliCompressSync(Bun.gzipSync(bytes)),
} as const satisfies Record<string, Uint8Array>;

/** Publishes one body and answers the message's path. */
const store = async (server: TestServer, coding: string, body: Uint8Array): Promise<string> => {
  const path = `${subjectPath(uniqueSubject("coded"))}/messages`;
  const headers = { "content-encoding": coding, "content-type": "text/plain" };
  expect((await request(server, "POST", path, { headers, body })).status).toBe(201);
  return `${path}/1`;
};

/** As it comes over the wire; `null` sends no Accept-Encoding at all. */
const get = (server: TestServer, path: string, accept: string | null, more: readonly string[] = []) =>
  rawRequest(server.url, [
    `GET ${path} HTTP/1.1`,
    `Host: ${new URL(server.url).host}`,
    ...(accept === null ? [] : [`Accept-Encoding: ${accept}`]),
    ...more,
  ]);

const defineNegotiation = (server: () => TestServer): void => {
  test.each(Object.entries(encoded))("%s goes out as it came in, or decoded", async (coding, body) => {
    const path = await store(server(), coding, body);
    for (const accept of [coding, "*", `${coding}, identity;q=0.5`]) {
      const response = await get(server(), path, accept);
      expect([accept, response.status]).toEqual([accept, 200]);
      expect(response.headers.get("content-encoding")).toBe(coding.replace("x-", ""));
      expect(response.headers.get("content-length")).toBe(String(body.length));
      expect(response.headers.get("repr-digest")).toStartWith("sha-256=:");
      expect(response.headers.get("vary")).toBe("Accept-Encoding");
      expectBytes(response.body, body);
    }
    for (const accept of [null, "", "identity", "lzma", "*;q=0", `${coding.replace(", ", ";q=0, ")};q=0`]) {
      const response = await get(server(), path, accept);
      expect([accept, response.status, response.headers.get("content-encoding")]).toEqual([accept, 200, undefined]);
      expect(response.headers.get("content-type")).toBe("text/plain");
      expect(response.headers.get("repr-digest")).toBeUndefined();
      expect(response.headers.get("vary")).toBe("Accept-Encoding");
      expect(response.body.toString()).toBe(text);
    }
  });

  test("deflate without its envelope, as some send it", async () => {
    const response = await get(server(), await store(server(), "deflate", deflateRawSync(bytes)), "identity");
    expect(response.body.toString()).toBe(text);
  });

  test("a large one", async () => {
    const large = Buffer.from("0123456789".repeat(300_000));
    const path = await store(server(), "gzip", Bun.gzipSync(large));
    const response = await get(server(), path, "identity");
    expect(response.headers.get("content-length")).toBe(String(large.length));
    expectBytes(response.body, large);
  });

  test("ranges and validators are those of what is sent", async () => {
    const path = await store(server(), "gzip", encoded.gzip);
    const stored = await get(server(), path, "gzip", ["Range: bytes=0-3"]);
    expect([stored.status, stored.body.length, stored.headers.get("content-encoding")]).toEqual([206, 4, "gzip"]);
    const decoded = await get(server(), path, "identity", ["Range: bytes=0-3"]);
    expect([decoded.status, decoded.body.toString(), decoded.headers.get("accept-ranges")]).toEqual([
      200,
      text,
      "none",
    ]);
    const [storedTag, decodedTag] = [stored.headers.get("etag"), decoded.headers.get("etag")];
    expect(storedTag).not.toBe(decodedTag);
    for (const [accept, tag, status] of [
      ["gzip", storedTag, 304],
      ["gzip", decodedTag, 200],
      ["identity", decodedTag, 304],
      ["identity", storedTag, 200],
    ] as const) {
      const response = await get(server(), path, accept, [`If-None-Match: ${tag}`]);
      expect([accept, tag, response.status]).toEqual([accept, tag, status]);
      expect(response.headers.get("vary")).toBe("Accept-Encoding");
    }
  });

  test("HEAD says the same", async () => {
    const path = await store(server(), "gzip", encoded.gzip);
    const head = (accept: string) => request(server(), "HEAD", path, { headers: { "accept-encoding": accept } });
    const stored = await head("gzip");
    expect([stored.headers.get("content-encoding"), stored.headers.get("content-length")]).toEqual([
      "gzip",
      String(encoded.gzip.length),
    ]);
    const decoded = await head("identity");
    expect([decoded.status, decoded.headers.get("content-encoding")]).toEqual([200, null]);
    expect(decoded.headers.get("content-length")).toBe(String(text.length));
    expect(decoded.headers.get("etag")).not.toBe(stored.headers.get("etag"));
  });

  test.each([
    ["a coding that nobody knows", "own", Buffer.from("own")],
    ["what is not in its coding", "gzip", Buffer.from("no gzip at all")],
    ["what breaks off", "gzip", encoded.gzip.slice(0, -12)],
    ["what breaks off", "zstd", encoded.zstd.subarray(0, -6)],
  ])("%s goes out as it is (%s)", async (_, coding, body) => {
    const response = await get(server(), await store(server(), coding, body), "identity");
    expect([response.status, response.headers.get("content-encoding")]).toEqual([200, coding]);
    expectBytes(response.body, body);
  });

  test("a bomb goes out as it is", async () => {
    const bomb = Bun.gzipSync(Buffer.alloc(80 * 1024 * 1024));
    const path = await store(server(), "gzip", bomb);
    const response = await get(server(), path, "identity");
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expectBytes(response.body, bomb);
  });

  test("without a coding nothing varies, and identity is none", async () => {
    const path = await store(server(), "identity", bytes);
    const response = await get(server(), path, "gzip");
    expect(response.headers.get("vary")).toBeUndefined();
    expect(response.headers.get("content-encoding")).toBeUndefined();
    expect(response.body.toString()).toBe(text);
  });
};

const definePages = (server: () => TestServer): void => {
  const read = async (path: string, query: string): Promise<unknown> => {
    const page = await request(server(), "GET", path.replace(/\/1$/, query));
    return ((await page.json()) as { readonly messages: readonly unknown[] }).messages[0];
  };

  test("pages tell the coding, and decode when they are asked to", async () => {
    const path = await store(server(), "gzip", encoded.gzip);
    const coded = { headers: { "content-type": "text/plain", "content-encoding": "gzip" } };
    for (const query of ["", "?deliver=body"]) {
      expect(await read(path, query)).toMatchObject({ ...coded, size: encoded.gzip.length });
    }
    const decoded = await read(path, "?deliver=decoded");
    expect(decoded).toMatchObject({ headers: { "content-type": "text/plain" }, size: text.length, data: text });
    expect((decoded as { headers: object }).headers).not.toHaveProperty("content-encoding");
    const one = await get(server(), `${path}?deliver=decoded`, "gzip");
    expect([one.headers.get("content-encoding"), one.body.toString()]).toEqual([undefined, text]);
    const broken = await store(server(), "br", Buffer.from("broken"));
    expect(await read(broken, "?deliver=decoded")).toMatchObject({ headers: { "content-encoding": "br" } });
  });

  test("what is no coding is refused, under either name", async () => {
    const path = `${subjectPath(uniqueSubject("coded"))}/messages`;
    for (const headers of [{ "content-encoding": "a b" }, { "x-meta-content-encoding": "gzip" }]) {
      await expectProblem(
        await request(server(), "POST", path, { headers: headers as Record<string, string>, body: "x" }),
        422,
        "invalid_header",
      );
    }
  });

  test("a coding that is no header value breaks nothing", async () => {
    const subject = uniqueSubject("coded");
    const headers = { "content-encoding": "gzip\r\nX-Evil: 1" };
    await new HttpClient(server().url, "msgpack").publish({ subject, body: "x", headers });
    const response = await get(server(), `${subjectPath(subject)}/messages/1`, "identity");
    expect([response.status, response.headers.get("x-evil"), response.headers.get("content-encoding")]).toEqual([
      200,
      undefined,
      undefined,
    ]);
  });
};

/** The group. */
export const defineCodings = (server: () => TestServer): void => {
  describe("content codings", () => {
    defineNegotiation(server);
    definePages(server);
  });
};
