/**
 * A disk that is full, for bodies or for metadata: publishes are refused with `storage_full` and leave nothing behind,
 * everything acknowledged stays readable, and as soon as there is room publishing goes on, without a restart.
 * @module
 */
import { describe, expect, test } from "bun:test";
import type { ClientError, StreamClient } from "../client.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import { Ledger } from "./ledger.ts";
import { markedBody } from "./load.ts";
import { ServerProcess } from "./process.ts";
import { SmallDisk } from "./small-disk.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const caseMsMax = 60_000;
/** Refused one after the other before the disk counts as full for messages of this kind. */
const refusalsEnough = 5;
/** Far more than fit; only ends a test whose disk never becomes full. */
const messagesMax = 20_000;

/** What is published, again and again. */
interface Kind {
  readonly lane: string;
  readonly bodyBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Publishes under way at once. */
  readonly window: number;
}

/** Publishes until the disk is full for messages of this kind; every refusal must say so. */
const fill = async (client: StreamClient, ledger: Ledger, kind: Kind): Promise<void> => {
  const { lane, bodyBytes, headers, window } = kind;
  let refusedInRow = 0;
  for (let index = 0; refusedInRow < refusalsEnough; index += window) {
    if (index > messagesMax) throw new Error(`${lane}: the disk does not become full`);
    const entries = Array.from({ length: window }, (_, offset) =>
      ledger.enter(lane, lane, markedBody(`${lane} ${index + offset}`, bodyBytes), headers),
    );
    const fates = await Promise.all(entries.map((entry) => ledger.publish(client, entry)));
    expect(fates).not.toContain("unknown");
    refusedInRow = fates.includes("acknowledged") ? 0 : refusedInRow + 1;
  }
};

const errorsOf = (ledger: Ledger): readonly ClientError[] =>
  ledger.entries.flatMap(({ error }) => (error === undefined ? [] : [error]));

const expectStorageFull = (ledger: Ledger): void => {
  const errors = errorsOf(ledger);
  expect(errors.length).toBeGreaterThan(0);
  expect([...new Set(errors.map(({ code, retryable }) => `${code} ${retryable}`))]).toEqual(["storage_full true"]);
};

/** Alive: it answers, and every way of reading works. */
const expectReadable = async (server: ServerProcess, subject: string): Promise<void> => {
  const http = new HttpClient(server.url);
  expect((await http.call("GET", "/healthz")).status).toBe(200);
  const { messages, lastSequence } = await http.read(subject, { limit: 10 });
  expect(messages.length).toBeGreaterThan(0);
  const client = await WsClient.connect(server.wsUrl);
  const subscription = await client.subscribe(subject, { from: "first", credit: -1 });
  await subscription.count(lastSequence);
  await client.close();
};

const small: Kind = { lane: "small", bodyBytes: 8 * KiB, headers: { "content-type": "x/y" }, window: 32 };

/** Publishes a little of each kind, all of which must be taken. */
const publishSome = async (url: string, ledger: Ledger, when: string): Promise<void> => {
  const http = new HttpClient(url);
  for (const bodyBytes of [100, 8 * KiB, 300 * KiB, 3 * MiB]) {
    const lane = `some ${when}`;
    const entry = ledger.enter(lane, "small", markedBody(`${lane} ${bodyBytes}`, bodyBytes), small.headers);
    const fate = await ledger.publish(http, entry);
    if (fate !== "acknowledged") throw entry.error ?? new Error("no answer");
  }
};

