/**
 * Limits that one client or all of them together can reach: each gets its documented answer, and somebody else, who
 * does nothing wrong, gets theirs.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ClientError } from "../client.ts";
import { someBytes } from "../expectations.ts";
import { HttpClient, readProblem, subjectPath } from "../http-client.ts";
import { RawSocket, takeHead } from "../raw-socket.ts";
import { rawUpgrade } from "../raw-ws.ts";
import { type TestServer, uniqueSubject, useTestServer } from "../server.ts";
import { WsClient } from "../ws-client.ts";
import { askFromElsewhere } from "./bystander.ts";

setDefaultTimeout(60_000);

const KiB = 1024;
const hostOf = (server: TestServer): string => new URL(server.url).host;
const messagesPath = (subject: string): string => `${subjectPath(subject)}/messages`;

/** The code of the error that a promise rejects with. */
const codeOf = async (promise: Promise<unknown>): Promise<string | undefined> => {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof ClientError) return error.code;
    throw error;
  }
};

describe("connections of one address", () => {
  const server = useTestServer({ env: { MTS_MAX_CONNECTIONS_PER_ADDRESS: "3" } });

  /** Whether the address has room again: the server sees an end a moment after the client. */
  const untilAnswered = async (path: string): Promise<void> => {
    while ((await fetch(`${server().url}${path}`)).status !== 200);
  };

  test("one WebSocket too many is 429; the others, and other addresses, go on", async () => {
    const clients = await Promise.all([1, 2, 3].map(() => WsClient.connect(server().wsUrl)));
    const { head, socket } = await rawUpgrade(server().wsUrl);
    expect(head.status).toBe(429);
    expect(head.headers.get("content-type")).toStartWith("application/problem+json");
    expect(head.headers.get("retry-after")).toBe("1");
    expect((await socket.take((received) => ({ value: received.toString(), used: received.length }))) ?? "").toContain(
      '"code":"too_many_connections"',
    );
    socket.destroy();
    const subject = uniqueSubject("crowd");
    expect(await clients[0]?.publish({ subject, body: "x" })).toMatchObject({ sequence: 1 });
    expect(await askFromElsewhere(server(), "POST", messagesPath(subject), "y")).toBe(201);
    // HTTP is counted by itself.
    expect((await new HttpClient(server().url).read(subject)).lastSequence).toBe(2);
    await clients[2]?.close();
    let again: number;
    do {
      const next = await rawUpgrade(server().wsUrl);
      again = next.head.status;
      next.socket.destroy();
    } while (again === 429);
    expect(again).toBe(101);
    await Promise.all(clients.slice(0, 2).map((client) => client.close()));
  });

  test("one request under way too many is 429, and there is room again when others were answered", async () => {
    const subject = uniqueSubject("crowd");
    const path = messagesPath(subject);
    const polls = [1, 2, 3].map(() => fetch(`${server().url}${path}?wait_ms=60000`));
    let refused: Response;
    do refused = await fetch(`${server().url}/healthz`);
    while (refused.status === 200);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await readProblem(refused)).toMatchObject({ code: "too_many_connections", retryable: true });
    expect(await askFromElsewhere(server(), "POST", path, "x")).toBe(201);
    for (const poll of await Promise.all(polls)) expect(poll.status).toBe(200);
    await untilAnswered("/healthz");
  });

  test("live tails count until they end", async () => {
    const path = messagesPath(uniqueSubject("crowd"));
    const leaving = [1, 2, 3].map(() => new AbortController());
    const tails = await Promise.all(
      leaving.map(({ signal }) =>
        fetch(`${server().url}${path}`, { headers: { accept: "text/event-stream" }, signal }),
      ),
    );
    expect(tails.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await fetch(`${server().url}/healthz`)).status).toBe(429);
    expect(await askFromElsewhere(server(), "GET", "/healthz")).toBe(200);
    leaving[0]?.abort();
    await untilAnswered("/healthz");
    for (const controller of leaving) controller.abort();
  });
});

