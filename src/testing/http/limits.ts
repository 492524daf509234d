/**
 * Limits, foreign origins, clients that go away, and the end of the server. Some need a server of their own.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { expectBytes, expectClientError, expectReceipt, someBytes, upTo } from "../expectations.ts";
import { consumerPath, HttpClient, subjectPath } from "../http-client.ts";
import { RawSocket, rawRequest, takeHead } from "../raw-socket.ts";
import { startTestServer, type TestServer, uniqueSubject } from "../server.ts";
import { expectProblem, request } from "./request.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Host of a server, as clients send it. */
const hostOf = (server: TestServer): string => new URL(server.url).host;

/** Cases for a server with `MTS_MAX_BODY_BYTES=1MiB`. */
export const defineBodyLimit = (server: () => TestServer): void => {
  describe("the largest body", () => {
    const stream = (total: number): ReadableStream<Uint8Array> => {
      let sent = 0;
      return new ReadableStream({
        pull: (controller) => {
          const chunk = someBytes(Math.min(64 * KiB, total - sent), 3);
          sent += chunk.length;
          if (chunk.length > 0) controller.enqueue(chunk);
          if (sent >= total) controller.close();
        },
      });
    };

    test("exactly the limit is stored, by Content-Length and by chunks", async () => {
      const subject = uniqueSubject("limit");
      const body = someBytes(MiB);
      const admin = new HttpClient(server().url);
      await admin.publish({ subject, body });
      expectBytes(await admin.message(subject, 1), body);
      const chunked = await request(server(), "POST", `${subjectPath(subject)}/messages`, { body: stream(MiB) });
      expect(chunked.status).toBe(201);
      expect((await admin.message(subject, 2)).length).toBe(MiB);
    });

    test("one byte more is 413, by Content-Length and by chunks", async () => {
      const subject = uniqueSubject("limit");
      const path = `${subjectPath(subject)}/messages`;
      await expectProblem(await request(server(), "POST", path, { body: someBytes(MiB + 1) }), 413, "body_too_large");
      await expectProblem(await request(server(), "POST", path, { body: stream(MiB + 1) }), 413, "body_too_large");
      await expectProblem(await request(server(), "POST", path, { body: stream(3 * MiB) }), 413, "body_too_large");
      const admin = new HttpClient(server().url);
      expect((await admin.read(subject)).lastSequence).toBe(0);
      expect(await admin.publish({ subject, body: "still there" })).toMatchObject({ sequence: 1 });
    });

    test("a Content-Length over the limit is refused before the body comes", async () => {
      const socket = await RawSocket.connect(server().url);
      const path = `${subjectPath(uniqueSubject("limit"))}/messages`;
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ${hostOf(server())}\r\nContent-Length: ${100 * MiB}\r\n\r\n`);
      const head = await takeHead(socket);
      expect(head?.status).toBe(413);
      expect(head?.headers.get("content-type")).toStartWith("application/problem+json");
      socket.destroy();
    });

    test("a chunked body that never ends is refused when it is over the limit", async () => {
      const socket = await RawSocket.connect(server().url);
      const path = `${subjectPath(uniqueSubject("limit"))}/messages`;
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ${hostOf(server())}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const chunk = Buffer.from(someBytes(64 * KiB));
      for (let sent = 0; sent <= MiB; sent += chunk.length) {
        socket.write(`${chunk.length.toString(16)}\r\n`);
        socket.write(chunk);
        socket.write("\r\n");
      }
      expect((await takeHead(socket))?.status).toBe(413);
      socket.destroy();
    });

    test.each(["json", "msgpack", "ndjson"] as const)("in a %s batch only the entry is refused", async (format) => {
      const subject = uniqueSubject("limit");
      const results = await new HttpClient(server().url, format).publishBatch([
        { subject, body: "1" },
        { subject, body: someBytes(MiB + 1) },
        { subject, body: "2" },
      ]);
      expect(expectReceipt(results[0]).sequence).toBe(1);
      expectClientError(results[1], "body_too_large");
      expect(expectReceipt(results[2]).sequence).toBe(2);
    });

    test("an upload that breaks off stores nothing", async () => {
      const subject = uniqueSubject("limit");
      const head = `POST ${subjectPath(subject)}/messages HTTP/1.1\r\nHost: ${hostOf(server())}\r\n`;
      for (const length of [1000, 900 * KiB]) {
        const socket = await RawSocket.connect(server().url);
        socket.write(`${head}Content-Length: ${length}\r\n\r\n`);
        socket.write(someBytes(length - 1));
        // The server has taken some of it when it answers another request on a later connection.
        await request(server(), "GET", "/healthz");
        socket.destroy("reset");
      }
      const admin = new HttpClient(server().url);
      await request(server(), "GET", "/healthz");
      expect(await admin.publish({ subject, body: "first" })).toMatchObject({ sequence: 1 });
    });
  });
};

/** Foreign browsers. */
export const defineOrigins = (server: () => TestServer): void => {
  describe("origins", () => {
    const get = async (to: TestServer, lines: readonly string[], path = "/v1/subjects"): Promise<number> =>
      (await rawRequest(to.url, [`GET ${path} HTTP/1.1`, ...lines])).status;

    test("a foreign Origin is 403, the own one is not", async () => {
      const host = `Host: ${hostOf(server())}`;
      for (const origin of ["https://evil.example", "null", `${server().url}.evil.example`, "http://127.0.0.1:1"]) {
        const path = `${subjectPath(uniqueSubject("origin"))}/messages`;
        const response = await request(server(), "POST", path, { headers: { origin }, body: "x" });
        await expectProblem(response, 403, "origin_not_allowed");
        expect([origin, await get(server(), [host, `Origin: ${origin}`])]).toEqual([origin, 403]);
      }
      expect(await get(server(), [host, `Origin: ${server().url}`])).toBe(200);
      expect(await get(server(), [host])).toBe(200);
    });

    test("a foreign Host is 403: a name that was rebound to this address", async () => {
      for (const name of ["evil.example", `evil.example:${new URL(server().url).port}`, "127.0.0.1.evil.example"]) {
        expect([name, await get(server(), [`Host: ${name}`])]).toEqual([name, 403]);
        expect([name, await get(server(), [`Host: ${name}`, `Origin: http://${name}`])]).toEqual([name, 403]);
      }
    });

    test("MTS_ALLOWED_ORIGINS lets others in", async () => {
      await using other = await startTestServer({
        env: { MTS_ALLOWED_ORIGINS: "https://app.example,http://other.example:8080" },
      });
      const host = `Host: ${hostOf(other)}`;
      const response = await rawRequest(other.url, ["GET /v1/subjects HTTP/1.1", host, "Origin: https://app.example"]);
      expect(response.status).toBe(200);
      expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
      expect(await get(other, [host, "Origin: http://other.example:8080"])).toBe(200);
      expect(await get(other, [host, "Origin: http://app.example"])).toBe(403);
      expect(await get(other, [host, "Origin: https://evil.example"])).toBe(403);
      expect(await get(other, [host, `Origin: ${other.url}`])).toBe(200);
    });
  });
};