describe("a full disk", () => {
  test(
    "full of bodies, small and large, over HTTP and WebSocket",
    async () => {
      await using disk = await SmallDisk.mount(24 * MiB);
      const dataDir = `${disk.path}/data`;
      const ledger = new Ledger();
      {
        await using server = await ServerProcess.start({ dataDir, prefix: disk.prefix });
        await publishSome(server.url, ledger, "before");
        await disk.fill("filler", 8 * MiB);
        const http = new HttpClient(server.url);
        const clients = [await WsClient.connect(server.wsUrl), await WsClient.connect(server.wsUrl, "mts.json.v1")];
        const [msgpack, json] = clients as [WsClient, WsClient];
        // The largest first: what is too large for the rest of the disk must leave that rest to the smaller ones.
        await fill(msgpack, ledger, { lane: "huge", bodyBytes: 5 * MiB, window: 1 });
        await fill(http, ledger, { lane: "huge.http", bodyBytes: 5 * MiB, window: 2 });
        await fill(json, ledger, { lane: "large", bodyBytes: 300 * KiB, window: 2 });
        await fill(http, ledger, { lane: "large.http", bodyBytes: 260 * KiB, window: 1 });
        await fill(msgpack, ledger, small);
        await fill(http, ledger, { ...small, lane: "small.http", window: 4 });
        await fill(json, ledger, { ...small, lane: "tiny", bodyBytes: 100 });
        expectStorageFull(ledger);

        const response = await fetch(`${server.url}${subjectPath("small")}/messages`, {
          method: "POST",
          body: new Uint8Array(2 * MiB),
        });
        expect(response.status).toBe(507);
        expect(response.headers.get("content-type")).toStartWith("application/problem+json");
        expect(await response.json()).toMatchObject({ status: 507, code: "storage_full", retryable: true });

        await ledger.prove(server.url);
        await expectReadable(server, "small");
        // What was begun and refused was given back.
        await disk.run('test -z "$(ls -A "$1/data/bodies/tmp")"');

        await disk.remove("filler");
        await publishSome(server.url, ledger, "without a restart");
        await ledger.prove(server.url);
        await Promise.all(clients.map((client) => client.close()));
        expect(await server.kill("SIGTERM")).toEqual({ code: 0, signal: null });
      }
      await using server = await ServerProcess.start({ dataDir, prefix: disk.prefix });
      await ledger.prove(server.url);
      // What is refused may be sent again under its id, and is stored then, once.
      const refused = ledger.entries.find(({ fate, subject }) => fate === "refused" && subject === "small");
      if (refused === undefined) throw new Error("nothing was refused");
      expect(await ledger.publish(new HttpClient(server.url, "msgpack"), refused)).toBe("acknowledged");
      refused.late = true;
      await ledger.prove(server.url);
    },
    caseMsMax,
  );

  test(
    "no room for metadata while bodies need none",
    async () => {
      await using disk = await SmallDisk.mount(24 * MiB);
      const dataDir = `${disk.path}/data`;
      const ledger = new Ledger();
      {
        await using server = await ServerProcess.start({ dataDir, prefix: disk.prefix });
        const http = new HttpClient(server.url, "msgpack");
        const client = await WsClient.connect(server.wsUrl);
        const before = ledger.enter("before", "meta", markedBody("before", 100));
        await ledger.publish(http, before);
        await disk.fillUp("filler");
        await disk.shorten("filler", 512 * KiB);
        // Headers live in metadata: 100 bytes of body with 16 KiB of them.
        const headers = { long: "h".repeat(16 * KiB) };
        await fill(client, ledger, { lane: "meta", bodyBytes: 100, headers, window: 8 });
        await fill(http, ledger, { lane: "meta.http", bodyBytes: 100, headers, window: 1 });
        expectStorageFull(ledger);
        expect(ledger.count("acknowledged")).toBeGreaterThan(1);
        await ledger.prove(server.url);
        await expectReadable(server, "meta");

        await disk.remove("filler");
        await publishSome(server.url, ledger, "without a restart");
        await ledger.prove(server.url);
        await client.close();
        expect(await server.kill("SIGTERM")).toEqual({ code: 0, signal: null });
      }
      await using server = await ServerProcess.start({ dataDir, prefix: disk.prefix });
      await ledger.prove(server.url);
      await publishSome(server.url, ledger, "after a restart");
      await ledger.prove(server.url);
    },
    caseMsMax,
  );

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "ended by %s while it is full: nothing acknowledged is lost, and room is all it takes to go on",
    async (signal) => {
      await using disk = await SmallDisk.mount(24 * MiB);
      const dataDir = `${disk.path}/data`;
      const ledger = new Ledger();
      {
        await using server = await ServerProcess.start({ dataDir, prefix: disk.prefix });
        await disk.fill("filler", 16 * MiB);
        const client = await WsClient.connect(server.wsUrl);
        await fill(client, ledger, { lane: "large", bodyBytes: 300 * KiB, window: 2 });
        await fill(client, ledger, small);
        await disk.fillUp("rest");
        await client.close();
        const exit = await server.kill(signal);
        expect(exit.signal).toBe(signal === "SIGKILL" ? signal : null);
        if (signal === "SIGTERM") expect(exit.code).toBe(0);
      }
      await disk.remove("filler");
      await disk.remove("rest");
      await using server = await ServerProcess.start({ dataDir, prefix: disk.prefix });
      await ledger.prove(server.url);
      await publishSome(server.url, ledger, "after a restart");
      await ledger.prove(server.url);
    },
    caseMsMax,
  );
});
