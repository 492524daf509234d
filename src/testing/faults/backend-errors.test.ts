/**
 * Stores that refuse, that do not say what became of a commit, or that take their time: the client learns what it may
 * do about it, nothing is lost or doubled, and nobody else notices.
 * @module
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ClientError, type StreamClient } from "../client.ts";
import { expectBytes, expectError, expectReceipt, sequencesOf, textsOf } from "../expectations.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { WsClient } from "../ws-client.ts";
import { makeFolder } from "./folder.ts";
import { Ledger } from "./ledger.ts";
import { markedBody, publishUntilGone } from "./load.ts";
import { type Fault, heldLine } from "./plan.ts";
import { ServerProcess } from "./process.ts";

/** A case starts processes; only what hangs takes this long. */
setDefaultTimeout(30_000);

const KiB = 1024;

/** Runs a case on a server with faults, over HTTP and over WebSocket. */
const onBoth = (
  name: string,
  faults: readonly Fault[],
  run: (client: StreamClient, server: ServerProcess) => Promise<void>,
): void => {
  test.each(["HTTP", "WebSocket"])(`${name}, over %s`, async (transport) => {
    await using folder = await makeFolder();
    await using server = await ServerProcess.start({ dataDir: folder.path, faults });
    const client = transport === "HTTP" ? new HttpClient(server.url) : await WsClient.connect(server.wsUrl);
    await run(client, server);
    await client.close();
  });
};

const unavailable = { error: "unavailable" } as const;

describe("a commit fails", () => {
  const message = { subject: "s", body: "once", messageId: "m1" };

  onBoth(
    "with unavailable: nothing is stored, and the retry stores it",
    [{ point: "commit.before", hit: 1, act: unavailable }],
    async (client) => {
      const error = await expectError(client.publish(message), "unavailable");
      expect(error.retryable).toBe(true);
      expect((await client.read("s")).lastSequence).toBe(0);
      expect(await client.publish(message)).toMatchObject({ sequence: 1, duplicate: false });
      expect(textsOf((await client.read("s")).messages)).toEqual(["once"]);
    },
  );

  onBoth(
    "with an outcome that nobody knows, and it was not stored",
    [{ point: "commit.before", hit: 1, act: { error: "outcome_unknown" } }],
    async (client) => {
      const error = await expectError(client.publish(message), "outcome_unknown");
      expect(error.retryable).toBe(true);
      expect(await client.publish(message)).toMatchObject({ sequence: 1, duplicate: false });
      expect(textsOf((await client.read("s")).messages)).toEqual(["once"]);
    },
  );

  onBoth(
    "with an outcome that nobody knows, and it was stored",
    [{ point: "commit.after", hit: 1, act: { error: "outcome_unknown" } }],
    async (client) => {
      const error = await expectError(client.publish(message), "outcome_unknown");
      expect(error.retryable).toBe(true);
      expect(await client.publish(message)).toMatchObject({ sequence: 1, duplicate: true });
      expect(textsOf((await client.read("s")).messages)).toEqual(["once"]);
    },
  );

  describe("with an outcome that nobody knows, while others follow", () => {
    const act = { error: "outcome_unknown" } as const;

    /** A server with one stored message in `s`, and a connection to it. */
    const withFirst = async (
      faults: readonly Fault[],
      run: (client: WsClient, server: ServerProcess) => Promise<void>,
    ): Promise<void> => {
      await using folder = await makeFolder();
      await using server = await ServerProcess.start({ dataDir: folder.path, faults });
      const client = await WsClient.connect(server.wsUrl);
      await client.publish({ subject: "s", body: "first" });
      await run(client, server);
      await client.close();
    };

    test("subscriptions and long polls get what was stored, without waiting for anything else", async () => {
      await withFirst([{ point: "commit.after", hit: 2, act }], async (client) => {
        const subscription = await client.subscribe("s", { from: "first" });
        const wildcard = await client.subscribe(">", { from: "new" });
        const poll = client.read("s", { from: 2, waitMs: 60_000 });
        await expectError(client.publish(message), "outcome_unknown");
        // The retry is a duplicate, which moves nothing.
        expect(await client.publish(message)).toMatchObject({ sequence: 2, duplicate: true });
        await Promise.all([subscription.count(2), wildcard.count(1)]);
        expect(textsOf((await poll).messages)).toEqual(["once"]);
        await client.publish({ subject: "s", body: "third" });
        await Promise.all([subscription.count(3), wildcard.count(2)]);
        expect(subscription.sequences()).toEqual([1, 2, 3]);
        expect(wildcard.sequences()).toEqual([2, 3]);
      });
    });

    // A doubtful commit that did not happen is taken for the newest message that was there before.
    test("a wildcard subscription from new gets nothing that was there before", async () => {
      await withFirst([{ point: "commit.before", hit: 2, act }], async (client) => {
        const wildcard = await client.subscribe(">", { from: "new" });
        await expectError(client.publish(message), "outcome_unknown");
        await client.publish({ subject: "s", body: "second" });
        await wildcard.count(1);
        expect(textsOf(wildcard.messages)[0]).toBe("second");
      });
    });

    // The head that is asked for afterwards is taken for the end of the doubtful messages.
    test("a wildcard subscription from new has no gap when the next commit overtakes the question", async () => {
      const faults: Fault[] = [
        { point: "commit.after", hit: 2, act },
        { point: "range.before", hit: 1, act: "hold" },
      ];
      await withFirst(faults, async (client, server) => {
        const wildcard = await client.subscribe(">", { from: "new" });
        await expectError(client.publish(message), "outcome_unknown");
        await server.wrote(heldLine("range.before"));
        await client.publish({ subject: "s", body: "third" });
        server.signal("SIGUSR2");
        await client.publish({ subject: "s", body: "fourth" });
        await wildcard.count(2);
        expect(wildcard.sequences().slice(0, 2)).toEqual([2, 3]);
      });
    });
  });

  test("of one batch: the batches before and after it are whole, over many connections", async () => {
    await using folder = await makeFolder();
    const faults: Fault[] = [3, 5, 8].map((hit) => ({ point: "commit.before", hit, act: unavailable }));
    await using server = await ServerProcess.start({ dataDir: folder.path, faults });
    const ledger = new Ledger();
    const clients = await Promise.all([1, 2, 3].map(() => WsClient.connect(server.wsUrl)));
    await Promise.all(
      clients.map((client, index) =>
        publishUntilGone(client, ledger, {
          lane: `ws${index}`,
          subjects: ["a", "b"],
          window: 10,
          messagesMax: 300,
          bodyBytes: () => 100,
        }),
      ),
    );
    expect(ledger.count("refused")).toBeGreaterThan(0);
    expect(new Set(ledger.entries.flatMap(({ error }) => (error === undefined ? [] : [error.code])))).toEqual(
      new Set(["unavailable"]),
    );
    await ledger.prove(server.url);
  });
});