/** Clients that go away, and the server that does. */
export const defineLifecycle = (server: () => TestServer): void => {
  describe("coming and going", () => {
    test.each(["fin", "reset"] as const)("a fetch whose client has gone (%s) takes no lease", async (how) => {
      const subject = uniqueSubject("gone");
      const admin = new HttpClient(server().url);
      await admin.putConsumer(subject, "c", { ack: "explicit" });
      const body = '{"wait_ms":60000}';
      const lines = [
        `POST ${consumerPath(subject, "c")}/fetch HTTP/1.1`,
        `Host: ${hostOf(server())}`,
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
      ];
      const sockets = await Promise.all(upTo(3).map(() => RawSocket.connect(server().url)));
      for (const socket of sockets) socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
      // Requests are taken in the order they come: after these the fetches wait, and have seen the end.
      for (let round = 0; round < 3; round++) await request(server(), "GET", "/healthz");
      for (const socket of sockets) socket.destroy(how);
      await Promise.all(sockets.map((socket) => socket.closed));
      for (let round = 0; round < 3; round++) await request(server(), "GET", "/healthz");
      await admin.publish({ subject, body: "x" });
      const page = await admin.fetch(subject, "c");
      expect(page.messages).toMatchObject([{ sequence: 1, deliveries: 1 }]);
      expect(await admin.consumer(subject, "c")).toMatchObject({ ackPending: 1, redelivered: 0 });
    });

    test("SIGTERM answers long polls, ends event streams and exits with 0", async () => {
      const own = await startTestServer();
      try {
        const subject = uniqueSubject("stop");
        const admin = new HttpClient(own.url);
        const reading = admin.read(subject, { waitMs: 60_000 });
        const fetching = admin.fetch(subject, "c", { waitMs: 60_000 });
        const tail = await fetch(`${own.url}${subjectPath(subject)}/messages`, {
          headers: { accept: "text/event-stream" },
        });
        // The consumer is there as soon as the fetch is waiting.
        while ((await admin.consumers(subject)).length === 0) await request(own, "GET", "/healthz");
        const stopped = own.stop();
        expect(await reading).toMatchObject({ messages: [], nextSequence: 1 });
        expect(await fetching).toMatchObject({ messages: [] });
        await tail.text();
        await stopped;
      } finally {
        await own.close();
      }
    });
  });
};