describe("bytes under way", () => {
  const server = useTestServer({ env: { MTS_MAX_INFLIGHT_BYTES: "1MiB" } });

  /** Waits until the server holds as much as that. */
  const untilHeld = async (enough: (bytes: number) => boolean): Promise<void> => {
    const held = async (): Promise<number> => {
      const text = await (await fetch(`${server().url}/metrics`)).text();
      return Number(/^mts_request_bytes (\d+)$/m.exec(text)?.[1]);
    };
    while (!enough(await held()));
  };

  test("past the budget everybody is overloaded for the moment, small requests go on", async () => {
    const subject = uniqueSubject("budget");
    const admin = new HttpClient(server().url);
    const socket = await WsClient.connect(server().wsUrl);
    const line = `${JSON.stringify({ subject, data: "x".repeat(900 * KiB) })}\n`;
    const holder = await RawSocket.connect(server().url);
    holder.write(`POST /v1/messages HTTP/1.1\r\nHost: ${hostOf(server())}\r\nContent-Type: application/x-ndjson\r\n`);
    holder.write(`Content-Length: ${line.length}\r\n\r\n${line.slice(0, -1)}`);
    await untilHeld((bytes) => bytes >= 900 * KiB);
    const large = someBytes(200 * KiB);
    expect(await codeOf(admin.publish({ subject, body: large }))).toBe("overloaded");
    expect(await codeOf(socket.publish({ subject, body: large }))).toBe("overloaded");
    const bystander = uniqueSubject("budget");
    expect(await socket.publish({ subject: bystander, body: "small" })).toMatchObject({ sequence: 1 });
    expect(await askFromElsewhere(server(), "POST", messagesPath(bystander), "small too")).toBe(201);
    holder.write("\n");
    expect((await takeHead(holder))?.status).toBe(200);
    holder.destroy();
    expect((await admin.read(subject, { limit: 1 })).lastSequence).toBe(1);
    expect(await admin.publish({ subject, body: large })).toMatchObject({ sequence: 2 });
    expect(await socket.publish({ subject, body: large })).toMatchObject({ sequence: 3 });
    await socket.close();
  });

  test("a client that leaves gives back what its body held", async () => {
    const half = "x".repeat(800 * KiB);
    for (let round = 0; round < 5; round++) {
      const leaver = await RawSocket.connect(server().url);
      leaver.write(`POST /v1/messages HTTP/1.1\r\nHost: ${hostOf(server())}\r\nContent-Type: application/json\r\n`);
      leaver.write(`Content-Length: ${half.length + 1}\r\n\r\n${half}`);
      await untilHeld((bytes) => bytes >= half.length);
      leaver.destroy(round % 2 === 0 ? "fin" : "reset");
      await untilHeld((bytes) => bytes === 0);
    }
  });

  test("one request larger than the whole budget goes when it is alone", async () => {
    const subject = uniqueSubject("budget");
    const admin = new HttpClient(server().url);
    const drafts = Array.from({ length: 10 }, () => ({ subject, body: someBytes(200 * KiB) }));
    expect(await admin.publishBatch(drafts)).toHaveLength(10);
    expect((await admin.read(subject, { limit: 1 })).lastSequence).toBe(10);
  });
});

describe("clients that take their time", () => {
  const server = useTestServer();

  test.each(["chunked", "by length"] as const)(
    "a body that stalls (%s) is 408, and its connection ends",
    async (how) => {
      const subject = uniqueSubject("slow");
      const slow = await RawSocket.connect(server().url);
      const chunked = how === "chunked";
      const framing = chunked ? "Transfer-Encoding: chunked" : "Content-Length: 100";
      slow.write(`POST ${messagesPath(subject)} HTTP/1.1\r\nHost: ${hostOf(server())}\r\n${framing}\r\n\r\n`);
      slow.write(chunked ? "1\r\nx\r\n" : "x");
      let answered = false;
      const head = takeHead(slow).then((found) => {
        answered = true;
        return found;
      });
      const admin = new HttpClient(server().url);
      const other = uniqueSubject("slow");
      let published = 0;
      while (!answered) {
        expect(await admin.publish({ subject: other, body: "x" })).toMatchObject({ sequence: ++published });
        await Bun.sleep(20);
      }
      expect((await head)?.status).toBe(408);
      expect((await slow.rest()).toString()).toContain('"code":"body_too_slow"');
      expect((await admin.read(subject)).lastSequence).toBe(0);
    },
  );
});

describe("requests of one connection", () => {
  const server = useTestServer();
  /** As the README has it. */
  const requestsMax = 65_536;

  test("one too many waiting is overloaded; others go on", async () => {
    const subject = uniqueSubject("waiting");
    const client = await WsClient.connect(server().wsUrl, "mts.json.v1");
    const waits = Array.from({ length: requestsMax }, () => client.request({ op: "fetch", subject, wait_ms: 60_000 }));
    expect(await codeOf(client.request({ op: "fetch", subject, wait_ms: 60_000 }))).toBe("overloaded");
    // What needs no waiting is answered all the same.
    await client.ping();
    const other = await WsClient.connect(server().wsUrl);
    expect(await other.publish({ subject: uniqueSubject("waiting"), body: "x" })).toMatchObject({ sequence: 1 });
    const ended = Promise.allSettled(waits);
    await Promise.all([client.close(), other.close()]);
    expect((await ended).every(({ status }) => status === "rejected")).toBe(true);
    const next = await WsClient.connect(server().wsUrl);
    expect(await next.publish({ subject, body: "x" })).toMatchObject({ sequence: 1 });
    await next.close();
  });
});
