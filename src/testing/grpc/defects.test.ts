/**
 * Defects of the original that clients met, one by one: this server does not have them. Those that every client would
 * meet in the ordinary course of things (an empty body, acknowledging backwards or beyond the end, a backlog larger
 * than the batch, errors hidden in answers or all of one code, notifications by polling) are cases of cases.ts, so
 * that every language and every pair of stores shows it; here is what needs a server of its own or a fault.
 * @module
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { Client as S3Client } from "minio";
import { sequencesOf, upTo } from "../expectations.ts";
import { findBody } from "../faults/damage.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { useBackends, useServerOver } from "../nodes/use-cluster.ts";
import { startTestServer, type TestServer, uniqueSubject, useTestServer } from "../server.ts";
import { WireMap } from "../wire.ts";
import { largeReceiveBytes, metric, untilMetric } from "./context.ts";
import { type ForeignChannel, ForeignClient } from "./foreign-client.ts";
import { bytesOf, type ForeignMessage, GrpcError, type Language, type Position } from "./foreign-shapes.ts";

setDefaultTimeout(60_000);

const languages: readonly Language[] = ["Go", "Python"];
const clients = new Map<Language, ForeignClient>();

beforeAll(async () => {
  for (const language of languages) clients.set(language, await ForeignClient.start(language, "later"));
}, 300_000);
afterAll(async () => {
  for (const client of clients.values()) await client[Symbol.asyncDispose]();
});

const open = async (server: TestServer, language: Language = "Go"): Promise<ForeignChannel> => {
  const client = clients.get(language);
  if (client === undefined) throw new Error("the clients are started before the first test, not earlier");
  return client.open(server.grpcTarget, { receiveBytesMax: largeReceiveBytes });
};

/** Publishes until it is taken: what an outage refuses is tried again, as a client would. */
const publishPatiently = async (channel: ForeignChannel, subject: string, body: string): Promise<number> => {
  for (;;) {
    try {
      return (await channel.publish({ subject, body })).sequence;
    } catch (error) {
      if (!(error instanceof GrpcError) || !["UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED"].includes(error.code)) {
        throw error;
      }
    }
  }
};

/** Fetches and acknowledges until nothing more comes. */
const drain = async (channel: ForeignChannel, position: Position): Promise<readonly ForeignMessage[]> => {
  const received: ForeignMessage[] = [];
  for (;;) {
    const { messages } = await channel.fetch(position, { batch: 7 });
    const newest = messages.at(-1)?.sequence;
    if (newest === undefined) return received;
    received.push(...messages);
    await channel.ack(position, newest);
  }
};

describe("a slow large publish among fast small ones", () => {
  const server = useTestServer();

  test.each(languages)("is delivered like every other, in its place (%s)", async (language) => {
    const channel = await open(server(), language);
    const subject = uniqueSubject("slow");
    const position = { subject, durable: "d" };
    const proceed = Promise.withResolvers<undefined>();
    const halfway = Promise.withResolvers<undefined>();
    const half = bytesOf({ size: 2_000_000 });
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(half);
        halfway.resolve(undefined);
        await proceed.promise;
        controller.enqueue(half);
        controller.close();
      },
    });
    const stream = await channel.subscribe(position);
    const large = fetch(`${server().url}${subjectPath(subject)}/messages`, { method: "POST", body });
    await halfway.promise;
    for (const index of upTo(30)) await channel.publish({ subject, body: `${index}` });
    // All that are there are delivered and acknowledged while the large one is still on its way.
    expect(sequencesOf(await drain(channel, position))).toEqual(upTo(30));
    proceed.resolve(undefined);
    expect(new WireMap(await (await large).json(), "receipt").integer("sequence")).toBe(31);
    await channel.publish({ subject, body: "last" });
    await stream.reached(32);
    const rest = await drain(channel, position);
    expect(rest.map(({ sequence, size }) => [sequence, size])).toEqual([
      [31, 2 * half.length],
      [32, 4],
    ]);
    await stream.cancel();
  });

  test("many callers with bodies of every size lose nothing to a consumer that runs beside them", async () => {
    const channel = await open(server());
    const subject = uniqueSubject("mixed");
    const position = { subject, durable: "d" };
    const sizes = [10, 300_000, 4_000_000, 0, 50_000];
    const each = [40, 12, 3, 40, 20];
    const publishing = Promise.all(
      sizes.map((size, index) =>
        channel.publishMany({ subject, body: { size } }, { callers: 2, each: each[index] ?? 0 }),
      ),
    );
    const count = each.reduce((sum, messages) => sum + 2 * messages, 0);
    const received: ForeignMessage[] = [];
    const stream = await channel.subscribe(position);
    while (received.length < count) {
      await stream.reached(received.length + 1);
      received.push(...(await drain(channel, position)));
    }
    expect(sequencesOf(received)).toEqual(upTo(count));
    expect((await publishing).flat(2).toSorted((a, b) => a - b)).toEqual(upTo(count));
    await stream.cancel();
  });
});

