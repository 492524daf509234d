/**
 * One stored message as a resource: body, headers, ranges, validators, HEAD.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { expectBytes, someBytes } from "../expectations.ts";
import { asHeaderValue, fromHeaderValue, HttpClient, subjectPath } from "../http-client.ts";
import { rawRequest } from "../raw-socket.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request } from "./request.ts";

const digestOf = (body: Uint8Array): string => `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;

/** Publishes one body and answers the message's path. */
const store = async (server: TestServer, body: Uint8Array, headers: Record<string, string> = {}): Promise<string> => {
  const subject = uniqueSubject("message");
  await new HttpClient(server.url).publish({ subject, body, headers });
  return `${subjectPath(subject)}/messages/1`;
};

const defineWhole = (server: () => TestServer): void => {
  test("GET answers the body with all that is known of it", async () => {
    const body = new TextEncoder().encode("<script>alert(1)</script>");
    const path = await store(server(), body, { "content-type": "text/html; charset=utf-8", trace: "т-1" });
    const response = await request(server(), "GET", path);
    expect(response.status).toBe(200);
    expectBytes(new Uint8Array(await response.arrayBuffer()), body);
    const header = (name: string): string | null => response.headers.get(name);
    expect(header("content-type")).toBe("text/html; charset=utf-8");
    expect(header("content-length")).toBe(String(body.length));
    expect(header("etag")).toMatch(/^"[^"]+"$/);
    expect(header("repr-digest")).toBe(digestOf(body));
    expect(header("x-sequence")).toBe("1");
    expect(header("x-timestamp")).toMatch(/^\d{13}$/);
    expect(fromHeaderValue(header("x-meta-trace") ?? "")).toBe("т-1");
    expect(header("x-content-type-options")).toBe("nosniff");
    expect(header("content-security-policy")).toMatch(/^sandbox(;|$)/);
  });

  test("HEAD says the same without a body", async () => {
    for (const length of [0, 10, 300 * 1024]) {
      const path = await store(server(), someBytes(length), { a: "b" });
      const get = await request(server(), "GET", path);
      await get.arrayBuffer();
      const head = await request(server(), "HEAD", path);
      expect((await head.arrayBuffer()).byteLength).toBe(0);
      expect(head.status).toBe(200);
      const names = ["content-type", "content-length", "etag", "repr-digest", "x-sequence", "x-timestamp", "x-meta-a"];
      for (const name of names) expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
    }
  });

  test("HEAD of what is not there has the status and no body", async () => {
    const subject = uniqueSubject("head");
    const head = await request(server(), "HEAD", `${subjectPath(subject)}/messages/1`);
    expect([head.status, (await head.arrayBuffer()).byteLength]).toEqual([404, 0]);
    const admin = new HttpClient(server().url);
    await admin.publish({ subject, body: "x" });
    await admin.purge(subject, 1);
    expect((await request(server(), "HEAD", `${subjectPath(subject)}/messages/1`)).status).toBe(410);
    await expectProblem(await request(server(), "GET", `${subjectPath(subject)}/messages/1`), 410, "message_expired");
  });

  test("a validator that still holds is 304", async () => {
    const path = await store(server(), someBytes(100));
    const etag = (await request(server(), "GET", path)).headers.get("etag") ?? "";
    for (const value of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      for (const method of ["GET", "HEAD"]) {
        const response = await request(server(), method, path, { headers: { "if-none-match": value } });
        expect([value, response.status, (await response.arrayBuffer()).byteLength]).toEqual([value, 304, 0]);
        expect(response.headers.get("etag")).toBe(etag);
      }
    }
    const other = await request(server(), "GET", path, { headers: { "if-none-match": '"other"' } });
    expect(other.status).toBe(200);
  });

  test("different bodies have different validators", async () => {
    const etags = await Promise.all(
      [1, 2].map(async (seed) =>
        (await request(server(), "GET", await store(server(), someBytes(50, seed)))).headers.get("etag"),
      ),
    );
    expect(etags[0]).not.toBe(etags[1]);
  });
};

