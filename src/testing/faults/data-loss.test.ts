/**
 * Bodies that are damaged on the disk: each is reported by its sequence on every way out, delivered on none, and what
 * lies around it stays readable.
 * @module
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { truncate, unlink } from "node:fs/promises";
import { join } from "node:path";
import { expectBytes, expectError, sequencesOf } from "../expectations.ts";
import { HttpClient, subjectPath } from "../http-client.ts";
import { startTestServer, type TestServer } from "../server.ts";
import { WireMap } from "../wire.ts";
import { WsClient } from "../ws-client.ts";
import { findBody, flipBit } from "./damage.ts";
import { markedBody } from "./load.ts";

/** A case starts processes; only what hangs takes this long. */
setDefaultTimeout(30_000);

const KiB = 1024;
const smallBytes = 700;
const count = 8;
/** Damaged while the server was stopped, and while it runs. */
const damagedBefore = 3;
const damagedLater = 6;

const bodyOf = (subject: string, sequence: number): Uint8Array => {
  // Large ones are objects of their own, small ones lie in one segment with their neighbours.
  return markedBody(`${subject} number ${sequence}`, subject.startsWith("large") ? 400 * KiB + sequence : smallBytes);
};

let server: TestServer;
let http: HttpClient;

const bodies = (): string => join(server.dataDir, "bodies");

const damage = async (subject: string, sequence: number): Promise<void> => {
  const { path, offset } = await findBody(bodies(), bodyOf(subject, sequence));
  await flipBit({ path, offset: offset + 300 });
};

const publishAll = async (subject: string): Promise<void> => {
  for (let sequence = 1; sequence <= count; sequence++) {
    expect((await http.publish({ subject, body: bodyOf(subject, sequence) })).sequence).toBe(sequence);
  }
};

const others = Array.from({ length: count }, (_, index) => index + 1).filter(
  (sequence) => sequence !== damagedBefore && sequence !== damagedLater,
);

/** GET of the sequence must be `data_loss`, also for a part that is not itself damaged. */
const expectLost = async (subject: string, sequence: number): Promise<void> => {
  for (const headers of [{}, { range: "bytes=0-9" }, { range: "bytes=-5" }]) {
    const path = `${subjectPath(subject)}/messages/${sequence}`;
    const error = await expectError(http.call("GET", path, { headers }), "data_loss");
    expect(error.fields).toMatchObject({ status: 500, retryable: false, sequence });
  }
};

beforeAll(async () => {
  server = await startTestServer();
  http = new HttpClient(server.url);
  for (const subject of ["small", "large"]) await publishAll(subject);
  await http.publish({ subject: "large.lost", body: bodyOf("large.lost", 1) });
  await http.publish({ subject: "large.cut", body: bodyOf("large.cut", 1) });
  // The last ones in their segment.
  await http.publish({ subject: "tail", body: bodyOf("tail", 1) });
  await http.publish({ subject: "tail", body: bodyOf("tail", 2) });
  await server.stop();

  for (const subject of ["small", "large"]) await damage(subject, damagedBefore);
  const tail = await findBody(bodies(), bodyOf("tail", 2));
  await truncate(tail.path, tail.offset + smallBytes - 1);
  await unlink((await findBody(bodies(), bodyOf("large.lost", 1))).path);
  await truncate((await findBody(bodies(), bodyOf("large.cut", 1))).path, 100 * KiB);

  await server.start();
  http = new HttpClient(server.url);
  for (const subject of ["small", "large"]) {
    // Read once when whole: what is open or cached must not hide the damage.
    expectBytes(await http.message(subject, damagedLater), bodyOf(subject, damagedLater));
    await damage(subject, damagedLater);
  }
}, 30_000);

afterAll(async () => {
  await server.close();
});

