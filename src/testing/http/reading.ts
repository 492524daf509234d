/**
 * Pages in their formats, and batches as HTTP reads them.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { packMsgpack, unpackMsgpack } from "../client.ts";
import { expectReceipt, someBytes, upTo } from "../expectations.ts";
import { HttpClient, integerHeader, parseHttpJsonMessage, subjectPath } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { sha256Hex, WireMap } from "../wire.ts";
import { expectProblem, mediaType, request, sendJson } from "./request.ts";

const definePages = (server: () => TestServer): void => {
  test("a JSON page has the fields of the contract and no others", async () => {
    const subject = uniqueSubject("page");
    const admin = new HttpClient(server().url);
    await admin.publish({ subject, body: "text", headers: { a: "b" } });
    await admin.publish({ subject, body: Uint8Array.of(0xff) });
    const response = await request(server(), "GET", `${subjectPath(subject)}/messages`);
    expect(mediaType(response)).toBe("application/json");
    const page = (await response.json()) as { messages: Record<string, unknown>[] };
    expect(Object.keys(page).sort()).toEqual(
      ["epoch", "first_sequence", "last_sequence", "messages", "next_sequence", "subject"].sort(),
    );
    const { timestamp, ...first } = page.messages[0] ?? {};
    expect(timestamp).toBeInteger();
    const text = new TextEncoder().encode("text");
    expect(first).toEqual({
      subject,
      sequence: 1,
      headers: { a: "b" },
      size: 4,
      sha256: sha256Hex(text),
      data: "text",
    });
    expect(page.messages[1]).toMatchObject({ size: 1, data_base64: "/w==" });
    expect(page.messages[1]).not.toHaveProperty("data");
  });

  test("headers_only leaves the bodies out", async () => {
    const subject = uniqueSubject("page");
    const admin = new HttpClient(server().url);
    const body = someBytes(300 * 1024);
    await admin.publish({ subject, body, headers: { a: "b" } });
    await admin.publish({ subject, body: "small" });
    const path = `${subjectPath(subject)}/messages?headers_only=true`;
    const page = (await (await request(server(), "GET", path)).json()) as { messages: Record<string, unknown>[] };
    expect(page.messages.map((message) => message["size"])).toEqual([body.length, 5]);
    expect(page.messages[0]).toMatchObject({ sequence: 1, headers: { a: "b" }, sha256: sha256Hex(body) });
    for (const message of page.messages) {
      expect(message).not.toHaveProperty("data");
      expect(message).not.toHaveProperty("data_base64");
    }
    const raw = await request(server(), "GET", path, { headers: { accept: "application/msgpack" } });
    const packed = new WireMap(unpackMsgpack(new Uint8Array(await raw.arrayBuffer()), "page"), "page");
    expect(new WireMap(packed.list("messages")[0], "message").has("data")).toBe(false);
  });

  test("NDJSON carries the ends of the page in headers", async () => {
    const subject = uniqueSubject("ndjson");
    const admin = new HttpClient(server().url);
    await admin.publishBatch(upTo(5).map((index) => ({ subject, body: `line\n${index}` })));
    await admin.purge(subject, 1);
    const response = await request(server(), "GET", `${subjectPath(subject)}/messages?limit=2`, {
      headers: { accept: "application/x-ndjson" },
    });
    expect(mediaType(response)).toBe("application/x-ndjson");
    expect(response.headers.get("x-epoch")).toBe((await admin.read(subject)).epoch);
    const ends = ["x-first-sequence", "x-last-sequence", "x-next-sequence"].map((name) =>
      integerHeader(response, name),
    );
    expect(ends).toEqual([2, 5, 4]);
    const lines = (await response.text()).trimEnd().split("\n");
    expect(lines.map((line) => parseHttpJsonMessage(JSON.parse(line)).sequence)).toEqual([2, 3]);
  });

  test("HEAD of a page has its headers and no body", async () => {
    const subject = uniqueSubject("head");
    await new HttpClient(server().url).publish({ subject, body: "x" });
    for (const path of ["/messages", "", "/consumers"]) {
      const head = await request(server(), "HEAD", subjectPath(subject) + path);
      expect([path, head.status, mediaType(head), (await head.arrayBuffer()).byteLength]).toEqual([
        path,
        200,
        "application/json",
        0,
      ]);
    }
  });

  test("a fetch under a consumer's name answers in every format", async () => {
    const subject = uniqueSubject("formats");
    await new HttpClient(server().url).publish({ subject, body: "x" });
    for (const format of ["json", "msgpack", "ndjson"] as const) {
      const page = await new HttpClient(server().url, format).fetch(subject, format);
      expect(page.messages).toMatchObject([{ sequence: 1, deliveries: 1 }]);
      const peeked = await new HttpClient(server().url, format).peek(subject, format);
      expect(peeked.messages).toMatchObject([{ sequence: 1 }]);
    }
  });
};

const defineBatches = (server: () => TestServer): void => {
  const post = (type: string, body: string | Uint8Array): Promise<Response> =>
    request(server(), "POST", "/v1/messages", {
      headers: { "content-type": type },
      body: typeof body === "string" ? body : new Uint8Array(body),
    });

  test("NDJSON needs no last line end, and takes CRLF and blank lines", async () => {
    const subject = uniqueSubject("ndjson");
    const line = (data: string): string => JSON.stringify({ subject, data });
    for (const body of [
      `${line("1")}\n${line("2")}`,
      `${line("3")}\r\n${line("4")}\r\n`,
      `${line("5")}\n\n${line("6")}\n`,
    ]) {
      const response = await post("application/x-ndjson", body);
      expect(response.status).toBe(200);
      expect(((await response.json()) as { results: unknown[] }).results).toHaveLength(2);
    }
    const page = await new HttpClient(server().url).read(subject);
    expect(page.messages.map((message) => Buffer.from(message.body).toString())).toEqual(upTo(6).map(String));
  });

  test("a batch that cannot be read stores nothing", async () => {
    const subject = uniqueSubject("malformed");
    const good = { subject, data: "x" };
    const packed = packMsgpack({ messages: [{ subject, data: new Uint8Array(1) }] });
    const rows: readonly (readonly [type: string, body: string | Uint8Array])[] = [
      ["application/x-ndjson", `${JSON.stringify(good)}\n{"subject":`],
      ["application/x-ndjson", `${JSON.stringify(good)}\nnot json\n${JSON.stringify(good)}`],
      ["application/json", `{"messages":[${JSON.stringify(good)}`],
      ["application/json", Buffer.from(`{"messages":[{"subject":"${subject}","data":"\xff"}]}`, "latin1")],
      ["application/msgpack", packed.slice(0, -1)],
      ["application/msgpack", Uint8Array.of(...packed, 0xc0)],
      ["application/msgpack", Uint8Array.of(0xc1)],
      ["application/msgpack", new Uint8Array()],
      ["application/msgpack", Uint8Array.of(...Array<number>(100_000).fill(0x91), 0xc0)],
      ["application/msgpack", Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
      ["application/json", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ];
    for (const [index, [type, body]] of rows.entries()) {
      const response = await post(type, body);
      if (index === rows.length - 1) expect([400, 422]).toContain(response.status);
      else expect([index, response.status]).toEqual([index, 400]);
      await expectProblem(response, response.status);
    }
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });

  test("too many messages are refused in every format and nothing is stored", async () => {
    const subject = uniqueSubject("many");
    const messages = upTo(10_001).map(() => ({ subject, data: "" }));
    const rows: readonly (readonly [type: string, body: string | Uint8Array])[] = [
      ["application/json", JSON.stringify({ messages })],
      ["application/x-ndjson", messages.map((message) => JSON.stringify(message)).join("\n")],
      ["application/msgpack", packMsgpack({ messages: messages.map(() => ({ subject, data: new Uint8Array() })) })],
    ];
    for (const [type, body] of rows) await expectProblem(await post(type, body), 422, "too_many_messages");
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });

  test("a batch that is no list of messages is refused", async () => {
    for (const body of [{}, [], { messages: {} }, { messages: "x" }, null, 1]) {
      const response = await sendJson(server(), "POST", "/v1/messages", body);
      expect([body, [400, 422].includes(response.status)]).toEqual([body, true]);
      await expectProblem(response, response.status);
    }
  });

  test("entries that are no messages do not stop the others", async () => {
    const subject = uniqueSubject("entries");
    const rows = [
      { subject, data: "x", data_base64: "eA==" },
      { subject },
      { subject, data_base64: "not base64!" },
      { subject, data: 1 },
      { subject, data: "x", headers: { a: 1 } },
      { subject, data: "x", expected_last_sequence: "0" },
      { subject, data: "x", message_id: 5 },
      { data: "x" },
    ];
    for (const row of rows) {
      const messages = [row, { subject: `${subject}.good`, data: "good" }];
      const response = await sendJson(server(), "POST", "/v1/messages", { messages });
      // The contract leaves open whether a wrong entry fails alone or the whole request, not that it fails.
      if (response.ok) {
        const { results } = (await response.json()) as { results: Record<string, unknown>[] };
        expect([row, results.map((result) => "error" in result)]).toEqual([row, [true, false]]);
      } else expect([400, 422]).toContain(response.status);
    }
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(0);
  });

  test("data_base64 is bytes", async () => {
    const subject = uniqueSubject("base64");
    const [result] = await new HttpClient(server().url).publishBatch([{ subject, body: Uint8Array.of(0, 255, 254) }]);
    expectReceipt(result);
    expect([...(await new HttpClient(server().url).message(subject, 1))]).toEqual([0, 255, 254]);
  });
};

/** The group. */
export const defineReading = (server: () => TestServer): void => {
  describe("pages", () => definePages(server));
  describe("batches", () => defineBatches(server));
};
