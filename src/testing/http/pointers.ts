/**
 * Pointers in place of bodies, in both directions: what an address gives and what it does not, and bodies that
 * publishers put by themselves.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { type ClientError, unpackMsgpack } from "../client.ts";
import { expectBytes, someBytes } from "../expectations.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request, sendJson } from "./request.ts";

const pointerType = "application/vnd.s3-pointer+json";

interface Pointer {
  readonly format: string;
  readonly bucket: string;
  readonly key: string;
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
  readonly size: number;
  readonly content_encoding: string | null;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expires_at: number;
}

interface Upload {
  readonly key: string;
  readonly method: string;
  readonly multipart: boolean;
  readonly requests: readonly {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly offset: number;
    readonly length: number;
  }[];
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** An address may be a path of the server itself. */
const absolute = (server: TestServer, url: string): string => new URL(url, server.url).href;

const follow = (server: TestServer, pointer: Pointer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(absolute(server, pointer.url), { headers: { ...pointer.headers, ...headers } });

const pointerOf = async (server: TestServer, subject: string, sequence: number): Promise<Pointer> => {
  const response = await request(server, "GET", `${subjectPath(subject)}/messages/${sequence}?deliver=pointer`);
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/json"]);
  return (await response.json()) as Pointer;
};

const defineReading = (server: () => TestServer): void => {
  test.each([1, 1000, 300 * 1024, 3 * 1024 * 1024])("the address of %d bytes gives just these", async (length) => {
    const subject = uniqueSubject("pointer");
    const body = someBytes(length, length);
    await new HttpClient(server().url).publish({ subject, body });
    const pointer = await pointerOf(server(), subject, 1);
    expect(pointer).toMatchObject({
      format: "s3-pointer-v1",
      length,
      size: length,
      sha256: sha256(body),
      content_encoding: null,
    });
    expect(pointer.expires_at).toBeGreaterThan(Date.now());
    const response = await follow(server(), pointer);
    expect(response.ok).toBe(true);
    expectBytes(new Uint8Array(await response.arrayBuffer()), body);
  });

  test("the address of one body gives no byte of its neighbours", async () => {
    const subject = uniqueSubject("pointer");
    const bodies = ["secret before", "mine", "secret behind"];
    await new HttpClient(server().url).publishBatch(bodies.map((body) => ({ subject, body })));
    const pointer = await pointerOf(server(), subject, 2);
    // One object holds all three, or this proves nothing.
    expect((await pointerOf(server(), subject, 1)).key).toBe(pointer.key);
    expect((await pointerOf(server(), subject, 3)).key).toBe(pointer.key);
    for (const range of ["bytes=0-", "bytes=0-1000", `bytes=${pointer.offset - 5}-${pointer.offset + 10}`]) {
      const response = await follow(server(), pointer, { range });
      const text = await response.text();
      expect([range, text.includes("secret")]).toEqual([range, false]);
    }
    expect(await (await follow(server(), pointer)).text()).toBe("mine");
  });

  test("pages, fetches, peeks and tails give pointers, in every form", async () => {
    const subject = uniqueSubject("pointer");
    const messages = `${subjectPath(subject)}/messages`;
    const consumer = `${subjectPath(subject)}/consumers/c`;
    await new HttpClient(server().url).publish({ subject, body: "hello", headers: { a: "b" } });
    const expected = { sequence: 1, size: 5, sha256: sha256(Buffer.from("hello")), headers: { a: "b" } };
    const check = async (message: unknown): Promise<void> => {
      expect(message).toMatchObject(expected);
      expect(message).not.toHaveProperty("data");
      expect(message).not.toHaveProperty("data_base64");
      const { pointer } = message as { readonly pointer: Pointer };
      expect(await (await follow(server(), pointer)).text()).toBe("hello");
    };
    const page = await request(server(), "GET", `${messages}?deliver=pointer`);
    await check(((await page.json()) as { messages: unknown[] }).messages[0]);
    const lines = await request(server(), "GET", `${messages}?deliver=pointer`, {
      headers: { accept: "application/x-ndjson" },
    });
    await check(JSON.parse(await lines.text()));
    const packed = await request(server(), "GET", `${messages}?deliver=pointer`, {
      headers: { accept: "application/msgpack" },
    });
    await check((unpackMsgpack(await packed.bytes(), "the page") as { messages: unknown[] }).messages[0]);
    const peek = await request(server(), "GET", `${consumer}/peek?deliver=pointer`);
    await check(((await peek.json()) as { messages: unknown[] }).messages[0]);
    const fetched = await sendJson(server(), "POST", `${consumer}/fetch`, { deliver: "pointer" });
    await check(((await fetched.json()) as { messages: unknown[] }).messages[0]);
    const tail = await request(server(), "GET", `${messages}?from=first&limit=1&deliver=pointer`, {
      headers: { accept: "text/event-stream" },
    });
    const data = /^id: 1\ndata: (.*)$/m.exec(await tail.text())?.[1] ?? "";
    await check(JSON.parse(data));
  });

  test("another deliver is refused", async () => {
    const subject = uniqueSubject("pointer");
    const root = subjectPath(subject);
    for (const path of [`${root}/messages?`, `${root}/messages/1?`, `${root}/consumers/c/peek?`]) {
      const problem = await expectProblem(
        await request(server(), "GET", `${path}deliver=url`),
        422,
        "invalid_parameter",
      );
      expect(problem.fields["parameter"]).toBe("deliver");
    }
    const fetched = await sendJson(server(), "POST", `${root}/consumers/c/fetch`, { deliver: null });
    await expectProblem(fetched, 422, "invalid_parameter");
  });
};

const openUpload = async (server: TestServer, subject: string, body: Uint8Array, parts?: boolean): Promise<Upload> => {
  const response = await sendJson(server, "POST", `${subjectPath(subject)}/uploads`, {
    length: body.length,
    sha256: sha256(body),
    ...(parts === undefined ? {} : { parts }),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as Upload;
};

const put = async (server: TestServer, upload: Upload, body: Uint8Array): Promise<readonly Response[]> =>
  Promise.all(
    upload.requests.map(({ url, headers, offset, length }) =>
      fetch(absolute(server, url), { method: "PUT", headers, body: body.slice(offset, offset + length) }),
    ),
  );

const publishPointer = (server: TestServer, subject: string, pointer: object, headers = {}): Promise<Response> =>
  request(server, "POST", `${subjectPath(subject)}/messages`, {
    headers: { "content-type": pointerType, ...headers },
    body: JSON.stringify(pointer),
  });

const pointerTo = (upload: Upload, body: Uint8Array): object => ({
  format: "s3-pointer-v1",
  key: upload.key,
  length: body.length,
  sha256: sha256(body),
});

const defineUploads = (server: () => TestServer): void => {
  test.each([5, 300 * 1024])("a body of %d bytes is put, and published by its pointer", async (length) => {
    const subject = uniqueSubject("upload");
    const body = someBytes(length, length);
    const upload = await openUpload(server(), subject, body);
    expect(upload).toMatchObject({ format: "s3-pointer-v1", method: "PUT", multipart: false, length });
    for (const response of await put(server(), upload, body)) {
      expect([response.status, await response.text()]).toEqual([200, ""]);
      expect(response.headers.get("etag")).toMatch(/^".+"$/);
    }
    const published = await publishPointer(
      server(),
      subject,
      { ...pointerTo(upload, body), content_type: "image/x-own" },
      { "x-meta-own": "kept" },
    );
    expect([published.status, await published.json()]).toMatchObject([201, { subject, sequence: 1 }]);
    const message = await request(server(), "GET", `${subjectPath(subject)}/messages/1`);
    expect(message.headers.get("content-type")).toBe("image/x-own");
    expect(message.headers.get("x-meta-own")).toBe("kept");
    expectBytes(new Uint8Array(await message.arrayBuffer()), body);
  });

  test("in parts, where the store has them", async () => {
    const subject = uniqueSubject("upload");
    const body = someBytes(6 * 1024 * 1024, 6);
    const upload = await openUpload(server(), subject, body, true);
    for (const response of await put(server(), upload, body)) expect(response.status).toBe(200);
    const claim = { key: upload.key, length: body.length, sha256: sha256(body) };
    for (let times = 0; times < 2; times++) {
      const completed = await sendJson(server(), "POST", `${subjectPath(subject)}/uploads/complete`, claim);
      expect([completed.status, await completed.json()]).toEqual([200, { key: upload.key }]);
    }
    expect((await publishPointer(server(), subject, pointerTo(upload, body))).status).toBe(201);
    expectBytes(await new HttpClient(server().url).message(subject, 1), body);
  });

  test("an upload belongs to its subject, and must be there", async () => {
    const subject = uniqueSubject("upload");
    const body = someBytes(10);
    const upload = await openUpload(server(), subject, body);
    const pointer = pointerTo(upload, body);
    await expectProblem(await publishPointer(server(), subject, pointer), 404, "upload_not_found");
    await put(server(), upload, body);
    await expectProblem(await publishPointer(server(), uniqueSubject("other"), pointer), 404, "upload_not_found");
    await expectProblem(
      await publishPointer(server(), subject, { ...pointer, key: `${upload.key}x` }),
      404,
      "upload_not_found",
    );
    expect((await publishPointer(server(), subject, pointer)).status).toBe(201);
  });

  test("other bytes than those that were announced are refused", async () => {
    const subject = uniqueSubject("upload");
    const body = someBytes(10);
    const upload = await openUpload(server(), subject, body);
    for (const other of [someBytes(10, 99), someBytes(9), someBytes(11)]) {
      const [request] = upload.requests;
      const response = await fetch(absolute(server(), request?.url ?? ""), {
        method: "PUT",
        headers: request?.headers ?? {},
        body: other,
      });
      expect(response.ok).toBe(false);
      await response.arrayBuffer();
    }
    await expectProblem(await publishPointer(server(), subject, pointerTo(upload, body)), 404, "upload_not_found");
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });

  test("the coding of an upload is the message's", async () => {
    const subject = uniqueSubject("upload");
    const body = Bun.gzipSync(Buffer.from("hello"));
    const upload = await openUpload(server(), subject, body);
    await put(server(), upload, body);
    const pointer = { ...pointerTo(upload, body), content_encoding: "gzip" };
    expect((await publishPointer(server(), subject, pointer)).status).toBe(201);
    const message = await request(server(), "GET", `${subjectPath(subject)}/messages/1`, {
      headers: { "accept-encoding": "identity" },
    });
    expect(await message.text()).toBe("hello");
    expect(await pointerOf(server(), subject, 1)).toMatchObject({ content_encoding: "gzip", size: body.length });
  });

  const digest = "00".repeat(32);

  test.each([
    [{}, "length"],
    [{ length: 0, sha256: digest }, "length"],
    [{ length: "5", sha256: digest }, "length"],
    [{ length: 5 }, "sha256"],
    [{ length: 5, sha256: "00" }, "sha256"],
    [{ length: 5, sha256: digest, parts: "yes" }, "parts"],
  ])("opening with %j is refused", async (body, parameter) => {
    const response = await sendJson(server(), "POST", `${subjectPath("any")}/uploads`, body);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid_parameter", parameter });
  });

  test("opening for a body over the limit is refused", async () => {
    const body = { length: 65 * 1024 * 1024, sha256: digest };
    await expectProblem(await sendJson(server(), "POST", `${subjectPath("any")}/uploads`, body), 413, "body_too_large");
    await expectProblem(
      await sendJson(server(), "POST", `${subjectPath("any")}/uploads`, { length: 5, sha256: digest, more: 1 }),
      422,
      "unknown_field",
    );
  });

  test.each([
    [{ key: "k", length: 5, sha256: digest }, "format"],
    [{ format: "s3-pointer-v1", length: 5, sha256: digest }, "key"],
    [{ format: "s3-pointer-v1", key: "k", length: -5, sha256: digest }, "length"],
    [{ format: "s3-pointer-v1", key: "k", length: 5, sha256: "x" }, "sha256"],
    [{ format: "s3-pointer-v1", key: "k", length: 5, sha256: digest, url: "http://127.0.0.1/" }, "url"],
  ])("%j is no pointer", async (pointer, field) => {
    const response = await publishPointer(server(), "any", pointer);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: "invalid_pointer", field });
  });

  test("a pointer that is no JSON is malformed", async () => {
    const response = await request(server(), "POST", `${subjectPath("any")}/messages`, {
      headers: { "content-type": `${pointerType}; charset=utf-8` },
      body: "{",
    });
    await expectProblem(response, 400, "malformed_body");
  });
};

const defineSigned = (server: () => TestServer): void => {
  const signed = async (): Promise<{ readonly read: string; readonly write: string }> => {
    const subject = uniqueSubject("signed");
    await new HttpClient(server().url).publish({ subject, body: "body" });
    const upload = await openUpload(server(), subject, someBytes(10));
    const pathOf = (url = ""): string => {
      // Where the server listens, unless it is told otherwise.
      expect(url).toStartWith(`${server().url}/`);
      return new URL(url).pathname;
    };
    return { read: pathOf((await pointerOf(server(), subject, 1)).url), write: pathOf(upload.requests[0]?.url) };
  };

  test("an address that was changed, or is for something else, is refused", async () => {
    const { read, write } = await signed();
    const refused = (method: string, path: string): Promise<ClientError> =>
      request(server(), method, path, method === "PUT" ? { body: someBytes(10) } : {}).then((response) =>
        expectProblem(response, 403, "permission_denied"),
      );
    await refused("GET", write);
    await refused("PUT", read);
    await refused("GET", "/v1/bodies/x");
    await refused("GET", `${read}x`);
    for (const at of [12, 20, read.length - 1]) {
      const other = read[at] === "A" ? "B" : "A";
      await refused("GET", `${read.slice(0, at)}${other}${read.slice(at + 1)}`);
    }
  });

  test("what it sends is not for browsers to run or caches to keep", async () => {
    const { read } = await signed();
    for (const method of ["GET", "HEAD"]) {
      const response = await request(server(), method, read);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-length")).toBe("4");
      expect(response.headers.get("content-type")).toBe("application/octet-stream");
      expect(response.headers.get("cache-control")).toContain("no-store");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-security-policy")).toBe("sandbox");
      expect(await response.text()).toBe(method === "GET" ? "body" : "");
    }
  });
};

/** Pointers and uploads, wherever their addresses lead. */
export const definePointers = (server: () => TestServer): void => {
  describe("pointers", () => {
    defineReading(server);
  });
  describe("uploads", () => {
    defineUploads(server);
  });
};

/** On a server whose addresses are its own. */
export const defineSignedAddresses = (server: () => TestServer): void => {
  describe("signed addresses", () => {
    defineSigned(server);
  });
};
