/**
 * Bodies as readers want them: as they were published, decoded, or as pointers.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { Pointer, Received } from "../client.ts";
import { expectBytes, expectError, someBytes, textsOf } from "../expectations.ts";
import { uniqueSubject } from "../server.ts";
import { sha256Hex } from "../wire.ts";
import type { CaseContext } from "./context.ts";

const text = "said again and again and again and again\n".repeat(10);

/** The group. */
export const defineDelivery = (context: CaseContext): void => {
  const bodyAt = async ({ url, headers }: Pointer): Promise<Uint8Array> => {
    const response = await fetch(new URL(url, context.server().url), { headers });
    if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  /** The message has a pointer and no body, and the pointer leads to this. */
  const expectPointer = async (message: Received | undefined, body: Uint8Array): Promise<void> => {
    const pointer = message?.pointer;
    if (message === undefined || pointer === undefined) throw new Error("there is no pointer");
    expect(message.body.length).toBe(0);
    expect(pointer).toMatchObject({ size: body.length, sha256: sha256Hex(body), contentEncoding: null });
    expect(pointer.expiresAtMs).toBeGreaterThan(Date.now());
    expectBytes(await bodyAt(pointer), body);
  };

  describe("pointers", () => {
    test.each([5, 300 * 1024])("take the place of bodies of %d bytes, in every way to read", async (length) => {
      const subject = uniqueSubject("pointer");
      const client = context.client();
      const body = someBytes(length, length);
      const neighbour = someBytes(100, 7);
      const live = await (await context.open()).follow(subject, { deliver: "pointer" });
      await client.publishBatch([
        { subject, body: neighbour },
        { subject, body, headers: { a: "b" } },
        { subject, body: neighbour },
      ]);
      const page = await client.read(subject, { deliver: "pointer" });
      expect(page.messages).toHaveLength(3);
      const fetched = await client.fetch(subject, "c", { deliver: "pointer" });
      expect(fetched.messages[1]).toMatchObject({ sequence: 2, deliveries: 1, headers: { a: "b" } });
      const pushed = await live.count(3);
      const late = await (await context.open()).follow(subject, { from: 2, deliver: "pointer" });
      for (const message of [page.messages[1], fetched.messages[1], pushed[1], (await late.count(1))[0]]) {
        await expectPointer(message, body);
      }
    });

    test("an empty body is nowhere, and comes as it is", async () => {
      const subject = uniqueSubject("pointer");
      const client = context.client();
      const live = await (await context.open()).follow(subject, { deliver: "pointer" });
      await client.publish({ subject, body: "", headers: { "content-type": "text/plain" } });
      for (const [message] of [(await client.read(subject, { deliver: "pointer" })).messages, await live.count(1)]) {
        expect(message).toMatchObject({ sequence: 1, headers: { "content-type": "text/plain" } });
        expect([message?.pointer, message?.body.length]).toEqual([undefined, 0]);
      }
    });

    test("a pointer outlives nothing: the message is acknowledged as ever", async () => {
      const subject = uniqueSubject("pointer");
      const client = context.client();
      await context.admin().putConsumer(subject, "c", { ack: "explicit" });
      await client.publish({ subject, body: "x" });
      await expectPointer((await client.fetch(subject, "c", { deliver: "pointer" })).messages[0], Buffer.from("x"));
      expect(await client.ack(subject, "c", { sequences: [1] })).toEqual({ ackedThrough: 1, moved: true });
    });
  });

  describe("content codings", () => {
    test("a body comes as it was published, or decoded for who asks", async () => {
      const subject = uniqueSubject("coded");
      const client = context.client();
      const body = Bun.gzipSync(text);
      const follow = async (deliver: "body" | "decoded") => (await context.open()).follow(subject, { deliver });
      const [plain, decoded] = [await follow("body"), await follow("decoded")];
      await client.publish({ subject, body, headers: { "content-type": "text/plain", "content-encoding": "gzip" } });
      await client.publish({ subject, body: "not coded" });
      for (const messages of [(await client.read(subject)).messages, await plain.count(2)]) {
        expect(messages[0]?.headers["content-encoding"]).toBe("gzip");
        expectBytes(messages[0]?.body, body);
      }
      const options = { deliver: "decoded" } as const;
      for (const messages of [
        (await client.read(subject, options)).messages,
        (await client.fetch(subject, "c", options)).messages,
        await decoded.count(2),
      ]) {
        expect(textsOf(messages)).toEqual([text, "not coded"]);
        expect(messages[0]?.headers).toEqual({ "content-type": "text/plain" });
      }
    });

    test("what does not decode comes as it is", async () => {
      const subject = uniqueSubject("coded");
      const client = context.client();
      await client.publish({ subject, body: "no gzip", headers: { "content-encoding": "gzip" } });
      const { messages } = await client.read(subject, { deliver: "decoded" });
      expect(textsOf(messages)).toEqual(["no gzip"]);
      expect(messages[0]?.headers).toEqual({ "content-encoding": "gzip" });
    });
  });

  test("what nobody can deliver is refused", async () => {
    const wrong = { deliver: "bytes" } as unknown as { deliver: "body" };
    const subject = uniqueSubject("deliver");
    await expectError(context.client().read(subject, wrong), "invalid_parameter");
    await expectError(context.client().fetch(subject, "c", wrong), "invalid_parameter");
  });
};