describe("clients that cancel at once", () => {
  const server = useTestServer();

  test("by the hundred, in two languages at once: the process lives, says nothing and keeps nothing", async () => {
    const { pid } = server();
    const subject = uniqueSubject("crash");
    const channels = await Promise.all(languages.map((language) => open(server(), language)));
    const stop = { now: false };
    // The original died when a notification met the end of its stream.
    const publishing = (async () => {
      const channel = await open(server());
      for (let count = 0; ; count++) {
        if (stop.now) return count;
        await channel.publish({ subject, body: "x" });
      }
    })();
    await Promise.all(channels.map((channel) => channel.cancelEarly("Subscribe", { subject, durable: "d" }, 800)));
    await Promise.all(channels.map((channel) => channel.cancelEarly("Fetch", { subject, durable: "d" }, 300)));
    stop.now = true;
    const published = await publishing;
    await untilMetric(server(), "mts_grpc_open_calls", 0);
    const [channel] = channels;
    expect(await channel?.lastSequence(subject)).toBe(published);
    expect(server().pid).toBe(pid);
    expect(server().stderr).toBe("");
  });
});

describe("a backend that was restarted", () => {
  const backends = useBackends();
  const server = useServerOver(() => backends().env());

  test.each([
    ["Tarantool", () => backends().tarantool],
    ["MinIO", () => backends().minio],
  ] as const)("%s: the server goes on by itself, and so does a Subscribe", async (_, backend) => {
    const channel = await open(server());
    const subject = uniqueSubject("restarted");
    const position = { subject, durable: "d" };
    await channel.publish({ subject, body: "before" });
    const stream = await channel.subscribe(position);
    await stream.reached(1);
    await backend().kill("SIGKILL");
    const waiting = publishPatiently(channel, subject, "after");
    await backend().restart();
    const sequence = await waiting;
    await stream.reached(sequence);
    expect((await drain(channel, position)).map(({ size }) => size)).toContain(5);
    expect(await channel.lastSequence(subject)).toBe(sequence);
    await stream.cancel();
  });
});

/** Deletes the stored body of the message from under a server. */
type Remove = (server: TestServer, body: Uint8Array) => Promise<void>;

const defineOverStores = (name: string, server: () => TestServer, remove: Remove): void => {
  describe(name, () => {
    test("numbers go on after everything was deleted and the server restarted", async () => {
      const subject = uniqueSubject("reuse");
      const position = { subject, durable: "d" };
      const before = await open(server());
      for (const index of upTo(5)) await before.publish({ subject, body: `${index}` });
      expect(await drain(before, position)).toHaveLength(5);
      const path = `${subjectPath(subject)}/messages?through=5`;
      expect((await fetch(`${server().url}${path}`, { method: "DELETE" })).status).toBe(200);
      await server().restart();
      const channel = await open(server());
      expect(await channel.lastSequence(subject)).toBe(5);
      expect((await channel.publish({ subject, body: "6" })).sequence).toBe(6);
      expect(sequencesOf(await drain(channel, position))).toEqual([6]);
    });

    test("a body that is gone is the loss of that message alone", async () => {
      const channel = await open(server());
      const subject = uniqueSubject("lost");
      const position = { subject, durable: "d" };
      const lost = { size: 400_000 + Math.floor(Math.random() * 100_000), seed: 9 };
      await channel.publish({ subject, body: "1" });
      await channel.publish({ subject, body: lost });
      await channel.publish({ subject, body: "3" });
      await remove(server(), bytesOf(lost));
      const { messages, trailers } = await channel.fetch(position);
      expect(sequencesOf(messages)).toEqual([1, 3]);
      expect(trailers["mts-data-loss"]).toBe("2");
      // It is told of until it is acknowledged, like a message; then nobody is held up by it.
      expect(await channel.ack(position, 3)).toBe(true);
      const after = await channel.fetch(position);
      expect([after.messages, after.trailers["mts-data-loss"]]).toEqual([[], undefined]);
    });
  });
};