describe("other calls to the metadata fail", () => {
  onBoth("an acknowledgement can be repeated", [{ point: "ack.before", hit: 1, act: unavailable }], async (client) => {
    await client.publish({ subject: "s", body: "one" });
    await client.fetch("s", "worker");
    const error = await expectError(client.ack("s", "worker", { sequence: 1 }), "unavailable");
    expect(error.retryable).toBe(true);
    expect(await client.ack("s", "worker", { sequence: 1 })).toEqual({ ackedThrough: 1, moved: true });
  });

  onBoth(
    "an acknowledgement of unknown outcome can be repeated",
    [{ point: "ack.after", hit: 1, act: { error: "outcome_unknown" } }],
    async (client) => {
      await client.publish({ subject: "s", body: "one" });
      await client.fetch("s", "worker");
      await expectError(client.ack("s", "worker", { sequence: 1 }), "outcome_unknown");
      expect(await client.ack("s", "worker", { sequence: 1 })).toEqual({ ackedThrough: 1, moved: false });
    },
  );

  onBoth("a fetch can be repeated", [{ point: "pull.before", hit: 1, act: unavailable }], async (client) => {
    await client.publish({ subject: "s", body: "one" });
    const error = await expectError(client.fetch("s", "worker"), "unavailable");
    expect(error.retryable).toBe(true);
    expect(sequencesOf((await client.fetch("s", "worker")).messages)).toEqual([1]);
  });

  onBoth("a read can be repeated", [{ point: "range.before", hit: 1, act: unavailable }], async (client) => {
    await client.publish({ subject: "s", body: "one" });
    const error = await expectError(client.read("s"), "unavailable");
    expect(error.retryable).toBe(true);
    expect(sequencesOf((await client.read("s")).messages)).toEqual([1]);
  });

  test("a subscription that reads from storage is delayed, not ended", async () => {
    await using folder = await makeFolder();
    {
      await using server = await ServerProcess.start({ dataDir: folder.path });
      await new HttpClient(server.url).publish({ subject: "s", body: "stored before" });
    }
    const faults: Fault[] = [1, 2].map((hit) => ({ point: "range.before", hit, act: unavailable }));
    await using server = await ServerProcess.start({ dataDir: folder.path, faults });
    const client = await WsClient.connect(server.wsUrl);
    const subscription = await client.subscribe("s", { from: "first" });
    await subscription.count(1);
    expect(subscription.errors).toEqual([]);
    await client.close();
  });
});

