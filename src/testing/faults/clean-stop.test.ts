/**
 * SIGTERM and SIGINT in the middle of everything: the process ends by itself with 0, tells everybody who waits, and
 * keeps what it acknowledged. It gives itself 10 s and ends with 1 past that, so the exit code is also the time limit.
 * @module
 */
import { describe, expect, test } from "bun:test";
import { HttpClient, subjectPath } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import { makeFolder } from "./folder.ts";
import { Ledger } from "./ledger.ts";
import { publishUntilGone } from "./load.ts";
import { ServerProcess } from "./process.ts";

const caseMsMax = 30_000;
const cleanEnd = { code: 0, signal: null };

/** Opens an event stream; `ended` resolves with all of its text when the server ends it. */
const openTail = async (url: string, subject: string): Promise<{ readonly ended: Promise<string> }> => {
  const response = await fetch(`${url}${subjectPath(subject)}/messages`, { headers: { accept: "text/event-stream" } });
  expect(response.status).toBe(200);
  const opened = Promise.withResolvers<undefined>();
  const read = async (): Promise<string> => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of (response.body as ReadableStream<Uint8Array> | null) ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("event: open")) opened.resolve(undefined);
    }
    return text;
  };
  const ended = read();
  await Promise.race([opened.promise, ended]);
  return { ended };
};

/** A fetch makes its consumer before it waits; requests leave in order, so those sent before it have arrived too. */
const untilConsumer = async (http: HttpClient, subject: string): Promise<void> => {
  while ((await http.consumers(subject)).length === 0);
};

describe("a clean stop", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s under load: exit 0, sockets closed with 3001, everything acknowledged is kept",
    async (signal) => {
      await using folder = await makeFolder();
      const ledger = new Ledger();
      {
        await using server = await ServerProcess.start({ dataDir: folder.path });
        let answersLeft = 2000;
        const onAnswer = (): void => {
          if (--answersLeft === 0) server.signal(signal);
        };
        const clients = await Promise.all([
          WsClient.connect(server.wsUrl),
          WsClient.connect(server.wsUrl, "mts.json.v1"),
        ]);
        const [first, second] = clients;
        const http = new HttpClient(server.url);
        const small = (index: number): number => (index * 61) % 2000;
        const messagesMax = 200_000;
        await Promise.all([
          publishUntilGone(first, ledger, {
            lane: "ws",
            subjects: ["a", "b"],
            window: 100,
            messagesMax,
            bodyBytes: small,
            onAnswer,
            untilRefused: true,
          }),
          publishUntilGone(second, ledger, {
            lane: "large",
            subjects: ["a", "c"],
            window: 4,
            messagesMax,
            bodyBytes: (index) => (index % 4 === 0 ? 400_000 : 50),
            onAnswer,
            untilRefused: true,
          }),
          publishUntilGone(http, ledger, {
            lane: "http",
            subjects: ["b"],
            window: 1,
            messagesMax,
            bodyBytes: small,
            onAnswer,
            untilRefused: true,
          }),
        ]);
        const closed = await Promise.all(clients.map((client) => client.closed));
        expect(closed.map(({ code }) => code)).toEqual([3001, 3001]);
        expect(await server.exited).toEqual(cleanEnd);
      }
      // What is refused while stopping is refused for good reason only.
      const codes = new Set(ledger.entries.flatMap(({ error }) => (error === undefined ? [] : [error.code])));
      expect([...codes].filter((code) => code !== "shutting_down")).toEqual([]);
      await using server = await ServerProcess.start({ dataDir: folder.path });
      await ledger.prove(server.url);
    },
    caseMsMax,
  );

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s with long polls, tails, subscriptions and idle connections open: each is told, none holds it up",
    async (signal) => {
      await using folder = await makeFolder();
      await using server = await ServerProcess.start({ dataDir: folder.path });
      const http = new HttpClient(server.url);
      await http.publish({ subject: "quiet", body: "one" });
      const ws = await WsClient.connect(server.wsUrl);
      const idle = await WsClient.connect(server.wsUrl, "mts.json.v1");
      await ws.subscribe(">", { from: "first" });
      const tail = await openTail(server.url, "quiet");
      const longPoll = http.read("quiet", { from: 2, waitMs: 60_000 });
      const longFetch = http.fetch("quiet.too", "worker", { waitMs: 60_000 });
      const wsPoll = ws.read("quiet", { from: 2, waitMs: 60_000 });
      // Requests of one connection are taken in order: after the pong the poll before it is waiting.
      await ws.ping();
      await untilConsumer(http, "quiet.too");

      server.signal(signal);

      for (const page of await Promise.all([longPoll, longFetch, wsPoll])) expect(page.messages).toEqual([]);
      expect((await longPoll).nextSequence).toBe(2);
      expect(await tail.ended).toContain("event: open");
      expect((await ws.closed).code).toBe(3001);
      expect((await idle.closed).code).toBe(3001);
      expect(await server.exited).toEqual(cleanEnd);
      await using again = await ServerProcess.start({ dataDir: folder.path });
      expect((await new HttpClient(again.url).read("quiet")).messages).toHaveLength(1);
    },
    caseMsMax,
  );

  test(
    "a client that stalls in the middle of its body does not hold it up, and nothing of the body is stored",
    async () => {
      await using folder = await makeFolder();
      {
        await using server = await ServerProcess.start({ dataDir: folder.path });
        const { hostname, port } = new URL(server.url);
        const stalled = await Bun.connect({
          hostname,
          port: Number(port),
          socket: { data: () => undefined },
        });
        stalled.write(
          `POST ${subjectPath("half")}/messages HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 900000\r\n\r\n`,
        );
        stalled.write(new Uint8Array(300_000));
        stalled.flush();
        await new HttpClient(server.url).publish({ subject: "whole", body: "kept" });
        expect(await server.kill("SIGTERM")).toEqual(cleanEnd);
        stalled.terminate();
      }
      await using server = await ServerProcess.start({ dataDir: folder.path });
      const http = new HttpClient(server.url);
      expect((await http.read("half")).lastSequence).toBe(0);
      expect((await http.read("whole")).messages).toHaveLength(1);
    },
    caseMsMax,
  );
});