describe("numbers and bodies", () => {
  defineOverStores("of the embedded stores", useTestServer(), async (server, body) => {
    await unlink((await findBody(join(server.dataDir, "bodies"), body)).path);
  });

  describe("remote", () => {
    const backends = useBackends();
    const remove: Remove = async (_, body) => {
      const { host, port, tls, accessKey, secretKey, region } = backends().minio.endpoint;
      const client = new S3Client({ endPoint: host, port, useSSL: tls, accessKey, secretKey, region });
      const bucket = new URL(backends().bodiesUrl()).pathname.slice(1);
      const objects = await Array.fromAsync(client.listObjectsV2(bucket, "", true) as AsyncIterable<unknown>);
      const sized = objects
        .map((raw) => new WireMap(raw, "object"))
        .filter((object) => object.integer("size") === body.length);
      expect(sized).toHaveLength(1);
      for (const object of sized) await client.removeObject(bucket, object.string("name"));
    };
    defineOverStores(
      "of Tarantool and S3",
      useServerOver(() => backends().env()),
      remove,
    );

    test("two servers over one pair of stores share one numbering", async () => {
      await using first = await startTestServer({ env: backends().env() });
      await using second = await startTestServer({ env: backends().env() });
      const channels = [await open(first), await open(second, "Python")];
      const subject = uniqueSubject("replicas");
      const stream = await channels[1]?.subscribe({ subject, durable: "d" });
      const numbers = await Promise.all(
        channels.map((channel) => channel.publishMany({ subject, body: "x" }, { callers: 8, each: 10 })),
      );
      expect(numbers.flat(2).toSorted((a, b) => a - b)).toEqual(upTo(160));
      await stream?.reached(160);
      await stream?.cancel();
    });
  });
});

describe("memory", () => {
  const count = 40;
  const size = 8_000_000;

  test.each(languages)(
    "a Fetch of 320 MB does not lie in memory while its client reads nothing (%s)",
    async (language) => {
      await using server = await startTestServer();
      const subject = uniqueSubject("memory");
      const position = { subject, durable: "d" };
      const publisher = await open(server);
      for (const index of upTo(count)) await publisher.publish({ subject, body: { size, seed: index } });
      // What publishing left in the heap is not the question.
      await server.restart();
      const channel = await open(server, language);
      await channel.lastSequence(subject);
      const rss = "process_resident_memory_bytes";
      const before = await metric(server, rss);
      const { proceed } = await channel.heldFetch(position, { batch: 1000 });
      const held = await metric(server, rss);
      let peak = held;
      const done = { now: false };
      const watching = (async () => {
        while (!done.now) peak = Math.max(peak, await metric(server, rss));
      })();
      const { messages } = await proceed();
      done.now = true;
      await watching;
      expect(sequencesOf(messages)).toEqual(upTo(count));
      expect(held - before).toBeLessThan((count * size) / 2);
      // At full speed garbage of bodies that were sent is in it.
      expect(peak - before).toBeLessThan(count * size);
    },
  );
});

describe("the end of the server", () => {
  test("no open stream holds it up, each is told to come back", async () => {
    await using server = await startTestServer();
    const streams = [];
    const fetches = [];
    for (const language of languages) {
      const channel = await open(server, language);
      const subject = uniqueSubject("stopped");
      for (const index of upTo(10)) await channel.publish({ subject, body: { size: 3_000_000, seed: index } });
      for (const n of upTo(5)) streams.push(await channel.subscribe({ subject, durable: `${n}` }));
      // A client that stopped reading in the midst of a Fetch.
      fetches.push(await channel.heldFetch({ subject, durable: "slow" }, { batch: 10 }));
    }
    await Promise.all(streams.map((stream) => stream.reached(10)));
    expect(await server.kill("SIGTERM")).toBe(0);
    const ends = await Promise.all(streams.map((stream) => stream.ended()));
    expect(new Set(ends.map(({ code }) => code))).toEqual(new Set(["UNAVAILABLE"]));
    for (const { proceed } of fetches)
      await proceed().catch((error: unknown) => expect(error).toBeInstanceOf(GrpcError));
  });
});

describe("the configuration file", () => {
  test("is not overwritten by defaults", async () => {
    const file = { max_body_bytes: "1000", grpc_auto_ack: true };
    const dataDir = await Bun.$`mktemp -d`.text().then((path) => path.trim());
    await Bun.write(join(dataDir, "settings.json"), JSON.stringify(file));
    await using server = await startTestServer({ flags: ["--config", join(dataDir, "settings.json")] });
    const channel = await open(server);
    const position = { subject: "configured", durable: "d" };
    await channel.publish({ subject: "configured", body: { size: 1000 } });
    const refused = await channel
      .publish({ subject: "configured", body: { size: 1001 } })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect((await channel.fetch(position)).messages).toHaveLength(1);
    expect((await channel.fetch(position)).messages).toHaveLength(0);
    expect(await new HttpClient(server.url).consumer("configured", "d")).toMatchObject({ ackedThrough: 1 });
  });
});