describe("a body cannot be written", () => {
  const small = { subject: "s", body: "small", messageId: "m1" };

  onBoth(
    "the store refuses the segment: only that batch is refused",
    [{ point: "bodies.segment", hit: 2, act: unavailable }],
    async (client, server) => {
      expect((await client.publish({ subject: "s", body: "before" })).sequence).toBe(1);
      expect((await expectError(client.publish(small), "unavailable")).retryable).toBe(true);
      expect((await client.publish({ subject: "s", body: "after" })).sequence).toBe(2);
      expect(await client.publish(small)).toMatchObject({ sequence: 3, duplicate: false });
      const { messages } = await new HttpClient(server.url).read("s");
      expect(textsOf(messages)).toEqual(["before", "after", "small"]);
    },
  );

  onBoth(
    "the disk fails half-way: only that batch is refused, and the next ones are whole",
    [{ point: "segment.write.half", hit: 2, act: { errno: "EIO" } }],
    async (client, server) => {
      const bodies = [1, 2, 3, 4].map((index) => markedBody(`body ${index}`, 5000));
      for (const [index, body] of bodies.entries()) {
        const publishing = client.publish({ subject: "s", body });
        if (index === 1) expect((await expectError(publishing, "unavailable")).retryable).toBe(true);
        else await publishing;
      }
      const { messages } = await new HttpClient(server.url, "msgpack").read("s");
      expect(sequencesOf(messages)).toEqual([1, 2, 3]);
      for (const [index, body] of [bodies[0], bodies[2], bodies[3]].entries()) {
        expectBytes(messages[index]?.body, body ?? new Uint8Array());
      }
    },
  );

  onBoth(
    "the disk does not confirm: nothing that was not confirmed is acknowledged",
    [{ point: "segment.sync.before", hit: 2, act: { errno: "EIO" } }],
    async (client) => {
      await client.publish({ subject: "s", body: "before" });
      await expectError(client.publish(small), "unavailable");
      expect(await client.publish(small)).toMatchObject({ sequence: 2, duplicate: false });
      expect(textsOf((await client.read("s")).messages)).toEqual(["before", "small"]);
    },
  );

  for (const [point, act, code] of [
    ["bodies.object", unavailable, "unavailable"],
    ["object.write.half", { errno: "EIO" }, "unavailable"],
    ["object.write.half", { errno: "ENOSPC" }, "storage_full"],
    ["object.sync.before", { errno: "EIO" }, "unavailable"],
    ["object.rename.before", { errno: "EIO" }, "unavailable"],
    ["object.folder.after", { errno: "EIO" }, "unavailable"],
  ] as const) {
    const how = "error" in act ? act.error : act.errno;
    onBoth(
      `a large one, ${how} at ${point}: ${code}, and its neighbours are stored`,
      [{ point, hit: 1, act }],
      async (client, server) => {
        const large = { subject: "s", body: markedBody("large", 700 * KiB), messageId: "large" };
        const [before, failed, after] = await Promise.allSettled([
          client.publish({ subject: "s", body: "before" }),
          client.publish(large),
          client.publish({ subject: "s", body: "after" }),
        ]);
        expect([before.status, after.status]).toEqual(["fulfilled", "fulfilled"]);
        expect(failed).toMatchObject({ status: "rejected", reason: { code, retryable: true } });
        expect(await client.publish(large)).toMatchObject({ sequence: 3, duplicate: false });
        expectBytes(await new HttpClient(server.url).message("s", 3), large.body);
      },
    );
  }

  test("a large one that fails or breaks off leaves no file behind", async () => {
    await using folder = await makeFolder();
    const faults: Fault[] = [{ point: "object.write.half", hit: 1, act: { errno: "EIO" } }];
    await using server = await ServerProcess.start({ dataDir: folder.path, faults });
    const http = new HttpClient(server.url);
    const large = { subject: "s", body: markedBody("large", 700 * KiB) };
    await expectError(http.publish(large), "unavailable");
    expect(await readdir(join(folder.path, "bodies", "tmp"))).toEqual([]);
    await http.publish(large);
    expect(await readdir(join(folder.path, "bodies", "tmp"))).toEqual([]);
  });

  test("of a batch on several subjects only what could not be written is refused", async () => {
    await using folder = await makeFolder();
    const faults: Fault[] = [{ point: "bodies.object", hit: 1, act: unavailable }];
    await using server = await ServerProcess.start({ dataDir: folder.path, faults });
    const client = await WsClient.connect(server.wsUrl);
    const results = await client.publishBatch([
      { subject: "a", body: "small a" },
      { subject: "b", body: markedBody("large b", 300 * KiB) },
      { subject: "c", body: "small c" },
    ]);
    expect(results[1]).toBeInstanceOf(ClientError);
    expect([expectReceipt(results[0]).sequence, expectReceipt(results[2]).sequence]).toEqual([1, 1]);
    await client.close();
  });
});

