/**
 * A store that compresses: nobody sees it, but who follows a pointer.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { zstdDecompressSync } from "node:zlib";
import { expectBytes } from "../expectations.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { type TestServer, uniqueSubject } from "../server.ts";
import { request } from "./request.ts";

const bodies = [4000, 300 * 1024, 3 * 1024 * 1024].map((length) => Buffer.alloc(length, "what compresses well, "));

/** The group; on a server with `compress: zstd`. */
export const defineCompressed = (server: () => TestServer): void => {
  describe("compressed by the store", () => {
    test.each(bodies.map((body) => [body.length, body] as const))(
      "%d bytes come as published",
      async (length, body) => {
        const subject = uniqueSubject("packed");
        const path = `${subjectPath(subject)}/messages/1`;
        await new HttpClient(server().url).publish({ subject, body });
        const whole = await request(server(), "GET", path);
        expect([whole.headers.get("content-encoding"), whole.headers.get("content-length")]).toEqual([
          null,
          `${length}`,
        ]);
        expectBytes(new Uint8Array(await whole.arrayBuffer()), body);
        const range = await request(server(), "GET", path, { headers: { range: "bytes=1000-1999" } });
        expect(range.status).toBe(206);
        expectBytes(new Uint8Array(await range.arrayBuffer()), body.subarray(1000, 2000));
      },
    );

    test.each(bodies.map((body) => [body.length, body] as const))(
      "the pointer to %d bytes tells it",
      async (size, body) => {
        const subject = uniqueSubject("packed");
        await new HttpClient(server().url).publish({ subject, body });
        const response = await request(server(), "GET", `${subjectPath(subject)}/messages/1?deliver=pointer`);
        const pointer = (await response.json()) as { readonly url: string; readonly length: number };
        expect(pointer).toMatchObject({ content_encoding: "zstd", size });
        const stored = new Uint8Array(await (await fetch(pointer.url)).arrayBuffer());
        expect(stored.length).toBe(pointer.length);
        expect(stored.length).toBeLessThan(size / 10);
        expectBytes(zstdDecompressSync(stored), body);
      },
    );
  });
};
