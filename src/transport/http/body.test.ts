import { describe, expect, test } from "bun:test";
import { batchMessagesMax } from "../../core/limits.ts";
import { bodyChunks, parseNdjson, parseStructured, readBytes } from "./body.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const failing = (code: string): unknown => expect.objectContaining({ code });

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

describe("NDJSON", () => {
  test("one value a line; empty lines and a missing last line feed do no harm", () => {
    expect(parseNdjson(bytes('{"a":1}\r\n\n 2\n"x"'))).toEqual([{ a: 1 }, 2, "x"]);
    expect(parseNdjson(bytes(""))).toEqual([]);
  });

  test("a line that is not JSON spoils the body and is named", () => {
    expect(() => parseNdjson(bytes("1\n\n{\n2"))).toThrow(
      expect.objectContaining({ code: "malformed_body", fields: { line: 3 } }),
    );
  });

  test("one line too many is too many", () => {
    expect(parseNdjson(bytes("1\n".repeat(batchMessagesMax)))).toHaveLength(batchMessagesMax);
    expect(() => parseNdjson(bytes("1\n".repeat(batchMessagesMax + 1)))).toThrow(failing("too_many_messages"));
  });
});

test.each([[[0xff]], [[0x22, 0xc0, 0xaf, 0x22]], [[0xef, 0xbb, 0xbf, 0x31]], [[]], [[0x7b]]])(
  "%p is no JSON body",
  (raw) => {
    expect(() => parseStructured(new Uint8Array(raw), "json")).toThrow(failing("malformed_body"));
  },
);

describe("counting", () => {
  const post = (body: Uint8Array | ReadableStream, headers: Record<string, string> = {}): Request =>
    new Request("http://localhost/", { method: "POST", body, headers });
  const stream = (chunks: number): ReadableStream =>
    new ReadableStream({
      start: (controller) => {
        for (let i = 0; i < chunks; i++) controller.enqueue(bytes("abc"));
        controller.close();
      },
    });

  test("a body up to its limit is read, one byte more is refused", async () => {
    expect(await readBytes(post(stream(3)), 9)).toHaveLength(9);
    expect(await caught(readBytes(post(stream(3)), 8))).toMatchObject({ code: "body_too_large" });
    expect(await readBytes(post(bytes("abc"), { "content-length": "3" }), 3)).toHaveLength(3);
  });

  test("a Content-Length above the limit is refused unread", async () => {
    const request = post(bytes("abc"), { "content-length": "3" });
    expect(await caught(readBytes(request, 2))).toMatchObject({ code: "body_too_large" });
    expect(request.bodyUsed).toBe(false);
  });

  test("a body that breaks off is the client's fault", async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
    const chunks = bodyChunks(post(broken), 9);
    expect(await caught(chunks.next())).toMatchObject({ code: "malformed_request" });
  });
});