describe("a large body takes its time", () => {
  test("sent whole: other subjects go on, its own keeps the order, subscribers see everything", async () => {
    await using folder = await makeFolder();
    const faults: Fault[] = [{ point: "bodies.object", hit: 1, act: "hold" }];
    await using server = await ServerProcess.start({ dataDir: folder.path, faults });
    const client = await WsClient.connect(server.wsUrl);
    const watcher = await WsClient.connect(server.wsUrl);
    const all = await watcher.subscribe(">", { credit: -1 });
    const large = markedBody("large", 2000 * KiB);
    const small = (index: number): string => `small ${index}`;

    const before = await client.publish({ subject: "same", body: "before" });
    const held = client.publish({ subject: "same", body: large });
    const behind = Array.from({ length: 20 }, (_, index) => client.publish({ subject: "same", body: small(index) }));
    await server.wrote(heldLine("bodies.object"));
    const elsewhere = await Promise.all(
      Array.from({ length: 100 }, (_, index) => client.publish({ subject: `other.${index % 5}`, body: small(index) })),
    );
    expect(elsewhere).toHaveLength(100);
    await all.count(101);
    expect(all.messages.filter(({ subject }) => subject === "same")).toHaveLength(1);
    server.signal("SIGUSR2");

    const receipts = [before, await held, ...(await Promise.all(behind))];
    expect(sequencesOf(receipts)).toEqual(Array.from({ length: 22 }, (_, index) => index + 1));
    await all.count(122);
    const same = all.messages.filter(({ subject }) => subject === "same");
    expect(sequencesOf(same)).toEqual(sequencesOf(receipts));
    expectBytes(same[1]?.body, large);
    expect(textsOf(same.slice(2))).toEqual(behind.map((_, index) => small(index)));
    for (let lane = 0; lane < 5; lane++) {
      const ofLane = all.messages.filter(({ subject }) => subject === `other.${lane}`);
      expect(textsOf(ofLane)).toEqual(Array.from({ length: 20 }, (_, index) => small(index * 5 + lane)));
    }
    await Promise.all([client.close(), watcher.close()]);
  });

  test("streamed: small ones on its own subject overtake it, subscribers see everything once", async () => {
    await using folder = await makeFolder();
    await using server = await ServerProcess.start({ dataDir: folder.path });
    const client = await WsClient.connect(server.wsUrl);
    const all = await client.subscribe(">", { credit: -1 });
    const large = markedBody("streamed", 1500 * KiB);
    const goOn = Promise.withResolvers<undefined>();
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(large.slice(0, 700 * KiB));
        await goOn.promise;
        controller.enqueue(large.slice(700 * KiB));
        controller.close();
      },
    });
    const streaming = fetch(`${server.url}${subjectPath("same")}/messages`, { method: "POST", body });
    const small = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        client.publish({ subject: index % 2 === 0 ? "same" : "other", body: `small ${index}` }),
      ),
    );
    expect(small).toHaveLength(50);
    goOn.resolve(undefined);
    const response = await streaming;
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ subject: "same", sequence: 26, duplicate: false });
    await all.count(51);
    const same = all.messages.filter(({ subject }) => subject === "same");
    expect(sequencesOf(same)).toEqual(Array.from({ length: 26 }, (_, index) => index + 1));
    expectBytes(same.at(-1)?.body, large);
    expect(all.messages.filter(({ subject }) => subject === "other")).toHaveLength(25);
    await client.close();
  });

  test("a streamed one that breaks off leaves nothing: no message, no file, no gap", async () => {
    await using folder = await makeFolder();
    await using server = await ServerProcess.start({ dataDir: folder.path });
    const http = new HttpClient(server.url);
    const { hostname, port } = new URL(server.url);
    const gone = Promise.withResolvers<undefined>();
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: { data: () => undefined, close: () => gone.resolve(undefined) },
    });
    socket.write(
      `POST ${subjectPath("s")}/messages HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: 900000\r\n\r\n`,
    );
    socket.write(new Uint8Array(600_000));
    socket.flush();
    socket.terminate();
    await gone.promise;
    expect((await http.publish({ subject: "s", body: "next" })).sequence).toBe(1);
    // The server notices on its own time; what it left is gone at the latest when it stops.
    expect(await server.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(await readdir(join(folder.path, "bodies", "tmp"))).toEqual([]);
  });
});