const defineRanges = (server: () => TestServer): void => {
  const sizes = [10, 256 * 1024 + 10, 3 * 1024 * 1024];
  test.each(sizes.map((size) => [size]))("one range of %d bytes", async (size) => {
    const body = someBytes(size, size);
    const path = await store(server(), body);
    const table: readonly (readonly [range: string, start: number, end: number])[] = [
      ["bytes=0-3", 0, 4],
      ["bytes=5-", 5, size],
      ["bytes=-3", size - 3, size],
      [`bytes=-${size * 2}`, 0, size],
      [`bytes=2-${size * 2}`, 2, size],
      [`bytes=${size - 1}-`, size - 1, size],
      ["bytes=0-0", 0, 1],
      [`bytes=${Math.floor(size / 2)}-${size - 2}`, Math.floor(size / 2), size - 1],
    ];
    for (const [range, start, end] of table) {
      const response = await request(server(), "GET", path, { headers: { range } });
      expect([range, response.status]).toEqual([range, 206]);
      expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/${size}`);
      expect(response.headers.get("content-length")).toBe(String(end - start));
      // The digest is of the whole representation, whatever part of it travels.
      expect(response.headers.get("repr-digest")).toBe(digestOf(body));
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expectBytes(new Uint8Array(await response.arrayBuffer()), body.slice(start, end));
    }
  });

  test("a range outside the body is 416", async () => {
    const path = await store(server(), someBytes(10));
    for (const range of ["bytes=10-", "bytes=100-200", "bytes=-0"]) {
      const response = await request(server(), "GET", path, { headers: { range } });
      expect([range, response.headers.get("content-range")]).toEqual([range, "bytes */10"]);
      await expectProblem(response, 416, "range_not_satisfiable");
    }
  });

  test("several ranges, other units and what cannot be read are the whole body", async () => {
    const body = someBytes(10);
    const path = await store(server(), body);
    for (const range of ["bytes=0-1,4-5", "bytes=0-1, 3-", "lines=0-1", "bytes=3-1", "bytes=x-y", "bytes"]) {
      const response = await request(server(), "GET", path, { headers: { range } });
      expect([range, response.status]).toEqual([range, 200]);
      expectBytes(new Uint8Array(await response.arrayBuffer()), body);
    }
  });
};

const defineHeaders = (server: () => TestServer): void => {
  test("X-Meta-NAME comes in as UTF-8 under a lower-case name", async () => {
    const subject = uniqueSubject("meta");
    const response = await request(server(), "POST", `${subjectPath(subject)}/messages`, {
      headers: {
        "content-type": "image/x-custom; a=b",
        "X-Meta-Trace-ID": "1",
        "x-meta-name": asHeaderValue("Жук ☃ 𝄞"),
        "X-Meta-Empty": "",
        "x-other": "not kept",
      },
      body: "x",
    });
    expect(response.status).toBe(201);
    const page = await new HttpClient(server().url).read(subject);
    expect(page.messages[0]?.headers).toEqual({
      "content-type": "image/x-custom; a=b",
      "trace-id": "1",
      name: "Жук ☃ 𝄞",
      empty: "",
    });
  });

  test("X-Meta-Content-Type is refused", async () => {
    const subject = uniqueSubject("meta");
    const headers = { "X-Meta-Content-Type": "text/html" };
    await expectProblem(
      await request(server(), "POST", `${subjectPath(subject)}/messages`, { headers, body: "x" }),
      422,
    );
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });

  test("headers that HTTP cannot say are left out of the response, and stay in the message", async () => {
    const subject = uniqueSubject("meta");
    const headers = {
      ok: "да",
      "Mixed-Case": "kept",
      empty: "",
      юникод: "x",
      "a b": "x",
      "colon:": "x",
      injected: "1\r\nX-Evil: 1",
      nul: "a\u0000b",
      del: "a\u007fb",
      "x\r\nX-Evil": "1",
    };
    await new HttpClient(server().url, "msgpack").publish({ subject, body: "x", headers });
    const stored = (await new HttpClient(server().url).read(subject)).messages[0]?.headers;
    expect(stored).toEqual(headers);
    const response = await rawRequest(server().url, [
      `GET ${subjectPath(subject)}/messages/1 HTTP/1.1`,
      `Host: ${new URL(server().url).host}`,
    ]);
    expect(response.status).toBe(200);
    const meta = [...response.headers].filter(([name]) => name.startsWith("x-meta") || name.includes("evil"));
    expect(Object.fromEntries(meta)).toEqual({ "x-meta-ok": "да", "x-meta-mixed-case": "kept", "x-meta-empty": "" });
  });

  test("a content type that is no header value breaks nothing", async () => {
    const subject = uniqueSubject("meta");
    await new HttpClient(server().url, "msgpack").publish({
      subject,
      body: "x",
      headers: { "content-type": "text/html\r\nX-Evil: 1" },
    });
    const response = await request(server(), "GET", `${subjectPath(subject)}/messages/1`);
    expect([response.status, response.headers.get("x-evil"), await response.text()]).toEqual([200, null, "x"]);
  });

  test("Idempotency-Key has 1 to 128 bytes", async () => {
    const path = `${subjectPath(uniqueSubject("key"))}/messages`;
    const host = `Host: ${new URL(server().url).host}`;
    const post = (key: string): Promise<{ status: number; body: Buffer }> =>
      rawRequest(server().url, [`POST ${path} HTTP/1.1`, host, `Idempotency-Key: ${key}`, "Content-Length: 1"], "x");
    for (const key of ["", "x".repeat(129), "ж".repeat(65)]) {
      const response = await post(key);
      expect([key, response.status]).toEqual([key, 422]);
      expect((JSON.parse(response.body.toString()) as { code: string }).code).toBe("invalid_message_id");
    }
    for (const key of ["x".repeat(128), "ж".repeat(64)]) {
      expect((await post(key)).status).toBe(201);
      expect((await post(key)).status).toBe(200);
    }
  });
};

/** The group. */
export const defineMessage = (server: () => TestServer): void => {
  describe("one message", () => {
    defineWhole(server);
    defineRanges(server);
    defineHeaders(server);
  });
};