describe.each(["small", "large"])("%s bodies with a flipped bit", (subject) => {
  test("GET of the damaged ones is data_loss, with Range too; the others are whole", async () => {
    await expectLost(subject, damagedBefore);
    await expectLost(subject, damagedLater);
    for (const sequence of others) {
      expectBytes(await http.message(subject, sequence), bodyOf(subject, sequence));
      const path = `${subjectPath(subject)}/messages/${sequence}`;
      const part = await http.call("GET", path, { headers: { range: "bytes=-20" } });
      expectBytes(new Uint8Array(await part.arrayBuffer()), bodyOf(subject, sequence).slice(-20));
    }
  });

  test("a page has the others, and the damaged ones in errors", async () => {
    const response = await http.call("GET", `${subjectPath(subject)}/messages?limit=100`);
    const page = new WireMap(await response.json(), "page");
    expect(page.list("messages").map((raw) => new WireMap(raw, "message").integer("sequence"))).toEqual(others);
    expect(page.list("errors")).toMatchObject([
      { code: "data_loss", sequence: damagedBefore },
      { code: "data_loss", sequence: damagedLater },
    ]);
    expect(page.integer("next_sequence")).toBe(count + 1);
  });

  test("a page of nothing but a damaged message leads on", async () => {
    const response = await http.call("GET", `${subjectPath(subject)}/messages?from=${damagedBefore}&limit=1`);
    const page = new WireMap(await response.json(), "page");
    expect(page.list("messages")).toEqual([]);
    expect(page.integer("next_sequence")).toBe(damagedBefore + 1);
  });

  test("pages in the other formats have the others", async () => {
    for (const format of ["msgpack", "ndjson"] as const) {
      const page = await new HttpClient(server.url, format).read(subject, { limit: 100 });
      expect(sequencesOf(page.messages)).toEqual(others);
      expect(page.nextSequence).toBe(count + 1);
    }
  });

  test.each(["mts.msgpack.v1", "mts.json.v1"] as const)(
    "a subscription in %s pushes the others and reports the damaged ones",
    async (protocol) => {
      const client = await WsClient.connect(server.wsUrl, protocol);
      const subscription = await client.subscribe(subject, { from: "first" });
      await subscription.count(others.length);
      expect(subscription.sequences()).toEqual(others);
      for (const message of subscription.messages) expectBytes(message.body, bodyOf(subject, message.sequence));
      await subscription.conditions.until(() => subscription.errors.length >= 2);
      expect(subscription.errors.map(({ code, fields }) => [code, fields["subject"], fields["sequence"]])).toEqual([
        ["data_loss", subject, damagedBefore],
        ["data_loss", subject, damagedLater],
      ]);
      expect(subscription.errors.map(({ fields }) => fields["sid"])).toEqual([subscription.sid, subscription.sid]);
      await client.close();
    },
  );

  test("a subscription with little credit goes past them too", async () => {
    const client = await WsClient.connect(server.wsUrl);
    const subscription = await client.subscribe(subject, { from: "first", credit: 1 });
    for (let received = 1; received <= others.length; received++) {
      await subscription.count(received);
      client.credit(subscription, 1);
    }
    expect(subscription.sequences()).toEqual(others);
    await client.close();
  });

  test("a WebSocket fetch has the others", async () => {
    const client = await WsClient.connect(server.wsUrl);
    const page = await client.read(subject, { limit: 100 });
    expect(sequencesOf(page.messages)).toEqual(others);
    expect(page.nextSequence).toBe(count + 1);
    await client.close();
  });

  test("an event stream has the others, and an error event for each damaged one", async () => {
    const response = await http.call("GET", `${subjectPath(subject)}/messages?from=first&limit=${others.length}`, {
      headers: { accept: "text/event-stream" },
    });
    const events = (await response.text()).split("\n\n").filter((event) => event.includes("data:"));
    const idsOf = (list: readonly string[]): number[] => list.map((event) => Number(/^id: (\d+)$/m.exec(event)?.[1]));
    expect(idsOf(events.filter((event) => !event.startsWith("event:")))).toEqual(others);
    const errors = events.filter((event) => event.startsWith("event: error"));
    expect(errors.map((event) => JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "") as unknown)).toMatchObject([
      { code: "data_loss", sequence: damagedBefore },
      { code: "data_loss", sequence: damagedLater },
    ]);
  });

  test("a consumer that acknowledges all gets past them", async () => {
    const page = await http.fetch(subject, "all", { limit: 100 });
    expect(sequencesOf(page.messages)).toEqual(others);
    expect((await http.ack(subject, "all", { sequence: count })).ackedThrough).toBe(count);
  });

  test("a consumer that takes one at a time is told what is in its way, and can acknowledge it", async () => {
    const received: number[] = [];
    for (let position = 0; position < count; position++) {
      const response = await http.call("POST", `${subjectPath(subject)}/consumers/single/fetch`, {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ limit: 1 }),
      });
      const page = new WireMap(await response.json(), "page");
      const [message] = page.list("messages");
      const [error] = page.has("errors") ? page.list("errors") : [];
      expect([message, error].filter((item) => item !== undefined)).toHaveLength(1);
      const sequence = new WireMap(message ?? error, "message or error").integer("sequence");
      if (message !== undefined) received.push(sequence);
      await http.ack(subject, "single", { sequence });
    }
    expect(received).toEqual(others);
  });

  test("a consumer that acknowledges by itself gets past them", async () => {
    const received: number[] = [];
    for (let fetches = 0; fetches < count; fetches++) {
      const page = await http.fetch(subject, "auto", { limit: 1, autoAck: true });
      received.push(...sequencesOf(page.messages));
    }
    expect(received).toEqual(others);
  });

  test("an explicit consumer gets all others, fetched and pushed", async () => {
    await http.putConsumer(subject, "explicit", { ack: "explicit" });
    const fetched = await http.fetch(subject, "explicit", { limit: 4 });
    expect(sequencesOf(fetched.messages)).toEqual(others.filter((sequence) => sequence <= 4));
    const client = await WsClient.connect(server.wsUrl);
    const subscription = await client.subscribe(subject, { consumer: "explicit" });
    const rest = others.filter((sequence) => sequence > 4);
    await subscription.count(rest.length);
    expect(subscription.sequences()).toEqual(rest);
    expect((await http.ack(subject, "explicit", { sequences: others })).moved).toBe(true);
    await client.close();
  });
});

describe("files that are cut or gone", () => {
  test("the end of a segment is cut off: its last message is lost, the one before is not", async () => {
    await expectLost("tail", 2);
    expectBytes(await http.message("tail", 1), bodyOf("tail", 1));
    expect(sequencesOf((await http.read("tail")).messages)).toEqual([1]);
  });

  test.each(["large.lost", "large.cut"])("%s", async (subject) => {
    await expectLost(subject, 1);
    expect((await http.read(subject)).nextSequence).toBe(2);
  });

  test("publishing goes on behind what was lost", async () => {
    expect((await http.publish({ subject: "tail", body: "new" })).sequence).toBe(3);
    expect((await http.publish({ subject: "large.lost", body: "new" })).sequence).toBe(2);
    expect(sequencesOf((await http.read("tail")).messages)).toEqual([1, 3]);
    const client = await WsClient.connect(server.wsUrl);
    const subscription = await client.subscribe("large.*", { from: "first" });
    await subscription.count(1);
    await subscription.conditions.until(() => subscription.errors.length >= 2);
    expect(subscription.messages.map(({ subject, sequence }) => [subject, sequence])).toEqual([["large.lost", 2]]);
    await client.close();
  });
});
